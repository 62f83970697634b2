"""Command lines that say what to type: examples in each help, and in each fault a cure."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NoReturn

from beam_mat.core.errors import ConfigError, NothingAskedError

WIDTH = 96
_AS_TYPED = "Type it as in"


class CommandLine(argparse.ArgumentParser):
    """The words of one command.

    Attributes:
        command: Its name.
        does: What it does, in a sentence or two.
        examples: Whole lines that can be typed, the plainest first.
    """

    def __init__(
        self,
        command: str,
        does: str,
        examples: Sequence[str],
        *,
        usage: str | None = None,
        more: str = "",
    ) -> None:
        self.command = command
        self.does = does
        self.examples = tuple(examples)
        shown = [textwrap.fill(does, WIDTH), self._shown_examples(), more.rstrip()]
        super().__init__(
            prog=f"beam-mat {command}",
            usage=usage,
            description="\n\n".join(text for text in shown if text),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def _shown_examples(self) -> str:
        return "Examples:\n" + "\n".join(f"  {example}" for example in self.examples)

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """What was typed.

        Args:
            argv: What follows the command.

        Raises:
            ConfigError: A word cannot be taken.
            NothingAskedError: There is no word, and the command needs one.
        """
        self.hold_to_words(argv)
        typed, unknown = self.parse_known_args(list(argv))
        if unknown:
            raise ConfigError(self.unknown(unknown))
        return typed

    def hold_to_words(self, argv: Sequence[str], wanted: Iterable[str] | None = None) -> None:
        """Holds on where nothing was typed, with what could be.

        Args:
            argv: What follows the command.
            wanted: What it cannot do without, a line each; by default its positional arguments.

        Raises:
            NothingAskedError: There is no word, and something is wanted.
        """
        if wanted is None:
            wanted = [
                f"{action.metavar or action.dest}: {action.help}"
                for action in self._get_positional_actions()
                if action.required
            ]
        lines = list(wanted)
        if argv or not lines:
            return
        needs = "\n".join(f"  {line}" for line in lines)
        raise NothingAskedError(
            f"{textwrap.fill(self.does, WIDTH)}\n\nIt needs\n{needs}\n\n{_AS_TYPED}\n"
            + "\n".join(f"  {example}" for example in self.examples[:2])
            + f"\n\n{self.prog} --help tells the rest."
        )

    def unknown(self, words: Sequence[str]) -> list[str]:
        """A fault for each word that nothing takes."""
        known = [option for action in self._actions for option in action.option_strings]
        return [no_such_option(word, self.command, known) for word in words]

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print below a stack of usage lines."""
        raise ConfigError([explained(message, self.command, self.examples[0])])


def no_such_option(word: str, command: str, known: Iterable[str]) -> str:
    """The fault of a word that no option takes.

    >>> no_such_option("--ouput", "convert", ["--output", "--json"])
    '--ouput: no such option; did you mean --output? see beam-mat convert --help'
    """
    name = word.partition("=")[0]
    if not word.startswith("-"):
        return f"{word}: a word too many, no option takes it; see beam-mat {command} --help"
    near = _nearest(name, known)
    return f"{name}: no such option;{near} see beam-mat {command} --help"


def no_such_command(word: str, known: Sequence[str]) -> str:
    """The fault of a first word that is no command.

    >>> no_such_command("covert", ["convert", "check"])
    'covert: no such command; did you mean convert? there are convert, check'
    """
    return f"{word}: no such command;{_nearest(word, known)} there are {', '.join(known)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" did you mean {near[0]}?" if near else ""


_EXPLANATIONS = (
    (r"argument (\S+): invalid int value: '(.*)'", r"\1 \2: give a whole number, such as \1 10"),
    (r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", r"\1 \2: give one of \3"),
    (r"argument (\S+): expected one argument", r"\1: its value is missing; give one behind it"),
    (
        r"argument (\S+): expected at least one argument",
        r"\1: its value is missing; give one or more behind it",
    ),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1: excludes \2; give one of the two"),
    (
        r"argument (\S+): ignored explicit argument '(.*)'",
        r"\1=\2: it takes no value; leave =\2 out",
    ),
    (r"argument ([^:]+): (.*)", r"\1: \2"),
)


def explained(message: str, command: str, example: str = "") -> str:
    """What argparse finds wrong, as a fault: value, cause and cure.

    >>> explained("argument --shards: invalid int value: 'many'", "sample")
    '--shards many: give a whole number, such as --shards 10; see beam-mat sample --help'
    """
    wanted = re.fullmatch(r"the following arguments are required: (.*)", message)
    if wanted:
        return f"{wanted[1]} is missing: name it, as in {example}"
    for pattern, words in _EXPLANATIONS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return f"{found.expand(words)}; see beam-mat {command} --help"
    return f"{message}; see beam-mat {command} --help"
