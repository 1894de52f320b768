"""What a machine with a single key changed would need: measured, each by a simulation of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from pydantic import ValidationError

from swatsim.apart import Progress
from swatsim.architecture import Architecture
from swatsim.datapaths import datapaths
from swatsim.errors import SwatsimError
from swatsim.report import Report, Row
from swatsim.report.explanation import Trial
from swatsim.way import Relaxation

# A key is tried where what it may help takes a larger share of the cycles of the pass.
WORTH_TRYING = 0.01


# Of every family; a datapath's own are in its module.
RELAXATIONS = (
    Relaxation("mapping.tile_split", "best", ("tiles", "edges")),
    Relaxation("mapping.flatten", "auto", ("edges",)),
)
OVERLAP = Relaxation("mapping.overlap", "prefetch")


def trials_of(
    architecture: Architecture,
    rows: Sequence[Row],
    simulated: Callable[[Architecture], Report],
    progress: Progress | None = None,
) -> list[tuple[Trial, ...]]:
    """For each of the rows: what it takes with each key changed that may help it, fewest cycles first."""
    changes = [list(_changes(architecture, row)) for row in rows]
    machines = {change: changed(architecture, *change) for change in dict.fromkeys(chain.from_iterable(changes))}
    reports = {}
    for done, (change, machine) in enumerate(machines.items(), start=1):
        if machine is not None:
            # A machine so changed may fit no buffer.
            with suppress(SwatsimError):
                reports[change] = simulated(machine)
        if progress is not None:
            progress(done, len(machines))
    return [
        tuple(sorted((_trial(change, reports[change], row) for change in wanted if change in reports), key=_cycles))
        for row, wanted in zip(rows, changes, strict=True)
    ]


def _trial(change: tuple[str, object], report: Report, row: Row) -> Trial:
    cycles = {(each.layer, each.pass_name): each.cycles for each in report.layer_records}
    return Trial(override=f"{change[0]}={change[1]}", cycles=cycles[row.layer, row.pass_name])


def _cycles(trial: Trial) -> int:
    return trial.cycles


def changed(architecture: Architecture, key: str, value: object) -> Architecture | None:
    """The machine with one key changed; None where that is refused."""
    tree = architecture.model_dump()
    section, last = _place(tree, key)
    section[last] = value
    try:
        return Architecture.model_validate(tree)
    except ValidationError:
        return None


def _changes(architecture: Architecture, row: Row) -> Iterator[tuple[str, object]]:
    """Keys that may help the row, each with a value that the machine does not have."""
    lost, waited = (
        {cause for cause, cycles in part.items() if cycles > WORTH_TRYING * row.cycles}
        for part in (row.losses._asdict(), row.stalls)
    )
    own: Sequence[Relaxation] = getattr(datapaths()[architecture.datapath.kind], "RELAXATIONS", ())
    chosen = [each for each in (*own, *RELAXATIONS) if lost.intersection(each.losses)]
    chosen += _of_memory(architecture, waited)
    tree = architecture.model_dump()
    for each in chosen:
        section, last = _place(tree, each.key)
        now = section.get(last)
        value = 2 * now if each.value is None and isinstance(now, int) else each.value
        if value is not None and value != now:
            yield each.key, value


def _of_memory(architecture: Architecture, waited: set[str]) -> Iterator[Relaxation]:
    if waited:
        yield OVERLAP
    outermost = architecture.memory.outermost
    for level in architecture.memory.levels:
        properties = ["width_bytes_per_cycle", "fill_bytes_per_cycle"] if level in waited else []
        # Banks of the outermost level are its channels; those of the others are what a conflict is about.
        if (level if level == outermost else "conflict") in waited:
            properties.append("banks")
        for each in properties:
            yield Relaxation(f"memory.{level}.{each}")


def _place(tree: dict[str, object], key: str) -> tuple[dict[str, object], str]:
    """The section that has a key, and the last part of the key."""
    *around, last = key.split(".")
    for name in around:
        found = tree[name]
        assert isinstance(found, dict), "only sections have keys"
        tree = found
    return tree, last
