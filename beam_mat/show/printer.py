"""Prints trajectories and rejected records on a terminal.

Rows are read leniently, because people look at odd ones. Every text of a record goes through
`beam_mat.core.display` and is given to rich as `Text`, never as markup.
"""

import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.rule import Rule
from rich.text import Text

from beam_mat.core.contract.entry import ANSWERS, Entry
from beam_mat.core.contract.examine import decode
from beam_mat.core.display import one_line, visible
from beam_mat.core.errors import BeamMatError
from beam_mat.core.header import HeaderFault, read_header
from beam_mat.core.reject import Reject
from beam_mat.core.trajectory import IMAGE, Turn
from beam_mat.show.record import RECORD, row_of
from beam_mat.show.tools import CALLS, calls, results, tools
from beam_mat.storage import files

Picture = tuple[str, bytes | None]
"""An image of a row: its path or "", and its bytes if the row contains them."""
STYLES = {
    "system": "magenta",
    "user": "cyan",
    "human": "cyan",
    "assistant": "green",
    "gpt": "green",
    "chosen": "green",
    "rejected": "red",
}
SHORT_LINES = 4
SHORT_CHARACTERS = 300
"""How much of a system prompt is shown. MAT's has 13,000 characters, the same in every record."""
RECORD_CHARACTERS = 4000
BRIEF_CHARACTERS = 400
INDENT = "  "
HEAD_BYTES = 1 << 20
"""How much of an image file is read to find its size."""


class Printer:
    """Prints to a console. Image paths start from `folder`; with `full`, nothing is shortened."""

    def __init__(self, console: Console, folder: str, *, full: bool) -> None:
        self._console = console
        self._folder = folder
        self._full = full

    def line(self, text: str, style: str = "") -> None:
        """Prints a line that may contain anything."""
        self._console.print(Text(one_line(text), style=style), soft_wrap=True, highlight=False)

    def conversation(self, row: object, entry: Entry) -> bool:
        """Prints the trajectory of a row, each turn with its images. Returns False without one.

        The n-th ``<image>`` is the n-th image, as LLaMA-Factory counts.
        """
        messages = row.get(entry.columns["messages"]) if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(messages, list) or not messages:
            return False
        columns = {name: row.get(column) for name, column in entry.columns.items()}
        turns = [_turn(message, entry.tags) for message in messages]
        system = columns.get("system")
        if turns[0].role == entry.tags.get("system_tag", "system") and not system:
            system = turns.pop(0).content
        before = {"system": _text_of(system), "tools": self._tools(columns.get("tools"))}
        before |= {name: _text_of(columns.get(name) or "") for name in ("videos", "audios")}
        for name, text in before.items():
            if text:
                self._heading(name, f"{len(text):,} characters")
                self._body(self._shortened(text))
        pictures = list(enumerate(_pictures(columns.get("images")), 1))
        calls = {*CALLS, entry.tags.get("function_tag")}
        used = 0
        for number, turn in enumerate(turns, 1):
            self._heading(turn.role, f"turn {number} of {len(turns)}")
            used += self._content(turn, turn.role in calls, pictures[used:])
        most = 0
        for name in ANSWERS:
            # Both answers follow the same turns, so both continue with the same image.
            if columns.get(name) is not None:
                answer = _turn(columns[name], entry.tags)
                self._heading(name, f"answer with the role {answer.role}")
                shown = self._content(answer, answer.role in calls, pictures[used:])
                most = max(most, shown)
        label = columns.get("kto_tag")
        if label is not None:
            self._heading("kto_tag", "whether the last answer is wanted")
            self._body(_text_of(label))
        if unnamed := pictures[used + most :]:
            self._heading("images", f"not referenced by any {IMAGE}")
            self._images(unnamed)
        return True

    def _content(self, turn: Turn, has_calls: bool, pictures: Sequence[tuple[int, Picture]]) -> int:
        """Prints the content of a turn, and the first of the images. Returns their number."""
        text = results(turn.content)
        if has_calls and not self._full:
            text = calls(text)
        self._body(text)
        asked = turn.content.count(IMAGE)
        self._images(pictures[:asked])
        return min(asked, len(pictures))

    def _tools(self, value: object) -> str:
        if value in (None, "", "[]", []):
            return ""
        return _text_of(value) if self._full else tools(value)

    def value(self, value: object) -> None:
        """Prints a row that is not a trajectory."""
        self._body(self._cut(_text_of(value), RECORD_CHARACTERS))

    def reject(self, reject: Reject, *, briefly: bool) -> None:
        """Prints why a record was rejected, where it is, what to do about it, and the record.

        With `briefly`, only the beginning of the record is printed.
        """
        self.line(f"{reject.reason.value}: {reject.detail}", "bold red")
        self.line(reject.reason.sentence)
        span = f"bytes {reject.start} to {reject.end}"
        self.line(f"in {reject.source}, record {reject.index}, {span}")
        if briefly:
            self._body(self._cut(reject.record, BRIEF_CHARACTERS))
            return
        try:
            value = decode(reject.record.encode("utf-8", "surrogatepass"))
        except ValueError:
            value = None
        read = row_of(value)
        if read is None or not self.conversation(read[0], RECORD):
            self._heading("the record as it is", f"{len(reject.record):,} characters")
            self.value(reject.record)
            if reject.record_truncated:
                self.line("  … the rest is only in the shard", "dim")
        elif others := {name: item for name, item in read[1].items() if item}:
            self._heading("other keys", "as in the record")
            self.value(others)

    def _heading(self, role: str, aside: str) -> None:
        title = Text(one_line(role), style=f"bold {STYLES.get(role, 'yellow')}")
        title.append(f"  {aside}", style="dim")
        title.truncate(max(20, self._console.width - 8), overflow="ellipsis")
        self._console.print(Rule(title, align="left", style="dim"))

    def _body(self, text: str) -> None:
        shown = Text(visible(text.rstrip("\n")).expandtabs(4))
        shown.highlight_words([IMAGE], "bold yellow")
        for line in shown.wrap(self._console, max(20, self._console.width - len(INDENT))):
            line.rstrip()
            self._console.print(Text(INDENT) + line, soft_wrap=True, highlight=False)

    def _images(self, images: Iterable[tuple[int, Picture]]) -> None:
        for number, picture in images:
            about = _describe(picture, self._folder)
            self.line(f"  image {number}: {picture[0] or '(no path)'}  {about}", "yellow")

    def _shortened(self, text: str) -> str:
        short = "\n".join(text.splitlines()[:SHORT_LINES])[:SHORT_CHARACTERS]
        if len(short) >= len(text.rstrip()):
            return text
        end = max(short.rfind(" "), short.rfind("\n"))
        return self._cut(text, end if end > 0 else len(short))

    def _cut(self, text: str, most: int) -> str:
        if self._full or len(text) <= most:
            return text
        return f"{text[:most]}\n… {len(text) - most:,} more characters: --full prints them"


def _describe(picture: Picture, folder: str) -> str:
    """The size, format and bytes of an image, or why they are unknown. Nothing is decoded."""
    path, data = picture
    if data is not None:
        return f"{measured(data)}, {decimal(len(data))} in the row"
    # A row may name anything. Opening it could contact a server, so nothing outside is opened.
    outside = path.startswith("/") or "://" in path or "::" in path
    if outside or ".." in path.split("/") or posixpath.normpath(path) == ".":
        return "not opened, because its path is not inside the dataset"
    try:
        uri = files.join(folder, path)
        size = files.info(uri).size
        head = files.read_range(uri, 0, min(size, HEAD_BYTES))
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError, BeamMatError) as error:
        return f"cannot be read: {error}"
    return f"{measured(head)}, {decimal(size)}"


def measured(head: bytes) -> str:
    """The size and format of an image file that begins with these bytes. Nothing is decoded."""
    # No decoder sees the file here: this process has no limits of memory and time.
    try:
        header = read_header(head)
    except HeaderFault as fault:
        return f"not a readable picture: {fault.detail}"
    if header is None or header.size is None:
        return "not a readable picture"
    return f"{header.size[0]} × {header.size[1]} {header.format}"


def _turn(message: object, tags: dict[str, str]) -> Turn:
    if not isinstance(message, dict):
        return Turn("(no role)", _text_of(message))
    role = message.get(tags.get("role_tag", "role"), "(no role)")
    return Turn(_text_of(role), _text_of(message.get(tags.get("content_tag", "content"))))


def _pictures(images: object) -> Iterator[Picture]:
    for image in images if isinstance(images, list) else [images]:
        match image:
            case None:
                continue
            case bytes():
                yield "", image
            case {"bytes": bytes() as data, **rest}:
                yield _text_of(rest.get("path") or ""), data
            case {"path": str() as path}:
                yield path, None
            case _:
                yield _text_of(image), None


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False, indent=1, default=repr)
    except (ValueError, RecursionError):
        return repr(type(value))
