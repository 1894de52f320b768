"""A timeline as Chrome trace events, which Perfetto and other viewers open (docs/timeline.md).

The file is the JSON object form of the Trace Event Format: metadata events that name the threads, then complete ("X")
events. On each thread they nest: step, layer, pass and, on the thread of an engine, block.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swatsim.report.report import Report
    from swatsim.timeline import PlacedPass

ENGINES = ("load", "compute", "store")
PROCESS = 1
STEP_THREAD = 1  # viewers list a thread whose number is its process's first
ENGINE_THREADS = {engine: STEP_THREAD + 1 + index for index, engine in enumerate(ENGINES)}
NANOSECONDS = 10**9

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a thread does from one cycle of the step to another, the end not included."""

    name: str
    category: str  # step, layer, pass or block
    start_cycle: int
    end_cycle: int
    arguments: Arguments


def to_trace_json(report: Report) -> bytes:
    """Write the timeline as plain JSON; the same report gives the same bytes."""
    return "".join(_document(report)).encode("ascii")


def to_trace_gzip(report: Report) -> bytes:
    """Write the timeline as gzipped JSON; no time and no name of a file are in it."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as file:
        for text in _document(report):
            file.write(text.encode("ascii"))
    return packed.getvalue()


def _document(report: Report) -> Iterator[str]:
    """The file in pieces: a pass of 100,000 blocks is never held as objects."""
    passes = report.timeline or ()
    clock_hz = int(report.architecture["clock_hz"])
    channel = next(iter(report.architecture["memory"]))
    about = {
        "swatsim": report.swatsim_version,
        "architecture": report.architecture["name"],
        "clock_hz": clock_hz,
        "trace": report.trace_title,
        "digest": report.trace["digest"],
    }
    yield f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":[\n'
    yield ",\n".join(_metadata(str(about["architecture"]), str(channel)))
    for event in _step_thread(passes):
        yield ",\n" + _render(event, STEP_THREAD, clock_hz)
    for engine in ENGINES:
        for text in _engine_thread(passes, engine, clock_hz):
            yield ",\n" + text
    yield "\n]}\n"


def _metadata(machine: str, channel: str) -> Iterator[str]:
    """Name the process and its threads, and list them in this order."""
    names = {STEP_THREAD: "step", **{thread: engine for engine, thread in ENGINE_THREADS.items()}}
    for engine in ("load", "store"):
        names[ENGINE_THREADS[engine]] = f"{engine} ({channel})"
    yield _named("process_name", STEP_THREAD, {"name": machine})
    for thread, name in names.items():
        yield _named("thread_name", thread, {"name": name})
        yield _named("thread_sort_index", thread, {"sort_index": thread})


def _named(kind: str, thread: int, arguments: Arguments) -> str:
    return f'{{"ph":"M","pid":{PROCESS},"tid":{thread},"name":"{kind}","args":{_text(arguments)}}}'


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _render(event: Event, thread: int, clock_hz: int) -> str:
    start, end = event.start_cycle, event.end_cycle
    arguments = {"start_cycle": start, "cycles": end - start, **event.arguments}
    begin, length = _times(start, end, clock_hz)
    return (
        f'{{"ph":"X","pid":{PROCESS},"tid":{thread},"ts":{begin},"dur":{length},'
        f'"cat":"{event.category}","name":{_text(event.name)},"args":{_text(arguments)}}}'
    )


def _times(start: int, end: int, clock_hz: int) -> tuple[str, str]:
    """Begin and length in microseconds, of cycles since the step's start.

    Viewers keep whole nanoseconds. The cycles' times are rounded down to them here, before the length is taken, so that
    what nests or is apart in cycles still does in the file, to the last digit.
    """
    begin = start * NANOSECONDS // clock_hz
    length = end * NANOSECONDS // clock_hz - begin
    return f"{begin // 1000}.{begin % 1000:03d}", f"{length // 1000}.{length % 1000:03d}"


def _step_thread(passes: Sequence[PlacedPass]) -> Iterator[Event]:
    """The passes, whole: their computation and their stalls."""
    if passes:
        yield _covering("step", "step", passes)
    for layer, members in _layers(passes):
        yield _covering(layer, "layer", members)
        for placed in members:
            yield _covering(placed.pass_name, "pass", (placed,))


def _layers(passes: Sequence[PlacedPass]) -> Iterator[tuple[str, Sequence[PlacedPass]]]:
    """Passes of one layer that follow each other; a layer comes again when the step returns to it."""
    for layer, members in groupby(passes, key=lambda placed: placed.layer):
        yield layer, tuple(members)


def _covering(name: str, category: str, passes: Sequence[PlacedPass]) -> Event:
    stalls: dict[str, int] = {}
    for placed in passes:
        for cause, cycles in placed.stalls.items():
            stalls[cause] = stalls.get(cause, 0) + int(cycles)
    arguments = {
        "compute_cycles": sum(int(placed.compute_cycles) for placed in passes),
        "stall_cycles": sum(stalls.values()),
        "stalls": {cause: cycles for cause, cycles in stalls.items() if cycles},
        "prefetched_cycles": sum(int(placed.prefetched_cycles) for placed in passes),
        "blocks": sum(len(placed.spans.compute) for placed in passes),
    }
    start = int(passes[0].start_cycle)
    end = int(passes[-1].start_cycle) + int(passes[-1].cycles)
    return Event(name=name, category=category, start_cycle=start, end_cycle=end, arguments=arguments)


def _engine_thread(passes: Sequence[PlacedPass], engine: str, clock_hz: int) -> Iterator[str]:
    """What one engine does. A slice reaches from the first to the last work of the engine within it.

    A load that is made ahead, during the pass before, stands where it happens: its pass begins there on this thread.
    """
    thread = ENGINE_THREADS[engine]
    layers = []
    for layer, members in _layers(passes):
        works = [(placed, _working(placed, engine)) for placed in members]
        shown = [(placed, work) for placed, work in works if work]
        if shown:
            layers.append((_enclosing(layer, "layer", [work for _, work in shown]), shown))
    if layers:
        yield _render(_enclosing("step", "step", [event for event, _ in layers]), thread, clock_hz)
    for event, shown in layers:
        yield _render(event, thread, clock_hz)
        for placed, work in shown:
            yield _render(work, thread, clock_hz)
            yield ",\n".join(_blocks(placed, engine, clock_hz))


def _working(placed: PlacedPass, engine: str) -> Event | None:
    """From the first to the last work of an engine in a pass; None where it has none."""
    blocks, busy = _busy(placed, engine)
    if not len(busy):
        return None
    return Event(
        name=placed.pass_name,
        category="pass",
        start_cycle=int(busy[:, 0].min()),
        end_cycle=int(busy[:, 1].max()),
        arguments={"busy_cycles": int((busy[:, 1] - busy[:, 0]).sum()), "blocks": len(set(blocks))},
    )


def _busy(placed: PlacedPass, engine: str) -> tuple[list[int], NDArray[np.int64]]:
    """The blocks for which an engine does something, and from when to when of the step.

    Where block 0 is loaded ahead, that comes first; block 0 may then come again, with the rest of its load.
    """
    spans = getattr(placed.spans, engine)
    shown = np.flatnonzero(spans[:, 0] < spans[:, 1])
    blocks, busy = shown.tolist(), spans[shown]
    if _is_ahead(placed, engine):
        blocks, busy = [0, *blocks], np.concatenate([[placed.ahead], busy])
    return blocks, busy + placed.start_cycle


def _is_ahead(placed: PlacedPass, engine: str) -> bool:
    return engine == "load" and placed.prefetched_cycles > 0


def _enclosing(name: str, category: str, inner: Sequence[Event]) -> Event:
    """The slice around others, and the sums of what they count."""
    return Event(
        name=name,
        category=category,
        start_cycle=min(each.start_cycle for each in inner),
        end_cycle=max(each.end_cycle for each in inner),
        arguments={key: sum(each.arguments[key] for each in inner) for key in ("busy_cycles", "blocks")},
    )


def _blocks(placed: PlacedPass, engine: str, clock_hz: int) -> Iterator[str]:
    """The blocks of a pass on an engine; what takes no time is not shown, and nothing is said twice: there are many."""
    blocks, busy = _busy(placed, engine)
    names = [f"block {block}" for block in blocks]
    if _is_ahead(placed, engine):
        names[0] += ", ahead"
    head = f'{{"ph":"X","pid":{PROCESS},"tid":{ENGINE_THREADS[engine]},"ts":'
    for name, (start, end) in zip(names, busy.tolist(), strict=True):
        begin, length = _times(start, end, clock_hz)
        yield f'{head}{begin},"dur":{length},"cat":"block","name":"{name}","args":{{"cycles":{end - start}}}}}'
