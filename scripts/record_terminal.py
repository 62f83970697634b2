"""Records a real session of beam-mat in a terminal as an animated SVG.

    python scripts/record_terminal.py docs/terminal.svg

The commands run in an empty folder on a pseudo-terminal, and rich draws their output. Each line
appears after the same time as in the session, except that long pauses are shortened.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
LONGEST_PAUSE = 1.2
READING = 1.5
"""Seconds between the end of a command and the next command."""

SESSION = (
    "beam-mat sample demo --faults",
    "beam-mat convert --json demo/mat_train.json --images demo/files.zip --output dataset "
    "--limit 12",
    "beam-mat show dataset --rejected --index 3",
    "beam-mat show dataset",
)


def main() -> None:
    """Records the session and writes the SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("svg", type=Path)
    target = parser.parse_args().svg
    with tempfile.TemporaryDirectory() as folder:
        lines = list(record(Path(folder)))
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    for _, line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    svg = console.export_svg(title="beam-mat", unique_id="beam-mat")
    target.write_text(animated(svg, [moment for moment, _ in lines]), encoding="utf-8")
    print(f"{len(lines)} lines, {target.stat().st_size:,} bytes in {target}")


def record(folder: Path) -> Iterator[tuple[float, Text]]:
    """Runs the session and yields each line with the second at which it appears."""
    moment = 0.0
    for command in SESSION:
        prompt = Text("$ ", style="bold green")
        yield moment, prompt.append(command, style="bold")
        moment += READING / 2
        last = None
        for at, line in run(command, folder):
            moment += min(LONGEST_PAUSE, at - last) if last is not None else 0
            last = at
            yield moment, Text.from_ansi(line)
        yield moment, Text("")
        moment += READING


def run(command: str, folder: Path) -> Iterator[tuple[float, str]]:
    """Runs a command on a pseudo-terminal and yields each line that it prints with its time."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    programs = Path(sys.executable).parent
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.DEVNULL,  # the progress bar redraws itself and cannot be shown as lines
    )
    os.close(slave)
    rest = b""
    while block := _read(master):
        *lines, rest = (rest + block).split(b"\n")
        yield from ((time.monotonic(), line.decode().rstrip("\r")) for line in lines)
    os.close(master)
    if process.wait():
        raise SystemExit(f"{command} exited with status {process.returncode}")


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # Linux reports the end of a pseudo-terminal as an error
        return b""


def animated(svg: str, moments: list[float]) -> str:
    """Animates the lines of rich's SVG, and removes its references to web fonts."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")

    def delayed(found: re.Match[str]) -> str:
        moment = moments[min(int(found[2]), len(moments) - 1)]
        return f'{found[1]} style="animation-delay:{moment:.2f}s"'

    svg = re.sub(r'(clip-path="url\(#beam-mat-line-(\d+)\)")', delayed, svg)
    style = """
    @keyframes appear { from { visibility: hidden } to { visibility: visible } }
    @media (prefers-reduced-motion: no-preference) {
        .beam-mat-matrix text { animation: appear 0.01s both }
    }
    </style>"""
    return svg.replace("</style>", style, 1)


if __name__ == "__main__":
    main()
