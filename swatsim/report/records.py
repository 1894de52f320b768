"""What a simulation finds: one row per layer and pass, and totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from swatsim.architecture import LEVELS
from swatsim.passes import PASSES
from swatsim.traffic import DIRECTIONS, TENSORS, Move

TOTAL = "total"
BACKWARD = ("input_grad", "weight_grad")
# Totals by pass name, in the order in which they are listed.
TOTALS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in PASSES}, "backward": BACKWARD, "step": PASSES}

Value = int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pass of one layer, or a total. Cycles are of the machine's clock; dense_... are with skipping off."""

    layer: str
    pass_name: str
    cycles: int  # computation and stalls
    compute_cycles: int
    dense_cycles: int
    dense_compute_cycles: int
    ideal_cycles: int  # what cannot be skipped, packed perfectly on all multipliers
    peak_macs_per_cycle: int
    unskippable_macs: int  # what ideal_cycles is made of
    macs: int
    effectual_macs: int  # both operands present
    paper_macs: int  # the count of the SWAT paper
    bound_by: str
    scheduled: str  # the operand whose zeros are skipped, "none", or several joined by "+"
    moved_bytes: Mapping[Move, int]

    @property
    def stall_cycles(self) -> int:
        """Cycles in which the computation waits for memory."""
        return self.cycles - self.compute_cycles

    @property
    def speedup(self) -> float | None:
        """Dense cycles by cycles, stalls included; None where nothing takes time."""
        return self.dense_cycles / self.cycles if self.cycles else None

    @property
    def utilization(self) -> float | None:
        """Share of all multipliers and cycles that does what cannot be skipped."""
        return self.unskippable_macs / (self.cycles * self.peak_macs_per_cycle) if self.cycles else None

    def moved(self, level: str, direction: str) -> int:
        """Bytes read or written at a level, all operands together."""
        return sum(self.moved_bytes.get(Move(level, direction, tensor), 0) for tensor in TENSORS)

    def as_dict(self) -> dict[str, Value]:
        """All columns, in the order in which every output lists them."""
        columns: dict[str, Value] = {"layer": self.layer, "pass": self.pass_name}
        for name in (
            "cycles", "compute_cycles", "stall_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles",
            "speedup", "utilization", "macs", "effectual_macs", "paper_macs",
        ):  # fmt: skip
            columns[name] = getattr(self, name)
        columns["dram_read_bytes"], columns["dram_write_bytes"] = (
            self.moved("dram", "read"),
            self.moved("dram", "write"),
        )
        columns["bound_by"], columns["scheduled"] = self.bound_by, self.scheduled
        for level in LEVELS:
            for direction in DIRECTIONS:
                columns[f"{level}_{direction}_bytes"] = self.moved(level, direction)
                for tensor in TENSORS:
                    name = f"{level}_{direction}_{tensor}_bytes"
                    columns[name] = self.moved_bytes.get(Move(level, direction, tensor), 0)
        return columns


COLUMNS = tuple(
    Row(
        layer="", pass_name="", cycles=0, compute_cycles=0, dense_cycles=0, dense_compute_cycles=0, ideal_cycles=0,
        peak_macs_per_cycle=1, unskippable_macs=0, macs=0, effectual_macs=0, paper_macs=0, bound_by="", scheduled="",
        moved_bytes={},
    ).as_dict()
)  # fmt: skip


def paper_macs(dense_macs: int, sparsities: Iterable[Fraction | None]) -> int:
    """The SWAT paper's count: a pass's multiplications times (1 - s) for each operand selected at a budget s."""
    count = Fraction(dense_macs)
    for sparsity in sparsities:
        count *= 1 - (sparsity or 0)
    return round(count)


def totals(rows: Sequence[Row], passes: Sequence[str], uncomputed_paper_macs: int) -> tuple[Row, ...]:
    """Sum the rows of each pass, of the two gradients (backward) and of the step.

    What was not simulated as a whole has no total: `passes` are those that were.
    `uncomputed_paper_macs` are those of input gradients that no pass computes, which the paper counts all the same.
    """
    found = []
    for name, members in TOTALS.items():
        chosen = [row for row in rows if row.pass_name in members]
        if chosen and set(members) <= set(passes):
            extra = uncomputed_paper_macs if "input_grad" in members else 0
            found.append(_total(name, chosen, extra))
    return tuple(found)


def _total(name: str, rows: Sequence[Row], extra_paper_macs: int) -> Row:
    cycles_by_bound: Counter[str] = Counter()
    moved: Counter[Move] = Counter()
    for row in rows:
        cycles_by_bound[row.bound_by] += row.cycles
        moved.update(row.moved_bytes)
    added = (
        "cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles", "unskippable_macs", "macs",
        "effectual_macs", "paper_macs",
    )  # fmt: skip
    sums = {field: sum(getattr(row, field) for row in rows) for field in added}
    sums["paper_macs"] += extra_paper_macs
    return Row(
        layer=TOTAL, pass_name=name, **sums, moved_bytes=moved,
        peak_macs_per_cycle=rows[0].peak_macs_per_cycle,
        bound_by=cycles_by_bound.most_common(1)[0][0],
        scheduled="+".join(sorted({part for row in rows for part in row.scheduled.split("+")})),
    )  # fmt: skip
