"""One-dimensional convolutions: each non-zero of an image row meets the taps of a kernel row.

P. Dai et al., "SparseTrain: Exploiting Dataflow Sparsity for Efficient Convolutional Neural Networks Training", DAC
2020. Rules: docs/datapaths/row_convolution.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swatsim.contraction import Contraction
from swatsim.kernels.gather import gather_words, list_runs
from swatsim.kernels.row_convolution import meet_rows
from swatsim.keys.constraints import Choice
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.mapping import splits
from swatsim.presence import count_met
from swatsim.sides import count_vectors, runs_of
from swatsim.way import Extent, Losses, Relaxation, Schedule, Split, Way, Ways, waiting

KIND = "row_convolution"
# What `swatsim explain` tries.
RELAXATIONS = (Relaxation("datapath.barrier", "pass", ("rows", "tiles", "barriers")),)
WORD_BITS = 64

IntArray = NDArray[np.int64]


class Keys(DatapathKeys):
    """Each tile has tile.rows × tile.columns elements of tile.lanes multipliers, one for each tap of a kernel row."""

    kind: Annotated[Literal["row_convolution"], Choice(words=("row_convolution",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[Literal["none", "image"], Choice(words=("none", "image"))] = Field(
        description="none: every value of a row takes its turn; image: in forward and input_grad the zeros of the "
        "image operand take none, in weight_grad those of the output gradient, and what meets only zeros of the input."
    )
    barrier: Annotated[Literal["round", "pass"], Choice(words=("round", "pass"))] = Field(
        description="When elements wait for each other: when each has finished what it was dealt in a round, or only "
        "at the end of the pass."
    )


RULES: tuple[Rule, ...] = (
    Rule(
        key="mapping.window_order",
        others=("datapath.kind",),
        holds=lambda window_order, kind: kind != KIND or window_order == "npq",
        expected="npq",
        when="is row_convolution",
        reason="the windows of a row lie side by side",
    ),
    Rule(
        key="mapping.step_order",
        others=("datapath.kind",),
        holds=lambda step_order, kind: kind != KIND or step_order.endswith("s"),
        expected="crs or rcs",
        when="is row_convolution",
        reason="the taps of a kernel row lie side by side",
    ),
)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: each split of the tiles."""
    skips = ("columns",) if contraction.taps else ("rows", "columns")
    skipping = () if machine.datapath.skip == "none" else tuple(splits(machine))
    return Ways(
        skipping=tuple(Way(split=split, skips=skips) for split in skipping),
        dense=tuple(Way(split=split) for split in splits(machine)),
        may_turn_off=True,  # a split that needs much less memory traffic may be worth more than the zeros
    )


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: what is read out of the tensors is read once for all splits."""
    skipping = any(way.skips for way in ways)
    if contraction.taps is None:
        pairs = _Pairs.of(contraction, machine) if skipping else None
        return tuple(_run_pairs(contraction, pairs if way.skips else None, way, machine) for way in ways)
    dense = _dense_row_cycles(contraction, machine)
    sparse = _row_cycles(contraction, machine) if skipping else dense
    return tuple(_run_rows(contraction, sparse if way.skips else dense, way, machine) for way in ways)


def _places(machine: Machine[Keys], split: Split) -> tuple[int, int]:
    """Elements along the rows and along the columns of the machine."""
    return machine.tile.rows * split.row_tiles, machine.tile.columns * split.column_tiles


def _extents(machine: Machine[Keys], split: Split, side_by_side: int) -> tuple[Extent, Extent]:
    """Each element takes one vector of the rows, and of the columns those of one row: `side_by_side`."""
    return (
        Extent.of(machine.tile.rows, split.row_tiles),
        Extent.of(machine.tile.columns * side_by_side, split.column_tiles),
    )


# ------------------------------------------------------------------------------------------------ forward, input_grad


def _turns(contraction: Contraction, machine: Machine[Keys]) -> int:
    """Cycles that one value takes with all taps of a kernel row."""
    return -(-contraction.windows.starts[1].size // machine.tile.lanes)


def _touched(contraction: Contraction, axis: int) -> IntArray:
    """Coordinates [tap, window] that the windows touch along one axis."""
    windows = contraction.windows
    return windows.starts[axis][:, None] + windows.stride[axis] * np.arange(windows.counts[axis])


def _row_cycles(contraction: Contraction, machine: Machine[Keys]) -> IntArray:
    """Cycles [group, output row] of the non-zeros of all image rows that an output row needs."""
    image, lines, groups = contraction.image, contraction.columns.lines, contraction.rows.groups
    images, channels, height, width = image.shape
    x = np.unique(_touched(contraction, 1))
    # Channels are last where windows are read, and the lines are image rows.
    runs = runs_of(x[(x >= 0) & (x < width)] * image.tensor.shape[1], channels // groups)
    by_group = np.zeros((groups, images, height + 1), dtype=np.int64)  # a row of zeros stands for the border
    by_group[..., :height] = count_vectors(lines.words, lines.start, runs).reshape(groups, images, height)
    y = _touched(contraction, 0)
    found: IntArray = by_group[..., np.where((y >= 0) & (y < height), y, height)].sum(axis=2)
    return found.reshape(groups, -1) * _turns(contraction, machine)


def _dense_row_cycles(contraction: Contraction, machine: Machine[Keys]) -> IntArray:
    """The same with every value present, those of the border among them."""
    image, groups = contraction.image, contraction.rows.groups
    kernel_rows, output_rows = _touched(contraction, 0).shape
    values = np.unique(_touched(contraction, 1)).size * image.shape[1] // groups * kernel_rows
    return np.full((groups, image.shape[0] * output_rows), values * _turns(contraction, machine))


def _run_rows(contraction: Contraction, cycles: IntArray, way: Way, machine: Machine[Keys]) -> Schedule:
    """Each element makes one output row of one filter at a time: all filters take the cycles of the image's rows."""
    places = _places(machine, way.split)
    groups, units = cycles.shape
    used, rounds = min(places[1], units), -(-units // places[1])
    padded = np.zeros((groups, rounds * used), dtype=np.int64)
    padded[:, :units] = cycles
    by_place = padded.reshape(groups * rounds, used).T[:, :, None]
    vectors = contraction.rows.vectors
    repeated = by_place * -(-vectors // places[0])
    waited = repeated.max(axis=0, keepdims=True) if machine.datapath.barrier == "round" else repeated

    def losses() -> Losses:
        own = np.bincount(np.arange(vectors) % places[0], minlength=places[0])
        of_columns, dealt = (np.zeros(places[1], dtype=np.int64) for _ in range(2))
        of_columns[:used] = by_place.sum(axis=(1, 2))
        dealt[: min(used, units)] = np.bincount(np.arange(units) % used) * groups
        totals, tasks = (np.outer(own, columns)[..., None] for columns in (of_columns, dealt))
        return _losses(contraction, (totals, tasks), waited, way, machine)

    return Schedule(
        way=way, rows=contraction.rows, columns=contraction.columns, columns_outer=True, cycles=waited,
        extents=_extents(machine, way.split, contraction.windows.counts[1]), losses=losses,
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------- weight_grad


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """The rows of the output gradient and what they meet, as bits of words."""

    gradients: NDArray[np.uint64]  # [group, filter, word]: non-zeros, row after row, each row in words of its own
    partners: NDArray[np.uint64]  # [group, unit, turn, word]: where the unit takes more than so many turns

    @staticmethod
    def of(contraction: Contraction, machine: Machine[Keys]) -> _Pairs:
        """Read them out of the tensors; a unit is one row of one channel's kernel."""
        rows, groups = contraction.rows, contraction.rows.groups
        image, (_, width) = contraction.image, contraction.windows.counts
        # The words of each row of the output gradient are its own.
        starts = np.arange(0, rows.offset.size, width)[:, None] + np.arange(0, width, WORD_BITS)
        edges = np.append(starts.reshape(-1), rows.offset.size)
        gradients = np.empty((*rows.base.shape, starts.size), dtype=np.uint64)
        for group in range(groups):
            gather_words(rows.words, rows.base[group], *list_runs(rows.offset.reshape(-1), edges), gradients[group])
        images, channels = image.shape[:2]
        turns = _turns(contraction, machine)
        units = np.empty((groups, channels // groups, len(contraction.windows.starts[0]), turns, gradients.shape[2]),
                         dtype=np.uint64)  # fmt: skip
        for tap in range(units.shape[2]):
            met = _present_taps(contraction, tap)
            for turn in range(turns):
                words = _words(met > turn * machine.tile.lanes).reshape(images, channels, -1).swapaxes(0, 1)
                units[:, :, tap, turn] = words.reshape(groups, channels // groups, -1)
        if machine.mapping.step_order == "rcs":
            units = units.swapaxes(1, 2)
        return _Pairs(gradients=gradients, partners=units.reshape(groups, -1, *units.shape[3:]))


def _words(bits: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Pack [..., row, value] into [..., row · words of a row]."""
    padding = [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % WORD_BITS)]
    packed = np.packbits(np.pad(bits, padding), axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint64).reshape(*bits.shape[:-2], -1)


def _present_taps(contraction: Contraction, tap: int) -> IntArray:
    """How many taps of kernel row `tap` meet a non-zero: [image, channel, output row, output column]."""
    image = contraction.image
    y, x = _touched(contraction, 0)[tap], _touched(contraction, 1)
    bordered = np.pad(image.values, [(0, 0), (0, 0), (0, 1), (0, 1)])  # zeros that stand for the border
    inside = [np.where((at >= 0) & (at < size), at, size) for at, size in zip((y, x), image.shape[2:], strict=True)]
    met: IntArray = bordered[:, :, inside[0]][..., inside[1]].sum(axis=3, dtype=np.int64)
    return met


def _run_pairs(contraction: Contraction, pairs: _Pairs | None, way: Way, machine: Machine[Keys]) -> Schedule:
    """Each element makes one kernel row of one filter's gradient at a time; without `pairs` every value is present."""
    places, windows = _places(machine, way.split), contraction.windows
    rows, taps = contraction.rows, windows.starts[1].size
    units = contraction.columns.vectors // taps
    rounds, unit_rounds = -(-rows.vectors // places[0]), -(-units // places[1])
    slowest = np.full((rows.groups, rounds, unit_rounds), rows.offset.size * _turns(contraction, machine))
    totals = np.zeros((rows.groups, *places, rounds), dtype=np.int64)
    if pairs is not None:
        for group in range(rows.groups):
            meet_rows(pairs.gradients[group], pairs.partners[group], places, slowest[group], totals[group])
    cycles = slowest.reshape(1, -1, unit_rounds)
    if pairs is not None and machine.datapath.barrier == "pass":
        used = totals[:, : min(places[0], rows.vectors), : min(places[1], units)]
        cycles = used.transpose(1, 2, 0, 3).reshape(-1, rows.groups * rounds, 1)

    def losses() -> Losses:
        dealt = [np.bincount(np.arange(count) % place, minlength=place)
                 for count, place in zip((rows.vectors, units), places, strict=True)]  # fmt: skip
        tasks = np.outer(dealt[0], dealt[1])[..., None] * rows.groups
        found = totals.sum(axis=(0, 3))[..., None]
        if pairs is None:
            found = tasks * rows.offset.size * _turns(contraction, machine)
        return _losses(contraction, (found, tasks), cycles, way, machine)

    return Schedule(
        way=way, rows=rows, columns=contraction.columns, cycles=cycles,
        extents=_extents(machine, way.split, taps), losses=losses,
    )  # fmt: skip


def _losses(
    contraction: Contraction, dealt: tuple[IntArray, IntArray], cycles: IntArray, way: Way, machine: Machine[Keys]
) -> Losses:
    """`dealt`: cycles and tasks of each element, by its place along rows and columns."""
    rows, columns = contraction.rows, contraction.columns
    if way.skips == ("columns",):
        needed = columns.values * rows.vectors
    elif way.skips:
        needed = count_met(rows, columns)
    else:
        needed = contraction.macs
    split, tile = way.split, machine.tile
    by_tile = [
        each.reshape(split.row_tiles, tile.rows, split.column_tiles, tile.columns)
        .swapaxes(1, 2).reshape(machine.tiles, -1)
        for each in dealt
    ]  # fmt: skip
    waste = int(by_tile[0].sum()) * tile.lanes - needed
    within, between, barriers = waiting(by_tile[0], by_tile[1], int(cycles.sum(axis=(1, 2)).max()))
    return Losses(
        reach=waste // (machine.tiles * tile.macs_per_cycle), rows=within, tiles=between, barriers=barriers
    )  # fmt: skip
