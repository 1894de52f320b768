"""Blocks through load, compute and store: where the computation has to wait (docs/model.md §3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swatsim.architecture import LEVELS, Architecture
from swatsim.kernels.engines import run_blocks
from swatsim.traffic import BlockTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Cycles of a pass, and what takes longest."""

    cycles: int
    compute_cycles: int
    bound_by: str  # compute, dram, central, sb, nbin or nbout


def place(blocks: list[BlockTimes], architecture: Architecture) -> Timeline:
    """Run the blocks of one pass, in order, with double buffers and one half-duplex DRAM channel."""
    load, busy, store = (
        np.array([getattr(block, engine) for block in blocks], dtype=np.int64) for engine in ("load", "busy", "store")
    )
    cycles = int(run_blocks(load, busy, store, architecture.memory.dram.latency_cycles))
    occupied = {"compute": sum(block.compute for block in blocks), "dram": int(load.sum() + store.sum())}
    for level in LEVELS[1:]:  # DRAM has engines of its own
        occupied[level] = sum(block.streams[level] for block in blocks)
    compute_cycles = occupied["compute"]
    return Timeline(
        cycles=cycles, compute_cycles=compute_cycles, bound_by=max(occupied, key=lambda name: occupied[name])
    )
