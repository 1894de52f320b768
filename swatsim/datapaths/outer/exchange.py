"""Sums that PEs exchange: halos with their neighbours, in weight_grad those that all have of the same results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.geometry import Geometry
from swatsim.datapaths.outer.keys import Keys

IntArray = NDArray[np.int64]


def round_cycles(work: IntArray, contraction: Contraction, shape: Geometry, datapath: Keys) -> IntArray:
    """Let each of cycles work[group, round of rows, round of columns] exchange its sums."""
    weight_grad = contraction.taps is None
    first = np.arange(work.shape[1]) * shape.block_rows * shape.blocks_at_once
    rows = np.minimum(contraction.rows.vectors - first, shape.block_rows)
    kind = datapath.merge if weight_grad else datapath.halo
    if kind == "none":
        return work
    link = datapath.link_values_per_cycle
    spent = (_merge_cycles(rows, shape, link) if weight_grad else _upward(shape.halo * rows, link))[:, None]
    together: IntArray = work + spent if kind == "added" else np.maximum(work, spent)
    return together


def _merge_cycles(rows: IntArray, shape: Geometry, link: int) -> IntArray:
    """Add the sums up along the height of the grid, then along its width."""
    cycles, sums = np.zeros_like(rows), rows * shape.results[0] * shape.results[1]
    for pes in shape.used:
        # Each PE ends up with its share of the sums, and sends the others to both sides.
        cycles += _upward(sums * (pes - 1), 2 * pes * link)
        sums = _upward(sums, pes)
    return cycles


def _upward(values: IntArray, divisor: int) -> IntArray:
    return -(-values // divisor)
