"""A run in words and large figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from swatsim.charts.run_rows import Record, Run, add, outermost_bytes, trace_title
from swatsim.pages.markup import element, text
from swatsim.pages.table import tiles
from swatsim.quantities import bytes_text, cycles_text, joules_text, times_text

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds_text(seconds: float) -> str:
    """A time with four figures."""
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / size:.4g} {unit}"


def run_tiles(run: Run) -> str:
    """The figures of all that was simulated."""
    rows, name = _whole(run)
    cycles, compute = add(rows, "cycles"), add(rows, "compute_cycles")
    clock_hz = run.document["architecture"]["clock_hz"]
    time = f"{seconds_text(cycles / clock_hz)} at {clock_hz / 1e6:g} MHz"
    facts = [
        (name.capitalize(), cycles_text(cycles), f"cycles, {time}"),
        ("Speedup", times_text(_by(add(rows, "dense_cycles"), cycles)),
         f"{times_text(_by(add(rows, 'dense_compute_cycles'), compute))} in compute cycles"),
        ("Stalls", _share(cycles - compute, cycles), f"{cycles_text(cycles - compute)} cycles"),
        ("Off chip", bytes_text(sum(map(outermost_bytes, rows))), f"read and written at {run.levels[0]}"),
        ("Energy", joules_text(add(rows, "energy_pj")),
         f"{joules_text(add(rows, 'energy_low_pj'))} to {joules_text(add(rows, 'energy_high_pj'))}"),
    ]  # fmt: skip
    area = run.document.get("area")
    if area is not None:
        more = "not all parts are known" if area["uncounted"] else "all parts"
        facts.append(("Area", f"{area['total_mm2']:.3g} mm²", more))
    return tiles(facts)


def run_words(run: Run) -> str:
    """What the figures say, in sentences."""
    return element("ul", [element("li", text(line)) for line in _sentences(run)], class_="words")


def _sentences(run: Run) -> Iterator[str]:
    rows, name = _whole(run)
    machine, trace = run.document["architecture"], run.document["trace"]
    cycles = add(rows, "cycles")
    yield (
        f"{machine['name']} takes {cycles:,} cycles for {_article(name)} of {trace_title(trace)}, and would take "
        f"{add(rows, 'dense_cycles'):,} without skipping and with its operands stored dense."
    )
    yield from _passes(run)
    if run.streams:
        other = add(run.streams, "cycles")
        kinds = {kind: add(chosen, "cycles") for kind, chosen in run.parts.items() if kind not in run.passes}
        most = max(kinds, key=lambda kind: kinds[kind])
        yield (
            f"Work beside the layers' passes (batch norm, selection, weight update and so on) is "
            f"{_share(other, cycles)} of the cycles; most of it is {most}."
        )
    yield from _waiting(run, rows)
    yield from _extremes(run)
    kept = run.document.get("footprint")
    if kept is not None:
        total = kept["total"]
        now = total["activation_bytes"] + total["weight_bytes"]
        dense = total["dense_activation_bytes"] + total["dense_weight_bytes"]
        yield f"From forward to backward {bytes_text(now)} are kept; stored dense it would be {bytes_text(dense)}."
    if "(synthetic)" in trace_title(trace):
        yield "The trace is synthetic: nobody trained what it holds."


def _passes(run: Run) -> Iterator[str]:
    found = []
    for name in run.passes:
        rows = run.parts[name]
        speedup = _by(add(rows, "dense_cycles"), add(rows, "cycles"))
        found.append(f"{name} {times_text(speedup)}")
    if found:
        yield f"Speedup of the layers' passes, stalls included: {', '.join(found)}."


def _waiting(run: Run, rows: Sequence[Record]) -> Iterator[str]:
    cycles = add(rows, "cycles")
    stalls = {cause: add(rows, f"stall_{cause}_cycles") for cause in run.causes}
    if not stalls:
        yield "Nothing waits for memory."
        return
    most = max(stalls, key=lambda cause: stalls[cause])
    yield (
        f"The machine waits for memory in {_share(sum(stalls.values()), cycles)} of the cycles, most of all for {most} "
        f"({_share(stalls[most], cycles)})."
    )
    below = [row for row in run.layers if row["roofline_side"] != "compute"]
    yield f"{len(below)} of {len(run.layers)} passes lie left of the ridge: {run.levels[0]} limits them."


def _extremes(run: Run) -> Iterator[str]:
    timed = [row for row in run.layers if row["speedup"] is not None]
    if len(timed) < 2:
        return
    least, most = (function(timed, key=lambda row: row["speedup"]) for function in (min, max))
    yield (
        f"Skipping helps most in {most['layer']} {most['pass']} ({times_text(most['speedup'])}), least in "
        f"{least['layer']} {least['pass']} ({times_text(least['speedup'])})."
    )
    slower = sum(1 for row in timed if row["speedup"] < 1)
    if slower:
        yield f"{slower} of {len(timed)} passes are slower than without skipping."


def _whole(run: Run) -> tuple[tuple[Record, ...], str]:
    """All that was simulated, and what that is."""
    return (*run.layers, *run.streams), "step" if "step" in run.totals else "passes"


def _article(name: str) -> str:
    return "one training step" if name == "step" else "the passes that were simulated"


def _by(count: Any, by: Any) -> float | None:
    return count / by if by else None


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "0%"
