"""What a simulation finds: one row per layer and pass, rows of streaming work, and totals."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from swatsim.energy import Energy, average_power_w, edp_js, spent
from swatsim.moves import DIRECTIONS, TENSORS, Move
from swatsim.passes import PASSES, STREAMING
from swatsim.report.columns import Value, columns_of
from swatsim.report.interval import Interval, added
from swatsim.report.machine import Machine
from swatsim.way import NO_LOSSES, Losses

Key = TypeVar("Key")

TOTAL = "total"
OTHER = "other"  # all streaming work together
BACKWARD = ("input_grad", "weight_grad")
# Totals by pass name, in the order in which they are listed, with the parts of a step that each needs.
TOTALS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in PASSES},
    "backward": BACKWARD,
    OTHER: (OTHER,),
    "step": (*PASSES, OTHER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pass of one layer, one stream of other work, or a total.

    Cycles are of the machine's clock; `dense_…` is of the same machine with skipping off and operands stored dense.
    A streaming row multiplies nothing: what has a default is what it lacks.
    """

    layer: str
    pass_name: str  # of PASSES or STREAMING; in totals, of TOTALS
    machine: Machine
    cycles: int  # computation and stalls
    compute_cycles: int
    dense_cycles: int
    dense_compute_cycles: int
    bound_by: str
    moved_bytes: Mapping[Move, int]
    dense_moved_bytes: Mapping[Move, int]
    stalls: Mapping[str, int]  # cause (a level, conflict, refresh, latency) -> cycles, which sum to stall_cycles
    dense_stalls: Mapping[str, int]
    compulsory_dram_bytes: int  # each operand once as it is stored, the result once
    ideal_cycles: int = 0  # what cannot be skipped, packed perfectly on all multipliers
    unskippable_macs: int = 0  # what ideal_cycles is made of
    losses: Losses = NO_LOSSES  # what compute_cycles are more than ideal_cycles, by cause
    macs: int = 0  # what the dense machine multiplies
    effectual_macs: int = 0  # both operands present
    paper_macs: int = 0  # the count of the SWAT paper
    multiplications: int = 0  # what the machine multiplies
    scheduled: str = ""  # the operand whose zeros are skipped, "none", or several joined by "+"
    mapping: str = ""  # what the mapper chose
    densities: Mapping[str, float] = field(default_factory=dict)  # share of non-zeros, by operand; none in totals
    blocks: int = 0
    prefetched_cycles: int = 0  # of the loads that ran under the pass before
    is_total: bool = False  # a layer too may be called "total"
    interval: Interval | None = None  # of the cycles, where a sample was simulated

    @property
    def stall_cycles(self) -> int:
        """Cycles in which the computation waits for memory."""
        return self.cycles - self.compute_cycles

    @property
    def dense_stall_cycles(self) -> int:
        """Stalls of the dense machine."""
        return self.dense_cycles - self.dense_compute_cycles

    @property
    def speedup(self) -> float | None:
        """Dense cycles by cycles, stalls included; None where nothing takes time."""
        return _ratio(self.dense_cycles, self.cycles)

    @property
    def utilization(self) -> float | None:
        """Share of all multipliers and cycles that does what cannot be skipped."""
        return _ratio(self.unskippable_macs, self.cycles * self.machine.peak_macs_per_cycle)

    def moved(self, level: str, direction: str) -> int:
        """Bytes read or written at a level, all operands together."""
        return sum(self.moved_bytes.get(Move(level, direction, tensor), 0) for tensor in TENSORS)

    @property
    def dram_bytes(self) -> int:
        """Bytes read and written at the outermost level."""
        return sum(self.moved(self.machine.outermost, direction) for direction in DIRECTIONS)

    @property
    def dense_dram_bytes(self) -> int:
        """The same of the dense machine."""
        return sum(count for move, count in self.dense_moved_bytes.items() if move.level == self.machine.outermost)

    @property
    def energy(self) -> Energy:
        """Picojoules of what is moved and multiplied."""
        return spent(self.moved_bytes, self.multiplications, self.machine.energy)

    @property
    def dense_energy(self) -> Energy:
        """The same of the dense machine."""
        return spent(self.dense_moved_bytes, self.macs, self.machine.energy)

    @property
    def edp_js(self) -> float:
        """Energy-delay product, joule seconds."""
        return edp_js(self.energy.total.value, self.cycles, self.machine.clock_hz)

    @property
    def average_power_w(self) -> float | None:
        """Watts while it runs; None where nothing takes time."""
        return average_power_w(self.energy.total.value, self.cycles, self.machine.clock_hz)

    @property
    def macs_per_dram_byte(self) -> float | None:
        """Multiplications by bytes of the outermost level; None where none is moved."""
        return _ratio(self.multiplications, self.dram_bytes)

    @property
    def dense_macs_per_dram_byte(self) -> float | None:
        """The same of the dense machine."""
        return _ratio(self.macs, self.dense_dram_bytes)

    @property
    def roofline_macs_per_cycle(self) -> float:
        """The most multiplications a cycle that the peak and the outermost level allow at these bytes."""
        peak, width = self.machine.peak_macs_per_cycle, self.machine.dram_bytes_per_cycle
        intensity = self.macs_per_dram_byte
        return float(peak) if intensity is None or width is None else min(float(peak), intensity * width)

    @property
    def roofline_side(self) -> str:
        """Where it lies: left of the ridge (the outermost level's name) or not ("compute")."""
        below = self.roofline_macs_per_cycle < self.machine.peak_macs_per_cycle
        return self.machine.outermost if below else "compute"

    @property
    def speedup_low(self) -> float | None:
        """Speedup at the upper end of the interval of the cycles; that itself where all is simulated."""
        return self.speedup if self.interval is None else _ratio(self.dense_cycles, self.interval.high)

    @property
    def speedup_high(self) -> float | None:
        """Speedup at the lower end of the interval of the cycles."""
        return self.speedup if self.interval is None else _ratio(self.dense_cycles, self.interval.low)

    def as_dict(self) -> dict[str, Value]:
        """All columns, in the order in which every output lists them."""
        energy = self.energy
        columns = columns_of(self.machine.levels, sampled=self.interval is not None)
        return {name: read(self, energy) for name, read in columns.items()}


def _ratio(count: int, by: int) -> float | None:
    return count / by if by else None


def totals(rows: Sequence[Row], whole: Collection[str], uncomputed_paper_macs: int = 0) -> tuple[Row, ...]:
    """Sum the rows of each pass, of the two gradients (backward), of the streaming work (other) and of the step.

    What was not simulated as a whole has no total: `whole` names the passes that were, and `other` where all
    streaming work was (or the trace has none): a step needs all four.
    `uncomputed_paper_macs` are those of input gradients that no pass computes, which the paper counts all the same.
    """
    found = []
    for name, members in TOTALS.items():
        chosen = [row for row in rows if _part(row) in members]
        if chosen and set(members) <= set(whole):
            extra = uncomputed_paper_macs if "input_grad" in members else 0
            found.append(add(name, chosen, extra))
    return tuple(found)


def _part(row: Row) -> str:
    return OTHER if row.pass_name in STREAMING else row.pass_name


_ADDED = (
    "cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles", "unskippable_macs", "macs",
    "effectual_macs", "paper_macs", "multiplications", "blocks", "compulsory_dram_bytes", "prefetched_cycles",
)  # fmt: skip


def add(name: str, rows: Sequence[Row], extra_paper_macs: int = 0) -> Row:
    """The sum of rows, as a total of this name."""
    cycles_by_bound: Counter[str] = Counter()
    for row in rows:
        cycles_by_bound[row.bound_by] += row.cycles
    sums = {name: sum(getattr(row, name) for row in rows) for name in _ADDED}
    sums["paper_macs"] += extra_paper_macs
    scheduled = {part for row in rows for part in row.scheduled.split("+") if part}
    intervals = [row.interval for row in rows if row.interval is not None]
    return Row(
        layer=TOTAL, pass_name=name, machine=rows[0].machine, **sums,
        interval=added(intervals, sums["cycles"]) if intervals else None,
        moved_bytes=_sums(row.moved_bytes for row in rows),
        dense_moved_bytes=_sums(row.dense_moved_bytes for row in rows),
        stalls=_sums(row.stalls for row in rows), dense_stalls=_sums(row.dense_stalls for row in rows),
        losses=functools.reduce(Losses.plus, (row.losses for row in rows), NO_LOSSES),
        bound_by=cycles_by_bound.most_common(1)[0][0], scheduled="+".join(sorted(scheduled)), is_total=True,
    )  # fmt: skip


def _sums(counts: Iterable[Mapping[Key, int]]) -> Mapping[Key, int]:
    found: Counter[Key] = Counter()
    for count in counts:
        found.update(count)
    return found
