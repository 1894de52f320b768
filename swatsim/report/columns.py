"""Every column of a report: its name, unit and meaning, and how a row is read. Outputs and docs are made of this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from swatsim.moves import DIRECTIONS, TENSORS, Move
from swatsim.passes import ROLES
from swatsim.way import Losses

if TYPE_CHECKING:
    from swatsim.energy import Energy
    from swatsim.report.records import Row

# Why the multipliers wait, beside the levels themselves.
CAUSES = ("conflict", "refresh", "latency")

Value: TypeAlias = int | float | str | None
Reader: TypeAlias = Callable[["Row", "Energy"], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. A name with <level>, <direction>, <tensor>, <loss> or <cause> stands for one column for each."""

    name: str
    unit: str
    meaning: str
    read: Reader | None = None  # None: the row has an attribute of the column's name


def _text(name: str, meaning: str, read: Reader | None = None) -> Column:
    return Column(name=name, unit="text", meaning=meaning, read=read)


def _cycles(name: str, meaning: str) -> Column:
    return Column(name=name, unit="cycles", meaning=meaning)


def _macs(name: str, meaning: str) -> Column:
    return Column(name=name, unit="MACs", meaning=meaning)


def _bytes(name: str, meaning: str, read: Reader | None = None) -> Column:
    return Column(name=name, unit="bytes", meaning=meaning, read=read)


def _energy(name: str, meaning: str, read: Reader) -> Column:
    return Column(name=name, unit="pJ", meaning=meaning, read=read)


def _ratio(name: str, unit: str, meaning: str, read: Reader | None = None) -> Column:
    return Column(name=name, unit=unit, meaning=meaning, read=read)


def _density(operand: str) -> Reader:
    return lambda row, _: row.densities.get(operand)


_BEFORE_TRAFFIC = (
    _text("layer", "name in the trace; `total` in totals"),
    _text(
        "pass",
        "`forward`, `input_grad`, `weight_grad`; of streaming work `elementwise_forward`, `elementwise_backward`, "
        "`reorder`, `select`, `update`; of totals also `backward`, `other` (all streaming work), `step`",
        lambda row, _: row.pass_name,
    ),
    _cycles("cycles", "from the end of the pass before to the end of this one: computation and stalls"),
    _cycles("compute_cycles", "computation alone"),
    _cycles("stall_cycles", "`cycles` less `compute_cycles`: the computation waits for memory"),
    _cycles("dense_cycles", "`cycles` of the same machine with skipping off and operands stored dense"),
    _cycles("dense_compute_cycles", "`compute_cycles` of that machine"),
    _cycles("ideal_cycles", "what cannot be skipped, packed perfectly on all multipliers"),
    _ratio("speedup", "ratio", "`dense_cycles` by `cycles`; nothing where no time is taken"),
    _ratio("utilization", "ratio", "share of all multipliers and cycles that does what cannot be skipped"),
    _macs("macs", "all multiply positions, which the dense machine multiplies; lanes' padding not counted"),
    _macs("effectual_macs", "positions at which both operands are present"),
    _macs("paper_macs", "the count of the SWAT paper: shapes and budgets alone"),
)
_OUTERMOST = _bytes("<outermost>_<direction>_bytes", "bytes of the outermost level (DRAM), all tensors together")
_AFTER_TRAFFIC = (
    _text(
        "bound_by",
        "`compute`, or the level that is occupied longest; in totals the one that binds the rows with most cycles",
    ),
    _text("scheduled", "operands whose zeros are skipped, joined by `+`, or `none`; empty for streaming work"),
    _text("mapping", "what the mapper chose; empty in totals and for streaming work"),
    Column(name="blocks", unit="blocks", meaning="memory blocks into which the pass is cut"),
    _macs(
        "multiplications",
        "what the machine multiplies: less than `macs` by what it skips, more by products that it throws away",
    ),
    _bytes("compulsory_dram_bytes", "each operand read once as it is stored, the result written once"),
    _cycles("prefetched_cycles", "loads of this pass that ran while the pass before was under way"),
)
_STALL = _cycles(
    "stall_<cause>_cycles", "stalls by what is waited for: a level, `conflict` (of banks), `refresh` or `latency`"
)
_LOST = _cycles(
    "lost_<loss>_cycles",
    "what `compute_cycles` are more than `ideal_cycles`, by what they are lost to: `reach` (multipliers that find no "
    "value), imbalance of `rows` and of `tiles`, `barriers`, `edges` (the rest: padding, what is idle in last rounds, "
    "and what the page of the datapath names besides)",
)
_ENERGY = (
    _energy("energy_pj", "all levels and multipliers", lambda _, energy: energy.total.value),
    _energy("energy_low_pj", "the same at the lowest prices of the sources", lambda _, energy: energy.total.low),
    _energy("energy_high_pj", "the same at the highest", lambda _, energy: energy.total.high),
    _energy("energy_mac_pj", "multiplications and their additions", lambda _, energy: energy.mac.value),
)
_LEVEL_ENERGY = Column(name="energy_<level>_pj", unit="pJ", meaning="bits read and written at the level")
_COSTS = (
    _energy("dense_energy_pj", "`energy_pj` of the dense machine", lambda row, _: row.dense_energy.total.value),
    _ratio("edp_js", "J·s", "energy-delay product"),
    _ratio("average_power_w", "W", "energy by time; nothing where no time is taken"),
)
_ROOFLINE = (
    _ratio(
        "macs_per_dram_byte", "MACs/byte", "`multiplications` by bytes of the outermost level; nothing without bytes"
    ),
    _ratio("dense_macs_per_dram_byte", "MACs/byte", "the same of the dense machine"),
    _ratio(
        "ridge_macs_per_dram_byte",
        "MACs/byte",
        "of the machine: where its peak and its outermost level balance; nothing where that level is unlimited",
        lambda row, _: row.machine.ridge_macs_per_dram_byte,
    ),
    _ratio("roofline_macs_per_cycle", "MACs/cycle", "the most that the peak and the outermost level allow"),
    _text("roofline_side", "`compute`, or the outermost level's name where `macs_per_dram_byte` is below the ridge"),
)
_LEVEL_TOTAL = _bytes("<level>_<direction>_bytes", "bytes read or written at the level, all tensors together")
_LEVEL_TENSOR = _bytes(
    "<level>_<direction>_<tensor>_bytes",
    "those of one tensor, by shape: `input`, `weight`, `output` (and their gradients), `state` (of the optimiser)",
)
# Of a run that simulated a sample, behind all others (docs/sampling.md).
SAMPLED: tuple[Column, ...] = (
    Column(name="cycles_low", unit="cycles", meaning="lower end of the 95 % interval of `cycles`",
           read=lambda row, _: row.interval.low if row.interval else row.cycles),
    Column(name="cycles_high", unit="cycles", meaning="its upper end",
           read=lambda row, _: row.interval.high if row.interval else row.cycles),
    _ratio("speedup_low", "ratio", "`dense_cycles` by `cycles_high`"),
    _ratio("speedup_high", "ratio", "`dense_cycles` by `cycles_low`"),
    Column(name="sampled_groups", unit="groups", meaning="of windows that were simulated; 0 where all are",
           read=lambda row, _: row.interval.drawn if row.interval else 0),
    Column(name="groups", unit="groups", meaning="that they were drawn from; 0 where all are simulated",
           read=lambda row, _: row.interval.groups if row.interval else 0),
)  # fmt: skip
_DENSITIES = tuple(
    _ratio(
        f"{role}_density",
        "ratio",
        f"share of non-zeros in the {role.replace('_grad', ' gradient')} that is multiplied; else nothing",
        _density(role),
    )
    for role in ROLES
)
# In the order of the outputs; patterns stand where their columns do.
DESCRIBED: tuple[Column, ...] = (
    *_BEFORE_TRAFFIC, _OUTERMOST, *_AFTER_TRAFFIC, _LOST, _STALL, *_ENERGY, _LEVEL_ENERGY, *_COSTS, *_ROOFLINE,
    _LEVEL_TOTAL, _LEVEL_TENSOR, *_DENSITIES,
)  # fmt: skip
# Documents of this version were written without them, too.
LATER = (*_DENSITIES, *SAMPLED)


@lru_cache(maxsize=64)
def columns_of(levels: tuple[str, ...], *, sampled: bool = False) -> dict[str, Reader]:
    """The columns of a machine by name, in the order of the outputs, each with how a row is read."""
    found: dict[str, Reader] = {}
    for column in (*DESCRIBED, *SAMPLED) if sampled else DESCRIBED:
        for name, read in _expanded(column, levels):
            found.setdefault(name, read)
    return found


def _expanded(column: Column, levels: tuple[str, ...]) -> Iterator[tuple[str, Reader]]:
    if column is _OUTERMOST:
        yield from _level_bytes(levels[0])
    elif column is _LOST:
        for loss in Losses._fields:
            yield f"lost_{loss}_cycles", _lost(loss)
    elif column is _STALL:
        for cause in (*levels, *CAUSES):
            yield f"stall_{cause}_cycles", _stall(cause)
    elif column is _LEVEL_ENERGY:
        for level in levels:
            yield f"energy_{level}_pj", _level_energy(level)
    elif column is _LEVEL_TOTAL:
        for level in levels:
            yield from _level_bytes(level)
    elif column is _LEVEL_TENSOR:
        for level, direction, tensor in product(levels, DIRECTIONS, TENSORS):
            yield f"{level}_{direction}_{tensor}_bytes", _tensor_bytes(Move(level, direction, tensor))
    else:
        yield column.name, column.read or _attribute(column.name)


def _level_bytes(level: str) -> Iterator[tuple[str, Reader]]:
    for direction in DIRECTIONS:
        yield f"{level}_{direction}_bytes", _moved(level, direction)


def _attribute(name: str) -> Reader:
    def read(row: Row, _: Energy) -> Value:
        value: Value = getattr(row, name)
        return value

    return read


def _lost(loss: str) -> Reader:
    return lambda row, _: int(getattr(row.losses, loss))


def _stall(cause: str) -> Reader:
    return lambda row, _: row.stalls.get(cause, 0)


def _level_energy(level: str) -> Reader:
    return lambda _, energy: energy.levels[level].value


def _moved(level: str, direction: str) -> Reader:
    return lambda row, _: row.moved(level, direction)


def _tensor_bytes(move: Move) -> Reader:
    return lambda row, _: row.moved_bytes.get(move, 0)
