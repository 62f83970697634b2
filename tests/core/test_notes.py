"""What decides a chunk's output, in one hash."""

from __future__ import annotations

from beam_mat.core.image import ImageFault
from beam_mat.core.notes import ImageOutcome, outcomes_digest
from beam_mat.core.reject import Reason

A, B = ImageOutcome("a", content="1"), ImageOutcome("b", content="2")
GONE = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is nowhere"))


def test_order_decides_nothing() -> None:
    assert outcomes_digest([A, B], {3, 1}) == outcomes_digest([B, A], [1, 3])


def test_all_else_does() -> None:
    detail = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is elsewhere"))
    content = ImageOutcome("b", content="3")
    cases: list[tuple[list[ImageOutcome], list[int]]] = [
        ([A, B], []),
        ([A], []),
        ([A, GONE], []),
        ([A, detail], []),
        ([A, content], []),
    ]
    digests = {outcomes_digest(*case) for case in [*cases, ([A, B], [1])]}
    assert len(digests) == len(cases) + 1
