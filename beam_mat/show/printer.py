"""Prints trajectories and rejected records on a terminal.

Every text of a record goes through `beam_mat.core.display` and is given to rich as `Text`, never as
markup.
"""

from __future__ import annotations

import io
import posixpath
import warnings

from PIL import Image
from rich.console import Console
from rich.filesize import decimal
from rich.rule import Rule
from rich.text import Text

from beam_mat.core.contract.examine import decode
from beam_mat.core.display import one_line, visible
from beam_mat.core.errors import BeamMatError
from beam_mat.core.image import FORMATS
from beam_mat.core.record import IMAGE
from beam_mat.core.reject import Reject
from beam_mat.show.conversation import (
    RECORD,
    Conversation,
    Picture,
    conversation_of,
    images_by_turn,
    text_of,
)
from beam_mat.storage import files

STYLES = {
    "system": "magenta",
    "user": "cyan",
    "human": "cyan",
    "assistant": "green",
    "gpt": "green",
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

    def conversation(self, found: Conversation) -> None:
        """Prints a trajectory, turn by turn, each with its images."""
        before = {"system": found.system, **found.extra} if found.system else found.extra
        for name, text in before.items():
            self._heading(name, f"{len(text):,} characters")
            self._body(self._shortened(text))
        of_turns, unnamed = images_by_turn(found)
        for number, turn in enumerate(found.turns):
            self._heading(turn.role, f"turn {number + 1} of {len(found.turns)}")
            self._body(turn.content)
            self._images(found, of_turns[number])
        if unnamed:
            self._heading("images", f"not referenced by any {IMAGE}")
            self._images(found, unnamed)

    def value(self, value: object) -> None:
        """Prints a row that is not a trajectory."""
        self._body(self._cut(text_of(value), RECORD_CHARACTERS))

    def reject(self, reject: Reject, *, briefly: bool) -> None:
        """Prints why a record was rejected, where it is, what to do about it, and the record.

        With `briefly`, only the beginning of the record is printed.
        """
        self.line(f"{reject.reason.value}: {reject.detail}", "bold red")
        self.line(reject.reason.sentence)
        self.line(
            f"in {reject.source}, record {reject.index}, bytes {reject.start} to {reject.end}"
        )
        if briefly:
            self._body(self._cut(reject.record, BRIEF_CHARACTERS))
            return
        try:
            value = decode(reject.record.encode("utf-8", "surrogatepass"))
        except ValueError:
            value = None
        found = conversation_of(value, RECORD)
        if found is None or not isinstance(value, dict):
            self._heading("the record as it is", f"{len(reject.record):,} characters")
            self.value(reject.record)
            if reject.record_truncated:
                self.line("  … the rest is only in the shard", "dim")
            return
        self.conversation(found)
        if value.get("image"):
            self._heading("image", "as in the record")
            self.value(value["image"])

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

    def _images(self, found: Conversation, places: list[int]) -> None:
        for place in places:
            picture = found.images[place]
            path = picture.path or "(no path)"
            about = _describe(picture, self._folder)
            self.line(f"  image {place + 1}: {path}  {about}", "yellow")

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
    if picture.data is not None:
        return f"{_measured(picture.data)}, {decimal(len(picture.data))} in the row"
    path = picture.path
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
    return f"{_measured(head)}, {decimal(size)}"


def _measured(head: bytes) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(head), formats=FORMATS) as image:
                return f"{image.width} × {image.height} {image.format}"
    # Hostile bytes can make decoders raise anything.
    except Exception:  # noqa: BLE001
        return "not a readable picture"
