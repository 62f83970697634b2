"""What is wrong on a command line, in sentences that name the value, the cause and the cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence


def unexpected(word: str, command: str, known: Iterable[str]) -> str:
    """The fault of a word that no argument or option accepts.

    >>> unexpected("--ouput", "convert", ["--output", "--json"])
    '--ouput: unknown option; did you mean --output? see beam-mat convert --help'
    """
    if not word.startswith("-"):
        return f"{word}: unexpected argument; see beam-mat {command} --help"
    name = word.partition("=")[0]
    return f"{name}: unknown option;{_nearest(name, known)} see beam-mat {command} --help"


def no_such_command(word: str, known: Sequence[str]) -> str:
    """The fault of a first word that is not a command.

    >>> no_such_command("covert", ["convert", "check"])
    'covert: unknown command; did you mean convert? the commands are convert, check'
    """
    return f"{word}: unknown command;{_nearest(word, known)} the commands are {', '.join(known)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f" did you mean {near[0]}?" if near else ""


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


def explained(message: str, command: str, example: str = "") -> str:
    """Turns an error of argparse into a sentence with value, cause and cure.

    >>> explained("argument --shards: invalid int value: 'many'", "sample")
    '--shards many: give a whole number, such as --shards 10; see beam-mat sample --help'
    """
    wanted = re.fullmatch(r"the following arguments are required: (.*)", message)
    if wanted:
        return f"{wanted[1]} is missing: name it, for example {example}"
    for pattern, words in _EXPLANATIONS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return f"{found.expand(words)}; see beam-mat {command} --help"
    return f"{message}; see beam-mat {command} --help"
