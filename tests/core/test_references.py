"""What decides a chunk's output, in one hash."""

from __future__ import annotations

from beam_mat.core.image import ImageFault
from beam_mat.core.references import ImageOutcome, outcomes_digest
from beam_mat.core.reject import Reason

A, B = ImageOutcome("a", file="images/a.1.jpg"), ImageOutcome("b", file="images/b.2.jpg")
GONE = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is nowhere"))


def test_order_decides_nothing() -> None:
    assert outcomes_digest([A, B], {3, 1}) == outcomes_digest([B, A], [1, 3])


def test_all_else_does() -> None:
    detail = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is elsewhere"))
    other_bytes = ImageOutcome("b", file="images/b.3.jpg")
    tokens = ImageOutcome("b", file="images/b.2.jpg", tokens=(1, 2))
    cases: list[tuple[list[ImageOutcome], list[int]]] = [
        ([A, B], []),
        ([A], []),
        ([A, GONE], []),
        ([A, detail], []),
        ([A, other_bytes], []),
        ([A, tokens], []),
    ]
    digests = {outcomes_digest(*case) for case in [*cases, ([A, B], [1])]}
    assert len(digests) == len(cases) + 1
