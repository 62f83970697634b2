"""The command line of one command: its arguments, its help, and the errors in what was typed."""

import argparse
import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from beam_mat.core.errors import ConfigError, NothingAskedError
from beam_mat.runners.choose import OPTIONS, has_own_options, runner_of

WIDTH = 96
_BEAM_VALUES: dict[str, dict[str, Any]] = {
    "flag": {"nargs": 0},
    "optional": {"nargs": "?"},
    "int": {"type": int},
    "float": {"type": float},
    "text": {},
}
"""How argparse reads each kind of `OPTIONS`."""
_EXPLANATIONS = (
    (r"argument (\S+): invalid int value: '(.*)'", r"\1 \2: give a whole number, such as \1 10"),
    (r"argument (\S+): invalid float value: '(.*)'", r"\1 \2: give a number, such as \1 0.5"),
    (r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", r"\1 \2: give one of \3"),
    (r"argument (\S+): expected one argument", r"\1: the value is missing; write it after \1"),
    (
        r"argument (\S+): expected at least one argument",
        r"\1: the value is missing; write one or more after \1",
    ),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1: cannot be used with \2; give one"),
    (
        r"argument (\S+): ignored explicit argument '(.*)'",
        r"\1=\2: this option takes no value; remove =\2",
    ),
    (r"argument ([^:]+): (.*)", r"\1: \2"),
)
"""Messages of argparse, and the sentences with value, cause and cure that replace them."""


class CommandLine(argparse.ArgumentParser):
    """The arguments of one command. `examples` are complete command lines, the simplest first.

    `needs` is what the command cannot do without, a line each; by default its positional arguments.
    The `type` of an argument may be a check of `beam_mat.cli.values`: what it raises is collected.
    With `takes_beam` the options of Apache Beam are accepted as well.
    """

    def __init__(
        self,
        command: str,
        does: str,
        examples: Sequence[str],
        *,
        usage: str | None = None,
        more: str = "",
        needs: Sequence[str] = (),
        takes_beam: bool = False,
    ) -> None:
        self.does = textwrap.fill(does, WIDTH)
        self.examples = examples
        self._needs = needs
        self._takes_beam = takes_beam
        self._faults: list[tuple[argparse.Action, str]] = []
        beam = "Any Apache Beam option can be added (--runner, --direct_num_workers, ...).\n"
        more = (beam if takes_beam else "") + more
        super().__init__(
            prog=f"beam-mat {command}",
            usage=usage,
            description=f"{self.does}\n\nExamples:\n{_indented(examples)}\n\n{more}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for option, kind in OPTIONS.items() if takes_beam else ():
            how = _BEAM_VALUES[kind] if isinstance(kind, str) else {"choices": kind}
            self.add_argument(
                option, action=_ForBeam, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **how
            )
        self.set_defaults(beam=[])

    def parse(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parses what follows the command. Returns the values, and a sentence for each error.

        A wrong value is replaced with the default. ``beam`` lists the options of Beam's, and
        ``given`` has the names of all arguments that have a value, even a wrong one.

        Raises a ConfigError if something is wrong that hides the rest, such as a missing value, and
        a NothingAskedError if nothing was typed, and the command needs something.
        """
        if not argv:
            self._ask()
        self._faults.clear()
        typed, rest = self.parse_known_args(list(argv))
        if self._takes_beam and has_own_options(runner_of(typed.beam)):
            typed.beam, rest = typed.beam + rest, []
        typed.given = {name for name, value in vars(typed).items() if value is not None}
        faults = self._unknown(rest) + [fault for _, fault in self._faults]
        for action, _ in list(self._faults):
            default = action.default
            is_text = isinstance(default, str)
            setattr(typed, action.dest, self._get_value(action, default) if is_text else default)
        return typed, faults

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """As `parse`, but raises a ConfigError with everything that is wrong."""
        typed, faults = self.parse(argv)
        if faults:
            raise ConfigError(faults)
        return typed

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print below many lines of usage."""
        missing = re.fullmatch(r"the following arguments are required: (.*)", message)
        if missing:
            fault = f"{missing[1]} is missing: name it, for example {self.examples[0]}"
        else:
            fault = f"{_explained(message)}; see {self.prog} --help"
        raise ConfigError([fault])

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # argparse would stop at the first value that is wrong, and lose the text of a ValueError.
        if not callable(action.type) or action.type in (int, float):
            return super()._get_value(action, arg_string)
        try:
            return action.type(arg_string)
        except ValueError as error:
            words = [*action.option_strings[:1], arg_string or "''"]
            self._faults.append((action, f"{' '.join(words)}: {error}"))
            return arg_string

    def _ask(self) -> None:
        needs = self._needs or [
            f"{action.metavar or action.dest}: {action.help}"
            for action in self._get_positional_actions()
            if action.required
        ]
        if needs:
            raise NothingAskedError(
                f"{self.does}\n\nIt needs\n{_indented(needs)}\n\nFor example\n"
                f"{_indented(self.examples[:2])}\n\n{self.prog} --help lists all options."
            )

    def _unknown(self, words: Sequence[str]) -> list[str]:
        known = [option for action in self._actions for option in action.option_strings]
        faults = []
        for last, word in zip(["", *words], words, strict=False):
            if word.startswith("-"):
                name = word.partition("=")[0]
                fault = f"{name}: unknown option;{did_you_mean(name, known)}"
            # What follows an unknown option is most likely its value.
            elif last.startswith("-"):
                continue
            else:
                fault = f"{word}: unexpected argument;"
            faults.append(f"{fault} see {self.prog} --help")
        return faults


class _ForBeam(argparse.Action):
    """Keeps an option of Beam's, to be passed on."""

    def __call__(
        self, _parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        without = self.nargs == 0 or (self.nargs == "?" and values is None)
        word = str(option_string) if without else f"{option_string}={values}"
        namespace.beam = [*namespace.beam, word]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the known word that is nearest, or "".

    >>> did_you_mean("--ouput", ["--output", "--json"])
    ' did you mean --output?'
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f" did you mean {near[0]}?" if near else ""


def _explained(message: str) -> str:
    """Turns an error of argparse into a sentence with value, cause and cure.

    >>> _explained("argument --shards: invalid int value: 'many'")
    '--shards many: give a whole number, such as --shards 10'
    """
    for pattern, sentence in _EXPLANATIONS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return found.expand(sentence)
    return message


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
