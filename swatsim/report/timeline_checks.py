"""What a timeline and a file of trace events must obey; each check names the first thing that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from swatsim.errors import SwatsimError
from swatsim.kernels.engines import SPAN_COLUMNS

if TYPE_CHECKING:
    from swatsim.timeline import PlacedPass

ENGINES = ("load", "compute", "store")
NANOSECOND = Decimal("0.001")  # in microseconds
# The metadata events that name and order, and the argument that each needs.
METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "thread_sort_index": ("sort_index", int)}

IntArray = NDArray[np.int64]


class TimelineError(SwatsimError):
    """A timeline contradicts itself, or its file the rules of the format: a mistake of this program."""


def check_timeline(passes: Sequence[PlacedPass], *, duplex: str = "half") -> None:
    """Check that passes follow one another, and that each block is loaded, then computed, then stored.

    Parameters
    ----------
    duplex : `half` if one channel carries loads and stores, `full` if each has its own.

    Raises
    ------
    TimelineError : where, got, expected; the first that is found.
    """
    cycle = before = 0
    for placed in passes:
        if placed.start_cycle != cycle:
            _fail(_name(placed), f"its start in cycle {placed.start_cycle}", f"{cycle}, where the pass before ends")
        _check_shape(placed)
        _check_ahead(placed, before)
        _check_order(placed)
        _check_stalls(placed)
        before = placed.cycles
        cycle += before
    for kinds in (("compute",), *((("load", "store"),) if duplex == "half" else (("load",), ("store",)))):
        _check_apart(passes, kinds)


def _check_shape(placed: PlacedPass) -> None:
    table = placed.spans.table
    if table.shape != (len(table), SPAN_COLUMNS) or not np.issubdtype(table.dtype, np.integer):
        _fail(f"{_name(placed)} spans", f"{table.dtype} {table.shape}", f"integers ({len(table)}, {SPAN_COLUMNS})")
    for engine in ENGINES:
        spans = getattr(placed.spans, engine)
        _refuse(placed, spans[:, 0] > spans[:, 1], f"a {engine} that ends before it starts", "an end after the start")


def _check_ahead(placed: PlacedPass, before: int) -> None:
    """Check that what is loaded ahead is the first block's, within the `before` cycles of the pass before."""
    start, end = placed.ahead
    if not (-before <= start <= end <= 0):
        _fail(f"{_name(placed)} ahead", f"a load from {start} to {end}", f"it within {-before} to 0")
    if start < end and not len(placed.spans.load):
        _fail(f"{_name(placed)} ahead", "a load for no block", "a block")


def _check_order(placed: PlacedPass) -> None:
    load, compute, store = (getattr(placed.spans, engine) for engine in ENGINES)
    moved_out = store[:, 0] < store[:, 1]
    _check_arrivals(placed)
    _refuse(
        placed, moved_out & (store[:, 0] < compute[:, 1]), "a store before the computation's end", "the result first"
    )
    early = (load[:, 0] < load[:, 1]) & (load[:, 0] < 0)
    _refuse(placed, early, "a load before the pass", "what is loaded ahead to be told apart")
    _refuse(placed, compute[:, 0] < 0, "a computation before the pass", "only loads to be made ahead")
    late = np.maximum(compute[:, 1], np.where(moved_out, store[:, 1], 0)) > placed.cycles
    _refuse(placed, late, "a block that ends after the pass", f"an end within its {placed.cycles} cycles")


def _check_arrivals(placed: PlacedPass) -> None:
    """Check that what a block waits for is there when it is computed, and that whatever is loaded is waited for.

    A load may end after its block's data has arrived: what follows is for a later block, which waits for it.
    """
    load, compute, arrived = placed.spans.load, placed.spans.compute, placed.spans.arrived
    moved_in, waits = load[:, 0] < load[:, 1], arrived != 0
    _refuse(placed, waits & (arrived > compute[:, 0]), "a computation before its data arrives", "its data first")
    _refuse(placed, moved_in & waits & (load[:, 0] > arrived), "data that arrives before its load", "a load first")
    latest = np.maximum.accumulate(arrived[::-1])[::-1]  # [block]: that it or a later block waits for
    _refuse(placed, moved_in & (load[:, 1] > latest), "a load that no block waits for", "one that does, it or a later")


def _check_stalls(placed: PlacedPass) -> None:
    engaged = int((placed.spans.compute[:, 1] - placed.spans.compute[:, 0]).sum())
    if not 0 <= placed.compute_cycles <= engaged:
        _fail(f"{_name(placed)} computation", f"{placed.compute_cycles} cycles", f"0 to {engaged}, as its blocks take")
    for cause, cycles in placed.stalls.items():
        if cycles < 0:
            _fail(f"{_name(placed)} stalls", f"{cause}: {cycles}", "no negative cycles")
    waiting = sum(placed.stalls.values())
    if waiting != placed.cycles - placed.compute_cycles:
        _fail(
            f"{_name(placed)} stalls",
            f"{waiting} cycles in all",
            f"{placed.cycles - placed.compute_cycles}, its {placed.cycles} cycles "
            f"without {placed.compute_cycles} of computation",
        )


def _check_apart(passes: Sequence[PlacedPass], kinds: Sequence[str]) -> None:
    """Check that what shares an engine, over all passes, does not happen at once."""
    spans = [_with_ahead(placed, kind) + placed.start_cycle for placed in passes for kind in kinds]
    if not spans:
        return
    owner = np.repeat(np.arange(len(spans)), [len(each) for each in spans])
    block = np.concatenate([np.arange(len(each)) for each in spans])  # of a load, one more: what is loaded ahead is 0
    start, end = np.concatenate(spans).T
    busy = np.flatnonzero(start < end)
    busy = busy[np.argsort(start[busy], kind="stable")]
    # Sorted by start, if any two overlap then two neighbors do.
    clash = np.flatnonzero(end[busy[:-1]] > start[busy[1:]])
    if len(clash):
        first, second = int(busy[clash[0]]), int(busy[clash[0] + 1])
        names = [
            f"{_name(passes[int(owner[index]) // len(kinds)])} "
            + _work(kinds[int(owner[index]) % len(kinds)], int(block[index]))
            for index in (first, second)
        ]
        _fail(
            names[1],
            f"its start in cycle {int(start[second])}",
            f"{int(end[first])} or later, where {names[0]} ends on the same engine",
        )


def _with_ahead(placed: PlacedPass, kind: str) -> IntArray:
    """Spans of an engine; of loads, after what was loaded ahead."""
    spans: IntArray = getattr(placed.spans, kind)
    return np.concatenate([[placed.ahead], spans]) if kind == "load" else spans


def _work(kind: str, place: int) -> str:
    block = max(0, place - 1) if kind == "load" else place
    return f"block {block} {kind}" + (" ahead" if kind == "load" and not place else "")


def _refuse(placed: PlacedPass, wrong: NDArray[np.bool_], got: str, expected: str) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        block = int(found[0])
        spans = ", ".join(f"{name} {getattr(placed.spans, name)[block].tolist()}" for name in (*ENGINES, "arrived"))
        _fail(f"{_name(placed)} block {block}", f"{got} ({spans})", expected)


def _name(placed: PlacedPass) -> str:
    return f"timeline of {placed.layer} {placed.pass_name}"


def _fail(where: str, got: str, expected: str) -> NoReturn:
    raise TimelineError(f"{where}: got {got}, expected {expected}")


def check_trace_events(data: bytes) -> None:
    """Check a file of trace events (JSON, not packed) by the rules of the Trace Event Format.

    Besides those: metadata comes first and names every thread that is used; times are whole nanoseconds, as viewers
    keep them; and the complete events of a thread nest or are apart, an outer one before an inner one that begins
    with it.

    Raises
    ------
    TimelineError : where, got, expected; the first that is found.
    """
    events = _read_events(data)
    named: set[tuple[int, int]] = set()
    for index, event in enumerate(events):
        where = f"trace event {index}"
        _check_common(where, event)
        if event["ph"] == "M":
            if index and events[index - 1]["ph"] != "M":
                _fail(where, "metadata after other events", "metadata first")
            _check_metadata(where, event)
            if event["name"] == "thread_name":
                named.add((event["pid"], event["tid"]))
        elif event["ph"] == "X":
            _check_complete(where, event)
            if (event["pid"], event["tid"]) not in named:
                _fail(where, f"thread {event['tid']}", "a thread that metadata names")
        else:
            _fail(where, f"phase {event['ph']!r}", "M or X")
    _check_nesting(events)


def _read_events(data: bytes) -> list[Any]:
    try:
        document = json.loads(
            data, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats
        )
    except ValueError as error:
        _fail("trace events", str(error), "JSON")
    events = document.get("traceEvents") if isinstance(document, dict) else None
    if not isinstance(events, list):
        _fail("trace events", type(document).__name__, "an object with a list of traceEvents")
    if document.get("displayTimeUnit", "ms") not in {"ms", "ns"}:
        _fail("trace events displayTimeUnit", repr(document["displayTimeUnit"]), "ms or ns")
    return events


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text}, which is no number of JSON")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key twice among {', '.join(key for key, _ in pairs)}")
    return found


def _check_common(where: str, event: object) -> None:
    if not isinstance(event, dict):
        _fail(where, type(event).__name__, "an object")
    for key, kind in (("name", str), ("ph", str), ("pid", int), ("tid", int), ("args", dict)):
        if type(event.get(key)) is not kind:
            _fail(f"{where} {key}", repr(event.get(key)), f"a value of type {kind.__name__}")


def _check_metadata(where: str, event: Mapping[str, Any]) -> None:
    if event["name"] not in METADATA:
        _fail(f"{where} name", repr(event["name"]), f"one of {', '.join(METADATA)}")
    key, kind = METADATA[event["name"]]
    if type(event["args"].get(key)) is not kind:
        _fail(f"{where} args.{key}", repr(event["args"].get(key)), f"a value of type {kind.__name__}")


def _check_complete(where: str, event: Mapping[str, Any]) -> None:
    for key in ("ts", "dur"):
        value = event.get(key)
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            _fail(f"{where} {key}", repr(value), "microseconds")
        if value < 0:
            _fail(f"{where} {key}", str(value), "0 or more")
        if value % NANOSECOND:
            _fail(f"{where} {key}", str(value), "whole nanoseconds")


def _check_nesting(events: Sequence[Mapping[str, Any]]) -> None:
    for thread, complete in _by_thread(events):
        open_ends: list[tuple[Decimal, int]] = []
        for index, start, end in sorted(complete, key=lambda event: event[1]):  # stable: as viewers sort
            while open_ends and open_ends[-1][0] <= start:
                open_ends.pop()
            if open_ends and end > open_ends[-1][0]:
                _fail(
                    f"trace event {index} of thread {thread}",
                    f"its end at {end}",
                    f"{open_ends[-1][0]} or less, where event {open_ends[-1][1]} around its start ends",
                )
            open_ends.append((end, index))


def _by_thread(
    events: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[tuple[int, int], list[tuple[int, Decimal, Decimal]]]]:
    """Number, start and end of the complete events of each thread."""
    threads: dict[tuple[int, int], list[tuple[int, Decimal, Decimal]]] = {}
    for index, event in enumerate(events):
        if event["ph"] == "X":
            start = Decimal(event["ts"])
            threads.setdefault((event["pid"], event["tid"]), []).append((index, start, start + event["dur"]))
    yield from threads.items()
