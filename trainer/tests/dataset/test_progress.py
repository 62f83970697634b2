import io

import pytest

from mat_trainer.dataset.progress import BYTES, ROWS, bar, lines, shown


def test_lines_come_now_and_then_and_at_the_end() -> None:
    out = io.StringIO()
    times = iter([0.0, 1.0, 11.0, 11.0, 12.0])
    with lines("Staging", 4_000_000, BYTES, out=out, clock=lambda: next(times)) as advance:
        advance(1_000_000)
        advance(1_000_000)
        advance(2_000_000)
    assert out.getvalue().splitlines() == [
        "Staging: 2.0 of 4.0 MB, 50%",
        "Staging: 4.0 of 4.0 MB, 100%",
    ]


def test_where_there_is_no_terminal_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("Measuring", 3, ROWS) as advance:
        advance(3)
    assert capsys.readouterr().err == "Measuring: 3 of 3 rows, 100%\n"


def test_a_bar_names_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("Verifying", 3, ROWS) as advance:
        advance(3)
    assert "Verifying" in capsys.readouterr().err
