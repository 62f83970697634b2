"""A zip on a store is read where it lies: little more than what is wanted, in few requests."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator

import pytest

from beam_mat.core.image import ImageFault
from beam_mat.core.reject import Reason
from beam_mat.storage import catalog, files, stores
from beam_mat.storage.catalog import fetch, load
from tests.build import with_entry, zip64_end, zip_of
from tests.stands import reach
from tests.stands.proxy import Faults, Proxy, proxied

pytestmark = pytest.mark.stands

NOISE = random.Random(9).randbytes(80 << 20)


@pytest.fixture(params=["gs", "s3"])
def far(request: pytest.FixtureRequest) -> Iterator[tuple[str, Proxy]]:
    """The uri of a zip, and the proxy on the way to it."""
    kind = "google" if request.param == "gs" else "amazon"
    with proxied(request.getfixturevalue(kind)) as proxy:
        options = reach.google if kind == "google" else reach.amazon
        stores.use(options(proxy.url))
        folder = f"{request.param}://tests/{request.node.name}"
        yield f"{folder}/images.zip", proxy
        proxy.faults = Faults()
        files.remove(folder)
        stores.use({})


def entries(sizes: list[int]) -> dict[str, bytes]:
    """Members of these sizes."""
    at = 0
    found = {}
    for number, size in enumerate(sizes):
        found[f"tongagent/coco/train2017/{number:012d}.jpg"] = NOISE[at : at + size]
        at += size
    return found


def cost(proxy: Proxy, since: int) -> tuple[int, int]:
    """Requests, and the bytes of their answers, listings and look-ups included."""
    asked = proxy.seen[since:]
    return len(asked), sum(seen.bytes for seen in asked)


LOOKS = 6
"""Requests to see that a zip is there, and is no folder: what its driver takes for that."""


def test_all_of_a_zip_costs_one_request_for_four_mebibytes(far: tuple[str, Proxy]) -> None:
    uri, proxy = far
    chance = random.Random(4)
    held = entries([chance.randrange(2_000, 200_000) for _ in range(700)])
    wanted = sum(map(len, held.values()))
    assert wanted > 64 << 20
    files.write_bytes(uri, zip_of(held, zipfile.ZIP_STORED), "")
    before = len(proxy.seen)
    members = list(catalog.members(uri, 0))
    requests, size = cost(proxy, before)
    assert requests <= LOOKS + 2  # its end, its directory
    assert size < 130 * len(held) + 10_000
    for number in {member.batch for member in members}:
        batch = [member for member in members if member.batch == number]
        for member, entry in fetch(batch):
            assert load(member, entry) == held[member.path]
    requests, size = cost(proxy, before)
    assert requests <= wanted / (4 << 20)
    assert size <= 1.05 * wanted


def test_of_scattered_members_only_these_are_read(far: tuple[str, Proxy]) -> None:
    uri, proxy = far
    held = entries([50_000] * 300)
    files.write_bytes(uri, zip_of(held, zipfile.ZIP_STORED), "")
    members = list(catalog.members(uri, 0))
    chance = random.Random(6)
    chosen = [member for member in members if chance.random() < 0.6]
    before = len(proxy.seen)
    for member, entry in fetch(chosen):
        assert load(member, entry) == held[member.path]
    _, size = cost(proxy, before)
    assert size <= 1.05 * sum(member.size for member in chosen)


@pytest.mark.parametrize("form", ["plain", "zip64", "comment", "prefix"])
def test_every_form_of_zip_is_listed(far: tuple[str, Proxy], form: str) -> None:
    uri, proxy = far
    held = entries([100_000] * 40)
    data = zip_of(held, comment=b"so it is" if form == "comment" else b"")
    data = zip64_end(data) if form == "zip64" else data
    files.write_bytes(uri, b"#!/bin/sh" * 99 + data if form == "prefix" else data, "")
    before = len(proxy.seen)
    members = list(catalog.members(uri, 0))
    requests, size = cost(proxy, before)
    assert requests <= LOOKS + (3 if form == "comment" else 2)
    assert size < 130 * len(held) + (80_000 if form == "comment" else 10_000)
    assert {member.path: load(member, entry) for member, entry in fetch(members)} == held


def test_damage_on_the_way_is_told_from_damage_in_the_zip(far: tuple[str, Proxy]) -> None:
    uri, proxy = far
    held = entries([10_000] * 5)
    files.write_bytes(uri, with_entry(zip_of(held), 3, crc=7), "")
    members = list(catalog.members(uri, 0))
    found = dict(fetch(members))
    before = len(proxy.seen)
    damaged = bytearray(found[members[1]])  # type: ignore[arg-type]
    damaged[500] ^= 1
    assert load(members[1], memoryview(bytes(damaged))) == held[members[1].path]
    assert cost(proxy, before)[0] == 1
    result = load(members[3], found[members[3]])
    assert isinstance(result, ImageFault)
    assert result.reason is Reason.MEMBER_DAMAGED


def test_answers_that_are_short_or_cut_cost_no_member(far: tuple[str, Proxy]) -> None:
    uri, proxy = far
    held = entries([300_000] * 80)
    files.write_bytes(uri, zip_of(held, zipfile.ZIP_STORED), "")
    members = list(catalog.members(uri, 0))
    proxy.faults = Faults(short=0.7, cut=0.3, on=lambda method, _: method == "GET", most=4)
    assert {member.path: load(member, entry) for member, entry in fetch(members)} == held
    assert len(proxy.made) == 4
