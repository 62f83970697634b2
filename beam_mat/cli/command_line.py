"""The command line of one command: its arguments, its help, and the errors in what was typed."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from beam_mat.cli.faults import explained, unexpected
from beam_mat.core.errors import ConfigError, NothingAskedError
from beam_mat.runners.choose import OPTIONS, has_own_options, runner_of

WIDTH = 96


class CommandLine(argparse.ArgumentParser):
    """The arguments of one command.

    Args:
        command: Its name.
        does: What it does, in a sentence or two.
        examples: Complete command lines, the simplest first.
        usage: The usage line, where argparse's would be too long.
        more: More text for the help.
        wanted: What the command cannot do without, a line each; by default its positional
            arguments.
        takes_beam: Whether the options of Apache Beam are accepted as well.
    """

    def __init__(
        self,
        command: str,
        does: str,
        examples: Sequence[str],
        *,
        usage: str | None = None,
        more: str = "",
        wanted: Sequence[str] = (),
        takes_beam: bool = False,
    ) -> None:
        self.command = command
        self.does = does
        self.examples = tuple(examples)
        self.takes_beam = takes_beam
        self._wanted = tuple(wanted)
        self._checks: list[_Check] = []
        listed = "Examples:\n" + "\n".join(f"  {example}" for example in self.examples)
        shown = [textwrap.fill(does, WIDTH), listed, more.rstrip()]
        super().__init__(
            prog=f"beam-mat {command}",
            usage=usage,
            description="\n\n".join(text for text in shown if text),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if takes_beam:
            self._add_beam_options()

    def check(self, option: argparse.Action, check: Callable[[str], Any]) -> None:
        """Checks what is typed for an option, and replaces it with what `check` returns.

        Args:
            option: What `add_argument` returned.
            check: Raises a ValueError that says what to give; see `beam_mat.cli.values`.
        """
        self._checks.append(_Check(option, check))

    def parse(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parses what was typed, once.

        Args:
            argv: What follows the command.

        Returns:
            The values; and what is wrong, a sentence each. A wrong value is replaced with the
            default. ``beam`` lists the options of Beam's, and ``given`` has the names of all
            arguments that have a value.

        Raises:
            ConfigError: Something is wrong that hides the rest, such as a missing value.
            NothingAskedError: Nothing was typed, and the command needs something.
        """
        self._hold_to_words(argv)
        typed, rest = self.parse_known_args(list(argv))
        typed.beam = list(getattr(typed, "beam", []))
        if self.takes_beam and has_own_options(runner_of(typed.beam)):
            typed.beam += rest
            rest = []
        faults = self._unknown(rest)
        typed.given = {name for name, value in vars(typed).items() if value is not None}
        for check in self._checks:
            faults += check.apply(typed)
        return typed, faults

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """As `parse`, for a command that has nothing else to check.

        Raises:
            ConfigError: With everything that is wrong.
            NothingAskedError: Nothing was typed, and the command needs something.
        """
        typed, faults = self.parse(argv)
        if faults:
            raise ConfigError(faults)
        return typed

    def _hold_to_words(self, argv: Sequence[str]) -> None:
        lines = self._wanted or [
            f"{action.metavar or action.dest}: {action.help}"
            for action in self._get_positional_actions()
            if action.required
        ]
        if argv or not lines:
            return
        needs = "\n".join(f"  {line}" for line in lines)
        examples = "\n".join(f"  {example}" for example in self.examples[:2])
        raise NothingAskedError(
            f"{textwrap.fill(self.does, WIDTH)}\n\nIt needs\n{needs}\n\nFor example\n{examples}"
            f"\n\n{self.prog} --help lists all options."
        )

    def _unknown(self, words: Sequence[str]) -> list[str]:
        known = [option for action in self._actions for option in action.option_strings]
        before = ["", *words]
        return [
            unexpected(word, self.command, known)
            for last, word in zip(before, words, strict=False)
            # What follows an unknown option is most likely its value.
            if word.startswith("-") or not last.startswith("-")
        ]

    def _add_beam_options(self) -> None:
        kinds: dict[str, dict[str, Any]] = {
            "flag": {"nargs": 0},
            "optional": {"nargs": "?"},
            "int": {"type": int},
            "float": {"type": float},
            "text": {},
        }
        for option, kind in OPTIONS.items():
            how = kinds[kind] if isinstance(kind, str) else {"choices": kind}
            self.add_argument(option, action=_ForBeam, help=argparse.SUPPRESS, **how)

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print below many lines of usage."""
        raise ConfigError([explained(message, self.command, self.examples[0])])


class _ForBeam(argparse.Action):
    """Keeps an option of Beam's, to be passed on."""

    def __init__(self, option_strings: Sequence[str], dest: str, **how: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **how)

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        without = self.nargs == 0 or (self.nargs == "?" and values is None)
        word = str(option_string) if without else f"{option_string}={values}"
        namespace.beam = [*getattr(namespace, "beam", []), word]


class _Check:
    """A check of what was typed for one option."""

    def __init__(self, option: argparse.Action, check: Callable[[str], Any]) -> None:
        self._option = option
        self._check = check

    def apply(self, typed: argparse.Namespace) -> list[str]:
        """Replaces the typed text with the value, and returns what is wrong."""
        dest, default = self._option.dest, self._option.default
        text = getattr(typed, dest)
        if text is None:
            return []
        faults: list[str] = []
        value = self._value(text, faults)
        setattr(typed, dest, value if not faults else default and self._value(default, []))
        return faults

    def _value(self, text: Any, faults: list[str]) -> Any:
        if isinstance(text, list):
            return tuple(self._one(word, faults) for word in text)
        return self._one(text, faults)

    def _one(self, text: str, faults: list[str]) -> Any:
        try:
            return self._check(text)
        except ValueError as error:
            shown = text or "''"
            faults.append(f"{self._option.option_strings[0]} {shown}: {error}")
            return None
