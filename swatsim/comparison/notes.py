"""What was done to make the machines comparable, in words."""

from __future__ import annotations

from collections.abc import Iterator

from swatsim.comparison.result import Comparison, Contender
from swatsim.plain_text import printable

MEASURED = {
    "cycles": "cycles with memory stalls",
    "compute": "compute cycles: nobody waits for memory",
}


def notes(comparison: Comparison, by: str) -> tuple[str, ...]:
    """The trace, what is measured, the baseline, the normalization, and who has no number."""
    return tuple(_notes(comparison, by))


def title(comparison: Comparison) -> str:
    """The trace and the part of it that was simulated."""
    chosen = "" if comparison.layers == "*" else f", layers {printable(comparison.layers)}"
    return f"{comparison.baseline.report.trace_title}{chosen}"


def normalization_phrase(comparison: Comparison) -> str:
    """The normalization in a few words."""
    return {
        "macs": "equal peak MACs, one clock",
        "area": "seconds at equal area",
        "none": "seconds, nothing normalized",
    }[comparison.normalize]


def _notes(comparison: Comparison, by: str) -> Iterator[str]:
    yield f"Trace {title(comparison)}, {MEASURED[by]}, mappings chosen by {comparison.objective}."
    yield (
        f"Speedups over {comparison.baseline.architecture_name} with skipping off, as its file has it; own dense: over "
        "the same machine with skipping off, nothing normalized."
    )
    yield (
        "The baseline maps layers by its own keys (mapping.*): what a machine gains by better ones is in the first "
        "table, what it gains by skipping alone in the second."
    )
    yield _normalization(comparison)
    for machine in comparison.machines:
        if machine.scale.factor is None:
            yield f"{printable(machine.name)}: no number, {machine.scale.reason}."
    width = _value_bytes(comparison.baseline)
    others = [(machine.name, _value_bytes(machine)) for machine in comparison.machines]
    listed = ", ".join(f"{printable(name)} {other}" for name, other in others if other != width)
    if listed:
        yield f"Values of other widths than the baseline's {width} bytes, which nothing here makes up for: {listed}."
    streamed = "; step: with the streaming work too" if "step" in comparison.compared else ""
    yield f"passes: all convolutions of a step, which published figures are about{streamed}."


def _normalization(comparison: Comparison) -> str:
    machine = comparison.baseline.report.machine
    peak, clock_hz = machine.peak_macs_per_cycle, machine.clock_hz
    clock = f"{clock_hz / 1e6:g} MHz"
    if comparison.normalize == "macs":
        return (
            f"Normalized to equal peaks: cycles x a machine's peak MACs a cycle / the baseline's {peak:,}, at one "
            "clock, as if it had as many multipliers as the baseline, with memory and streaming units in proportion."
        )
    if comparison.normalize == "none":
        return f"Not normalized: seconds of each machine as it is at its own clock (the baseline's: {clock})."
    area = comparison.baseline.report.area
    assert area is not None
    return (
        f"Normalized to equal area: seconds at a machine's own clock (the baseline's: {clock}) x its area / the "
        f"baseline's {area.total_mm2:.2f} mm2, at {comparison.baseline.report.architecture['area']['node_nm']} nm."
    )


def _value_bytes(machine: Contender) -> int:
    return int(machine.report.architecture["datapath"]["value_bytes"])
