"""Cartesian products of non-zeros, and those that anticipate which of them are in the result.

A. Parashar et al., "SCNN: An Accelerator for Compressed-sparse Convolutional Neural Networks", ISCA 2017; N. Lew et
al., "Anticipating and Eliminating Redundant Computations in Accelerated Sparse Training", ISCA 2022. Rules:
docs/datapaths/outer.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.exchange import round_cycles
from swatsim.datapaths.outer.geometry import geometry, largest_area, sub_grid
from swatsim.datapaths.outer.keys import RULES, Keys
from swatsim.datapaths.outer.work import count
from swatsim.keys.machine import Machine
from swatsim.mapping import divisions, splits
from swatsim.way import Extent, Losses, Relaxation, Schedule, Split, Way, Ways

__all__ = ["KIND", "RULES", "Keys", "schedule", "ways"]

KIND = "outer"
# What `swatsim explain` tries.
RELAXATIONS = (
    Relaxation("datapath.barrier", "round", ("barriers", "tiles")),
    Relaxation("datapath.bank_queue", losses=("reach",)),
    Relaxation("datapath.accumulator_banks", losses=("reach",)),
    Relaxation("datapath.accumulator_entries", losses=("reach", "barriers")),
    Relaxation("datapath.anticipate", "exact", ("reach", "edges")),
    Relaxation("datapath.halo", "none", ("edges",)),
    Relaxation("datapath.merge", "none", ("edges",)),
)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: one way, whose split is the best with every value present: values are not known beforehand."""
    splittings = [split for split in _splits(contraction, machine) if sub_grid(contraction, machine, split) is not None]
    # Of equals, the one with more PEs on an image: `splits` has those with more row tiles first.
    offered = [Way(split=split) for split in reversed(splittings)]
    if len(offered) > 1:
        offered = [min(schedule(contraction, machine, offered), key=lambda each: each.compute_cycles).way]
    return Ways(skipping=(Way(split=offered[0].split, skips=("rows", "columns")),), dense=tuple(offered))


def _splits(contraction: Contraction, machine: Machine[Keys]) -> Iterable[Split]:
    """Positions of a linear layer are too few for the PEs: they share out its rows too (SCNN, §4)."""
    windows = contraction.windows
    if contraction.image.shape[2] == 1 and windows.starts[0].size == windows.starts[1].size == 1:
        return divisions(machine.tiles)
    return splits(machine)


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`."""
    return tuple(_schedule(contraction, machine, way) for way in ways)


def _schedule(contraction: Contraction, machine: Machine[Keys], way: Way) -> Schedule:
    shape = geometry(contraction, machine, way.split)
    found = count(contraction, shape, machine, dense=not way.skips)
    results = shape.results[0] * shape.results[1]
    # In weight_grad all PEs have sums of the same results, else each those of its own tile.
    per_tile = results if contraction.taps is None else largest_area(shape.results, shape.grid)
    columns = Extent(per_tile=per_tile, tiles=way.split.column_tiles, at_once=results)
    cycles = round_cycles(found.cycles, contraction, shape, machine.datapath)
    multipliers = machine.tile.macs_per_cycle

    def losses() -> Losses:
        idle = found.working * multipliers - found.products
        return Losses(
            reach=idle // (machine.tiles * multipliers),
            tiles=found.once - -(-found.working // machine.tiles),
            barriers=int(found.cycles.sum()) - found.once,
        )

    return Schedule(
        way=way, rows=contraction.rows, columns=contraction.columns,
        extents=(Extent.of(shape.block_rows, shape.blocks_at_once), columns),
        cycles=cycles.reshape(1, -1, cycles.shape[2]), losses=losses, multiplications=found.products,
    )  # fmt: skip
