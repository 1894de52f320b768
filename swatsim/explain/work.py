"""What a pass multiplies, and how the tiles of a machine take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.contraction import Contraction, contract
from swatsim.datapaths import arranged, datapaths
from swatsim.layer import Layer, LayerSpec
from swatsim.passes import OPERANDS, REVERSED
from swatsim.report import Row
from swatsim.report.explanation import Factor, Imbalance, Operand, Product, Share, Work
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.way import Extent, Schedule, Way

# What is on the rows and columns of each pass of a convolution, and what the segments and elements of a reduction are.
_NAMES = {
    "forward": ("filters", "windows", "taps", "channels"),
    "input_grad": ("channels", "positions", "taps", "filters"),
    "weight_grad": ("filters", "weights", "images", "positions"),
}
_LINEAR_NAMES = {"filters": "outputs", "channels": "inputs", "windows": "positions"}


class Names(NamedTuple):
    """Of what is counted in a pass."""

    rows: str
    columns: str
    segments: str
    elements: str


def work_of(architecture: Architecture, layer: Layer, row: Row) -> Work:
    """The contractions of the pass that a row is about."""
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    names = _names(layer.spec, row.pass_name)
    contractions = [arranged(each, architecture) for each in contract(layer, row.pass_name, order)]
    taken = [_taken(schedule(each, architecture).actual, row) for each in contractions]
    known = [each for each in taken if each is not None]
    all_known = len(known) == len(taken)
    shares = list(dict.fromkeys(_shares(each, names) for each in known))
    skipped = set(row.scheduled.split("+"))
    datapath = datapaths()[architecture.datapath.kind]
    return Work(
        products=tuple(_times(Counter(_product(each, names) for each in contractions))),
        operands=tuple(_operand(layer, row.pass_name, role, skipped) for role in OPERANDS[row.pass_name]),
        shares=shares[0] if all_known and len(shares) == 1 else (),
        imbalance=_imbalance(known) if all_known else None,
        may_skip=any(datapath.ways(each, architecture).skipping for each in contractions),
    )


def _names(spec: LayerSpec, pass_name: str) -> Names:
    names = _NAMES[REVERSED[pass_name] if spec.transposed else pass_name]
    return Names(*(_LINEAR_NAMES.get(name, name) if spec.kind == "linear" else name for name in names))


def _product(contraction: Contraction, names: Names) -> Product:
    segments, elements = contraction.rows.offset.shape
    return Product(
        times=1, groups=contraction.rows.groups,
        rows=Factor(what=names.rows, count=contraction.rows.vectors),
        columns=Factor(what=names.columns, count=contraction.columns.vectors),
        segments=Factor(what=names.segments, count=segments), elements=Factor(what=names.elements, count=elements),
    )  # fmt: skip


def _times(found: Counter[Product]) -> list[Product]:
    return [
        Product(
            times=times, groups=each.groups, rows=each.rows, columns=each.columns, segments=each.segments,
            elements=each.elements,
        )
        for each, times in found.items()
    ]  # fmt: skip


def _operand(layer: Layer, pass_name: str, role: str, skipped: set[str]) -> Operand:
    bits = layer.passes[pass_name].operands[role].bits
    return Operand(role=role, nonzeros=bits.nonzeros, elements=bits.size, skipped=role in skipped)


def _taken(ways: Sequence[Schedule], row: Row) -> Schedule | None:
    """The one that the mapper took, by what the report says of its mapping; None where that fits several."""
    told = {_told(text) for text in row.mapping.split(" | ")}
    skipped = row.scheduled.split("+")
    if len(told) > 1 or ("none" in skipped and len(skipped) > 1):
        return None
    fitting = [
        each for each in ways if _tiles_text(each.way) in told and bool(each.way.skips) == ("none" not in skipped)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _told(text: str) -> str:
    words = text.split(", ")
    return ", ".join(word for word in words[:2] if word.endswith(" tiles") or word == "sides exchanged")


def _tiles_text(way: Way) -> str:
    text = f"{way.split.row_tiles}x{way.split.column_tiles} tiles"
    return f"{text}, sides exchanged" if way.transposed else text


def _shares(found: Schedule, names: Names) -> tuple[Share, Share]:
    rows, columns = (names.columns, names.rows) if found.way.transposed else (names.rows, names.columns)
    return (
        _share("rows", rows, found.rows.vectors, found.extents[0]),
        _share("columns", columns, found.columns.vectors, found.extents[1]),
    )


def _share(side: str, what: str, vectors: int, extent: Extent) -> Share:
    return Share(
        side=side, what=what, vectors=vectors, per_tile=extent.per_tile, tiles=extent.tiles, at_once=extent.at_once,
        rounds=extent.rounds(vectors),
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- imbalance


def _imbalance(schedules: Sequence[Schedule]) -> Imbalance | None:
    """Of the vectors in which zeros are skipped, over all contractions; each counts as often as it is repeated."""
    sums = np.zeros(4)
    sides, extents, both = set(), set(), False
    for found in schedules:
        if not found.way.skips:
            return None
        on_columns = (found.way.skips[0] == "columns") != found.way.transposed
        own, other = (found.columns, found.rows) if on_columns else (found.rows, found.columns)
        extent = found.extents[on_columns]
        sums += other.vectors * _fullest_and_mean(own.by_vector, extent)
        sides.add("columns" if on_columns else "rows")
        extents.add(extent)
        both = both or len(found.way.skips) > 1
    if len(sides) != 1 or not sums.all():
        return None
    return Imbalance(
        side=sides.pop(),
        vectors=None if any(extent.per_tile == 1 for extent in extents) else float(sums[0] / sums[1]),
        tiles=None if both or any(extent.tiles == 1 for extent in extents) else float(sums[2] / sums[3]),
    )


def _fullest_and_mean(nonzeros: NDArray[np.int64], extent: Extent) -> NDArray[np.float64]:
    """Non-zeros of the fullest vector of a tile and of the mean one, then the same of tiles, summed over rounds.

    `nonzeros` are [group, vector]. A tile counts by the mean of its vectors, so that one with fewer in the last round
    is no emptier for that.
    """
    vectors = nonzeros.shape[1]
    rounds, place = np.divmod(np.arange(vectors), extent.at_once)
    tile = place // extent.per_tile
    # Vectors of a tile and round follow one another.
    starts = np.flatnonzero(np.diff(rounds * extent.tiles + tile, prepend=-1))
    fullest = np.maximum.reduceat(nonzeros, starts, axis=1)
    mean = np.add.reduceat(nonzeros, starts, axis=1) / np.diff(starts, append=vectors)
    total = np.bincount(tile[starts], weights=mean.sum(axis=0))
    return np.array([fullest.sum(), mean.sum(), total.max(), total.mean()])
