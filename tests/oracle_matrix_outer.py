"""Blocks of results computed as outer products of what is not zero, cycle by cycle.

Nothing here is shared with swatsim; the vectors come from `oracle_vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from oracle_vectors import OracleLayer, Order, contractions, convolution_of, definition, layer_result

ORDER = Order(lanes=1, flatten="never", step_order="crs", window_order="npq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The keys that decide the machine's cycles."""

    tiles: int = 1
    rows: int = 2
    columns: int = 4
    block_rows: int = 4
    block_columns: int = 8
    barrier: str = "pass"
    tile_split: str = "rows"

    def overrides(self) -> dict[str, Any]:
        return {
            "tiles": self.tiles, "tile.rows": self.rows, "tile.columns": self.columns,
            "datapath.block_rows": self.block_rows, "datapath.block_columns": self.block_columns,
            "datapath.barrier": self.barrier, "mapping.tile_split": self.tile_split,
            "mapping.step_order": ORDER.step_order, "mapping.window_order": ORDER.window_order,
        }  # fmt: skip

    @property
    def splits(self) -> list[tuple[int, int]]:
        divisors = [rows for rows in range(1, self.tiles + 1) if self.tiles % rows == 0]
        choices = {"rows": [self.tiles], "columns": [1], "best": divisors}[self.tile_split]
        return [(rows, self.tiles // rows) for rows in choices]


class Unit:
    """One tile: a grid of multipliers and the sums of its block."""

    def __init__(self, machine: Units, sums: np.ndarray) -> None:
        self.machine, self.sums, self.clock, self.products = machine, sums, 0, 0

    def run(self, rows: dict[int, np.ndarray], columns: dict[int, np.ndarray], *, skip: bool) -> None:
        """A block: vectors by their numbers; element after element, what is present is moved together."""
        elements = len(next(iter(rows.values())))
        for element in range(elements):
            left = [(i, int(row[element])) for i, row in rows.items() if row[element] or not skip]
            top = [(j, int(column[element])) for j, column in columns.items() if column[element] or not skip]
            while left and top:
                pass_rows, left = left[: self.machine.rows], left[self.machine.rows :]
                across = list(top)
                while across:
                    pass_columns, across = across[: self.machine.columns], across[self.machine.columns :]
                    for i, value in pass_rows:
                        for j, other in pass_columns:
                            self.sums[i, j] += value * other
                            self.products += value * other != 0
                    self.clock += 1


def run_units(
    rows: np.ndarray, columns: np.ndarray, machine: Units, split: tuple[int, int], *, skip: bool
) -> tuple[int, np.ndarray, int]:
    """Cycles, sums [group, row, column] and products of non-zeros."""
    sums = np.zeros((*rows.shape[:2], columns.shape[1]), np.int64)
    units = {tile: Unit(machine, sums[0]) for tile in np.ndindex(*split)}
    high, wide = machine.block_rows, machine.block_columns
    for group in range(len(rows)):
        for first in range(0, rows.shape[1], high * split[0]):
            for second in range(0, columns.shape[1], wide * split[1]):
                for (a, b), unit in units.items():
                    unit.sums = sums[group]
                    i, j = first + a * high, second + b * wide
                    own = {i + k: row for k, row in enumerate(rows[group, i : i + high])}
                    other = {j + k: column for k, column in enumerate(columns[group, j : j + wide])}
                    if own and other:
                        unit.run(own, other, skip=skip)
                if machine.barrier == "block":
                    latest = max(unit.clock for unit in units.values())
                    for unit in units.values():
                        unit.clock = latest
    assert np.array_equal(sums, np.einsum("gke,gje->gkj", rows, columns)), "the units compute another product"
    return max(unit.clock for unit in units.values()), sums, sum(unit.products for unit in units.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    cycles: int
    dense_cycles: int
    effectual_macs: int


def run_pass(layer: OracleLayer, pass_name: str, machine: Units) -> Counts:
    """One pass, whose result must be what `definition` says."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    cycles, dense, effectual = 0, 0, 0
    for contraction in contractions(conv, ORDER):
        rows, columns = (side.reshape(*side.shape[:2], -1) for side in (contraction.rows, contraction.columns))
        runs = [run_units(rows, columns, machine, split, skip=True) for split in machine.splits]
        cycles += min(run[0] for run in runs)
        dense += min(run_units(rows, columns, machine, split, skip=False)[0] for split in machine.splits)
        counted = int(np.einsum("gke,gje->", rows != 0, columns != 0, dtype=np.int64))
        assert {run[2] for run in runs} == {counted}, "not every effectual product was computed once"
        effectual += counted
        for place in np.ndindex(runs[0][1].shape):
            result[contraction.place(*place)] += runs[0][1][place]
    assert np.array_equal(layer_result(layer, pass_name, result), definition(layer, pass_name)), pass_name
    return Counts(cycles=cycles, dense_cycles=dense, effectual_macs=effectual)
