"""Non-zeros packed onto a pool of multipliers, executed cycle by cycle: load, stream, add.

Nothing here is shared with swatsim; the vectors come from `oracle_vectors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from oracle_vectors import Contraction, OracleLayer, Order, contractions, convolution_of, definition, layer_result

ORDER = Order(lanes=1, flatten="never", step_order="crs", window_order="npq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The keys that decide the machine's cycles."""

    tiles: int = 1
    rows: int = 1
    columns: int = 1
    lanes: int = 4
    stationary: str = "rows"
    load_width: int = 2
    reduction: int = 3
    overlap: bool = False
    stream_vectors: int | None = None
    tile_split: str = "rows"

    def overrides(self) -> dict[str, Any]:
        return {
            "tiles": self.tiles, "tile.rows": self.rows, "tile.columns": self.columns, "tile.lanes": self.lanes,
            "datapath.stationary": self.stationary, "datapath.load_values_per_cycle": self.load_width,
            "datapath.reduction_cycles": self.reduction, "datapath.stream_vectors": self.stream_vectors,
            "datapath.between_folds": "overlap" if self.overlap else "wait", "mapping.tile_split": self.tile_split,
            "mapping.step_order": ORDER.step_order, "mapping.window_order": ORDER.window_order,
        }  # fmt: skip

    @property
    def per_tile(self) -> int:
        return self.rows * self.columns * self.lanes

    @property
    def splits(self) -> list[tuple[int, int]]:
        divisors = [rows for rows in range(1, self.tiles + 1) if self.tiles % rows == 0]
        choices = {"rows": [self.tiles], "columns": [1], "best": divisors}[self.tile_split]
        return [(rows, self.tiles // rows) for rows in choices]


Value = tuple[int, int, int]  # what a multiplier holds: vector, element of the reduction, value


def values_of(group: int, stationary: np.ndarray, streaming: np.ndarray, *, skip: bool) -> list[Value]:
    """What is loaded, vector by vector."""
    useful = np.any(streaming[group] != 0, axis=0)
    return [
        (vector, element, int(value))
        for vector, elements in enumerate(stationary[group])
        for element, value in enumerate(elements)
        if not skip or (value != 0 and useful[element])
    ]


def visits(values: list[Value], pool: Pool, split: tuple[int, int], streams: list[int]) -> Iterator[tuple[Any, int]]:
    """The folds in the order in which they are loaded: (values, first streaming vector).

    Vectors are dealt in rounds. The folds that begin in a round meet one stream, then are loaded again for the next.
    """
    size = pool.per_tile * split[0]
    folds = [values[first : first + size] for first in range(0, len(values), size)]
    dealt = pool.rows * split[0]
    rounds = {fold[0][0] // dealt for fold in folds}
    for number in sorted(rounds):
        own = [fold for fold in folds if fold[0][0] // dealt == number]
        for start in streams:
            for fold in own:
                yield fold, start


class Clock:
    """Cycles as they pass: of the loading, and of the multipliers."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.now = 0
        self.loaded_from = 0  # when the second registers are free

    def load(self, fold: list[Value]) -> list[Value]:
        """Bring a fold in, a few values a cycle."""
        start = self.loaded_from if self.pool.overlap else self.now
        held: list[Value] = []
        while len(held) < len(fold):
            held += fold[len(held) : len(held) + self.pool.load_width]
            start += 1
        self.now = max(self.now, start)
        self.loaded_from = self.now
        return held


def run_pool(
    stationary: np.ndarray, streaming: np.ndarray, pool: Pool, split: tuple[int, int], *, skip: bool
) -> tuple[int, np.ndarray, int]:
    """Cycles, sums [group, stationary vector, streaming vector] and products of non-zeros."""
    clock, products, any_work = Clock(pool), 0, False
    sums = np.zeros((*stationary.shape[:2], streaming.shape[1]), np.int64)
    vectors = streaming.shape[1]
    share = -(-vectors // split[1])
    wide = min(pool.stream_vectors or share, share)
    for group in range(len(stationary)):
        values = values_of(group, stationary, streaming, skip=skip)
        for fold, start in visits(values, pool, split, list(range(0, vectors, wide * split[1]))):
            any_work = True
            held = clock.load(fold)
            assert len(held) <= pool.per_tile * split[0], "more values than multipliers"
            for step in range(min(wide, vectors - start)):  # each column of tiles streams vectors of its own
                for tile in range(split[1]):
                    other = start + tile * wide + step
                    if other >= min(vectors, start + (tile + 1) * wide):
                        continue
                    for vector, element, value in held:
                        product = value * int(streaming[group, other, element])
                        products += product != 0
                        sums[group, vector, other] += product
                clock.now += 1
            if not pool.overlap:
                clock.now += pool.reduction
    if pool.overlap and any_work:
        clock.now += pool.reduction
    expected = np.einsum("gke,gje->gkj", stationary, streaming)
    assert np.array_equal(sums, expected), "the pool computes another product"
    return clock.now, sums, products


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    cycles: int
    dense_cycles: int
    effectual_macs: int
    macs: int


def orientation(contraction: Contraction, pool: Pool) -> bool:
    """Whether the columns stay."""
    return pool.stationary == "columns" or (
        pool.stationary == "sparser" and contraction.column_zeros > contraction.row_zeros
    )


def run_pass(layer: OracleLayer, pass_name: str, pool: Pool) -> Counts:
    """One pass, whose result must be what `definition` says."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    cycles, dense, effectual, macs = 0, 0, 0, 0
    for contraction in contractions(conv, ORDER):
        sides = [side.reshape(*side.shape[:2], -1) for side in (contraction.rows, contraction.columns)]
        macs += sides[0].size * sides[1].shape[1]
        turned = orientation(contraction, pool)
        stationary, streaming = sides[::-1] if turned else sides
        runs = [run_pool(stationary, streaming, pool, split, skip=True) for split in pool.splits]
        either = (sides, sides[::-1]) if pool.stationary == "sparser" else ((stationary, streaming),)
        fewest = min(run_pool(*each, pool, split, skip=False)[0] for each in either for split in pool.splits)
        cycles += min(fewest, *(run[0] for run in runs))
        dense += fewest
        counted = int(np.einsum("gke,gje->", stationary != 0, streaming != 0, dtype=np.int64))
        assert {run[2] for run in runs} == {counted}, "not every effectual product was computed once"
        effectual += counted
        for group, first, second in np.ndindex(runs[0][1].shape):
            place = (second, first) if turned else (first, second)
            result[contraction.place(group, *place)] += runs[0][1][group, first, second]
    assert np.array_equal(layer_result(layer, pass_name, result), definition(layer, pass_name)), pass_name
    return Counts(cycles=cycles, dense_cycles=dense, effectual_macs=effectual, macs=macs)
