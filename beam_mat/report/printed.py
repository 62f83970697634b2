"""What is printed about a dataset: the summary of a conversion, the log, a diff and a vacuum."""

import itertools
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Column, Table

from beam_mat.core import layout
from beam_mat.core.display import one_line, visible
from beam_mat.core.errors import ConfigError
from beam_mat.core.results import Part, RejectCount, ShardSummary, sum_rejected
from beam_mat.core.statistics import PixelBoxes
from beam_mat.core.trajectory import Schema
from beam_mat.dataset import log
from beam_mat.dataset.commit import Content, Snapshot, in_order
from beam_mat.dataset.diff import CAME, CHANGED, WENT, Diff
from beam_mat.dataset.vacuum import Garbage
from beam_mat.dataset.views import Manifest, entry_name, read_manifest

_STEPS = ("split", "request", "catalog", "images", "write", "summarise", "mix")
MAX_EXAMPLE = 160
MAX_UNKNOWN = 10
SHOWN = 20
"""Changes of a kind that are printed; --json prints all."""


def print_summary(
    console: Console,
    output: str,
    content: Content,
    seconds: float,
    spent: Mapping[str, float],
    missing: Sequence[str] = (),
) -> None:
    """Prints the summary of a job that took `seconds` and writes to `output`.

    `spent` has the seconds of work of each step, summed over all workers; steps may run in
    parallel. `missing` are sentences on missing images (`report.missing`).
    """
    counts = content.counts
    _print_records(console, content)
    images = {"requested": sum(counts["images"].values()), **counts["images"]}
    sizes = {
        "bytes before": decimal(counts["image_source_bytes"]),
        "bytes after": decimal(counts["image_bytes"]),
    }
    seen = {f"note: {note}": number for note, number in counts["image_notes"].items()}
    console.print(_counts("Images", images | sizes | seen))
    _print_missing(console, missing)
    shards = content.shards.values()
    boxes = sum((one.statistics.pixel_boxes for one in shards), PixelBoxes())
    if boxes.records:
        for line in _pixel_boxes(output, boxes):
            console.print(escape(one_line(line)), soft_wrap=True)
    times = ", ".join(f"{step} {spent[step]:.1f} s" for step in _STEPS if step in spent)
    spent_on = f" ({times})" if times else ""
    console.print(f"Time: {seconds:.1f} s{spent_on}", soft_wrap=True)


def print_dry_run(
    console: Console,
    content: Content,
    reads: Mapping[str, tuple[int, int]],
    missing: Sequence[str],
) -> None:
    """Prints what a conversion would do.

    `content` is as for a conversion, without any file. `reads` are the number of images that would
    be read from each source, and their bytes in it, by URI. `missing` is as for `print_summary`.
    """
    _print_records(console, content)
    images = content.counts["images"]
    console.print(_counts("Images", {"requested": sum(images.values()), **images}))
    shards = sum(one.size for one in content.shards.values())
    console.print("[bold]Would be read[/bold]")
    console.print(f"  {decimal(shards)} of JSON, twice")
    largest = sorted(reads, key=lambda uri: (-reads[uri][1], uri))
    places = {uri: [uri] for uri in largest[:SHOWN]}
    if more := largest[SHOWN:]:
        places[f"{len(more):,} more sources"] = more
    for place, uris in places.items():
        number, size = (sum(reads[uri][at] for uri in uris) for at in (0, 1))
        noun = "image" if number == 1 else "images"
        said = f"{decimal(size)} of {place}, {number:,} {noun}"
        console.print(f"  {escape(one_line(said))}", soft_wrap=True)
    _print_missing(console, missing)
    console.print(
        "Nothing was written. No image was read, so broken images are not known yet.",
        soft_wrap=True,
    )


def _print_records(console: Console, content: Content) -> None:
    counts = content.counts
    records = {
        "input": counts["records"],
        "accepted": counts["accepted"],
        "rejected": counts["rejected"],
    }
    if counts["respelled_words"]:
        records["words respelled"] = counts["respelled_words"]
    records |= counts["changes"]
    console.print(_counts("Records", records))
    shards = in_order(content.shards.values())
    _print_schemas(console, shards)
    if unknown := counts["unknown_keys"]:
        few = dict(itertools.islice(unknown.items(), MAX_UNKNOWN))
        rest = len(unknown) - len(few)
        title = "Unknown keys, which are ignored"
        console.print(_counts(title, few | ({"more, see manifest.json": rest} if rest else {})))
    if rejected := sum_rejected(found for one in shards for found in one.rejected):
        console.print(_rejects(rejected.values()))
    lines = list(_shard_lines(shards))
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"{len(lines) - SHOWN:,} more such lines: see inputs in manifest.json"]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_missing(console: Console, missing: Sequence[str]) -> None:
    if missing:
        console.print("[bold]Missing images[/bold]")
    for sentence in missing:
        console.print(f"  {escape(one_line(sentence))}", soft_wrap=True)


def _shard_lines(shards: Iterable[ShardSummary]) -> Iterator[str]:
    """Says of a shard that it breaks off, or that its records are in a list of one object."""
    for one in shards:
        name = one_line(one.uri.rsplit("/", 1)[-1])
        if one.key:
            yield f"{name}: its records are the list {one_line(one.key)!r} of one object"
        if broken := one.broken:
            kind = " decompressed" if one.compression else ""
            yield (
                f"{name} breaks off at byte {broken.start:,}: {broken.unread:,} of "
                f"{broken.size:,}{kind} bytes were not read ({one_line(broken.detail)}); download "
                "or write it again"
            )


def _pixel_boxes(output: str, found: PixelBoxes) -> list[str]:
    have = "records have" if found.records != 1 else "record has"
    place = shlex.quote(output)
    return [
        f"Warning: {found.records:,} accepted {have} resized images, and text with what looks like "
        "boxes in pixels of the original images, which do not fit any more. Look at them, and "
        "raise --max-pixels if they are boxes (docs/images.md):",
        *(f"  beam-mat show {place} {shlex.quote(f'--id={id}')}" for id in found.examples),
    ]


def next_command(output: str, parts: Sequence[Part], name: str = "mat") -> str:
    """The commands to run next on a published dataset, which may have no part.

    `name` is the name of its entries.
    """
    if not parts:
        return f"No record was accepted; the reasons are in {output}/rejects"
    place = shlex.quote(output)
    lines = [
        f"Dataset in {output}",
        f"To inspect it: open {output}/{layout.REPORT}, or run beam-mat show {place}",
    ]
    lines += [
        f"To train on it: llamafactory-cli train YOUR.yaml{f' stage={stage}' if stage else ''} "
        f"dataset={','.join(names)} dataset_dir={place} media_dir={place}"
        for stage, names in _entries(parts, name).items()
    ]
    return "\n".join(lines)


def _entries(parts: Sequence[Part], name: str) -> dict[str, list[str]]:
    """The entries to train on, by LLaMA-Factory's stage; "" is supervised training.

    Those without images come last: LLaMA-Factory fails if 1,000 such rows come first.
    """
    format, split = min((part.format, part.split) for part in parts)
    subsets = {part.subset for part in parts}
    with_images = {part.subset for part in parts if part.image_rows}
    stages = dict[str, list[str]]()
    for subset in sorted(subsets, key=lambda one: (one not in with_images, one)):
        if any((format, split, subset) == (one.format, one.split, one.subset) for one in parts):
            stage = {"ranking": "dpo", "kto": "kto"}.get(subset.split("_")[0], "")
            entry = entry_name(name, format, subset, split, subsets)
            stages.setdefault(stage, []).append(entry)
    return stages


def nothing_to_do(output: str, manifest: Manifest) -> str:
    """The message for a dataset that is already complete."""
    accepted, records = manifest.counts["accepted"], manifest.counts["records"]
    return (
        f"Nothing to do: all {records:,} records of these inputs are already converted "
        f"({accepted:,} accepted)\n"
        f"{next_command(output, manifest.parts, manifest.configuration['name'])}"
    )


def say(console: Console, text: str) -> None:
    """Prints lines that may contain names from inputs and from files of others."""
    console.print(visible(text), soft_wrap=True, markup=False)


def _table(title: str, *columns: Column | str, **options: Any) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", **options)


def _number(name: str = "") -> Column:
    return Column(name, justify="right")


def _counts(title: str, counts: Mapping[str, int | str]) -> Table:
    table = _table(title, "", _number(), show_header=False)
    for name, count in counts.items():
        table.add_row(escape(one_line(name)), f"{count:,}" if isinstance(count, int) else count)
    return table


def _print_schemas(console: Console, shards: Iterable[ShardSummary]) -> None:
    """Says how the shards are read, and for each schema what has decided it first."""
    by_schema = dict[Schema, list[ShardSummary]]()
    for one in shards:
        by_schema.setdefault(one.schema, []).append(one)
    table = _table("Schemas", "schema", _number("shards"), "decided by")
    for schema, (first, *more) in by_schema.items():
        why = f"{first.uri.rsplit('/', 1)[-1]} {first.why}" if first.why else "--schema"
        table.add_row(schema.value, f"{1 + len(more):,}", escape(one_line(why)))
        if len(by_schema) == 1:
            said = f"Read as {schema.value}, decided by {why}"
            console.print(escape(one_line(said)), soft_wrap=True)
            return
    if by_schema:
        console.print(table)


def _rejects(rejected: Iterable[RejectCount]) -> Table:
    table = _table("Rejected", Column("reason", no_wrap=True), _number("records"), "example")
    for found in rejected:
        first = found.first
        named = f" (id {first.id})" if first.id else ""
        detail = first.detail.replace("\n", " ")
        detail = detail if len(detail) <= MAX_EXAMPLE else detail[:MAX_EXAMPLE] + "…"
        place = f"{first.source.rsplit('/', 1)[-1]} record {first.index}{named}: {detail}"
        table.add_row(found.reason.value, f"{found.count:,}", escape(one_line(place)))
    return table


def read_log(output: str) -> list[dict[str, Any]]:
    """Returns the generations of a dataset, oldest first, or raises a ConfigError if there is none.

    Each has counts of the whole dataset, and what came and went with it. `shards_added` are new or
    changed. `builds_on` is None where the log starts anew.
    """
    lines: list[dict[str, Any]] = []
    before = Snapshot()
    for commit in log.commits(output):
        if commit.previous not in (0, before.number):
            before = Snapshot()  # vacuum has removed the generations before it
        known = {uri: one.content for uri, one in before.shards.items()}
        new = [one for one in commit.shards.added if known.get(one.uri) != one.content]
        counts = commit.counts
        lines.append(
            {
                "generation": commit.generation,
                "command": commit.command,
                "records": counts["records"],
                "accepted": counts["accepted"],
                "rejected": counts["rejected"],
                "images": sum(counts["images"].values()),
                "shards_added": len(new),
                "shards_removed": len(commit.shards.removed),
                "sources_added": len(commit.sources.added),
                "sources_removed": len(commit.sources.removed),
                "parts_added": len(commit.parts.added),
                "parts_removed": len(commit.parts.removed),
                "builds_on": commit.previous or None,
            }
        )
        if before.number:
            before.apply(commit)
        else:
            before = log.snapshot(output, commit.generation)
    if not lines:
        read_manifest(output)  # which may be of another layout
        raise ConfigError(
            [f"{output}: there is no dataset here; create one with beam-mat convert or watch"]
        )
    return lines


def print_log(lines: Iterable[dict[str, Any]], console: Console | None) -> None:
    """Prints generations, the newest last: as a table, or one JSON object a line."""
    if console is None:
        _print_json(lines)
        return
    names = ("", "by", "records", "accepted", "rejected", "images", "shards", "sources", "parts")
    columns = [
        Column(name, justify="left" if name == "by" else "right", no_wrap=True) for name in names
    ]
    table = _table("Generations", *columns, box=None)
    for line in lines:
        table.add_row(
            f"@{line['generation']}",
            escape(one_line(line["command"])),
            *(f"{line[name]:,}" for name in ("records", "accepted", "rejected", "images")),
            *(
                _signed(line[f"{name}_added"], line[f"{name}_removed"])
                for name in ("shards", "sources", "parts")
            ),
        )
    console.print(table)


def _signed(added: int, removed: int) -> str:
    return " ".join(text for text, n in ((f"+{added:,}", added), (f"-{removed:,}", removed)) if n)


def _print_json(values: Iterable[object]) -> None:
    for value in values:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def print_diff(found: Diff, console: Console | None) -> None:
    """Prints counts of what differs between two generations, and the first changes of each kind.

    Without a console, one JSON object a change is printed.
    """
    groups = {"input": found.inputs, "record": found.records, "image": found.images}
    if console is None:
        for of, changes in groups.items():
            _print_json({"of": of, **msgspec.structs.asdict(change)} for change in changes)
        return
    kinds = (CAME, WENT, CHANGED)
    title = f"Generation {found.before:,} to {found.after:,}"
    table = _table(title, "", *map(_number, kinds))
    for of, changes in groups.items():
        counts = Counter(change.kind for change in changes)
        table.add_row(f"{of}s", *(f"{counts[kind]:,}" for kind in kinds))
    console.print(table)
    for of, changes in groups.items():
        for kind in kinds:
            some = [change for change in changes if change.kind == kind]
            if some:
                console.print(f"[bold]{of}s that {kind}[/bold]")
            for one in some[:SHOWN]:
                console.print(f"  {escape(one_line(f'{one.name}: {one.why}'))}", soft_wrap=True)
            if len(some) > SHOWN:
                console.print(f"  … and {len(some) - SHOWN:,} more; --json prints all")


def print_garbage(console: Console, garbage: Iterable[Garbage], *, dry_run: bool) -> None:
    """Prints how many files and bytes vacuum removes, by folder."""
    numbers, sizes = Counter[str](), Counter[str]()
    for one in garbage:
        folder = "/".join(one.path.split("/")[: 2 if one.path.startswith("_") else 1])
        numbers[folder] += 1
        sizes[folder] += one.bytes
    if not numbers:
        console.print("There is nothing to remove: the kept generations need every file")
        return
    title = "Would be removed" if dry_run else "Removed"
    table = _table(title, "folder", _number("files"), _number("bytes"))
    for folder in sorted(numbers):
        table.add_row(escape(one_line(folder)), f"{numbers[folder]:,}", decimal(sizes[folder]))
    table.add_row("all", f"{numbers.total():,}", decimal(sizes.total()), style="bold")
    console.print(table)
