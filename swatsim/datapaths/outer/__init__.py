"""Cartesian products of non-zeros, and those that anticipate which of them are in the result.

A. Parashar et al., "SCNN: An Accelerator for Compressed-sparse Convolutional Neural Networks", ISCA 2017; N. Lew et
al., "Anticipating and Eliminating Redundant Computations in Accelerated Sparse Training", ISCA 2022. Rules:
docs/datapaths/outer.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.exchange import round_cycles
from swatsim.datapaths.outer.geometry import Geometry, geometry, largest_area, sub_grid
from swatsim.datapaths.outer.work import array_of, count
from swatsim.kernels.cartesian import Array
from swatsim.keys.machine import Machine
from swatsim.keys.outer import RULES, Keys
from swatsim.mapping import splits
from swatsim.way import Extent, Losses, Schedule, Split, Way, Ways

__all__ = ["KIND", "RULES", "Keys", "schedule", "ways"]

KIND = "outer"


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: one way, whose split is the best with every value present: values are not known beforehand."""
    splittings = [split for split in splits(machine) if sub_grid(contraction, machine, split) is not None]
    # Of equals, the one with more PEs on an image: `splits` has those with more row tiles first.
    offered = [Way(split=split) for split in reversed(splittings)]
    if len(offered) > 1:
        offered = [min(schedule(contraction, machine, offered), key=lambda each: each.compute_cycles).way]
    skipping = (Way(split=offered[0].split, skips=("rows", "columns")),) if machine.datapath.skip == "both" else ()
    return Ways(skipping=skipping, dense=tuple(offered))


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`."""
    return tuple(_schedule(contraction, machine, way) for way in ways)


def _schedule(contraction: Contraction, machine: Machine[Keys], way: Way) -> Schedule:
    shape, array = _prepare(contraction, machine, way.split)
    found = count(contraction, shape, array, machine, dense=not way.skips)
    tiles, rows = machine.tiles, contraction.rows
    results = shape.results[0] * shape.results[1]
    # In weight_grad all PEs have sums of the same results, else each those of its own tile.
    per_tile = results if contraction.taps is None else largest_area(shape.results, shape.grid)
    columns = Extent(per_tile=per_tile, tiles=way.split.column_tiles, at_once=results)
    cycles = round_cycles(found.cycles, contraction, shape, array, machine.datapath)
    multipliers = tiles * machine.tile.macs_per_cycle

    def losses() -> Losses:
        idle = found.pe_cycles * machine.tile.macs_per_cycle - found.products
        return Losses(reach=idle // multipliers, tiles=found.waits[0] // tiles, barriers=found.waits[1] // tiles)

    return Schedule(
        way=way, rows=rows, columns=contraction.columns,
        extents=(Extent.of(array.block_rows, array.blocks_at_once), columns),
        cycles=cycles.reshape(1, -1, cycles.shape[2]), losses=losses, multiplications=found.products,
    )  # fmt: skip


def _prepare(contraction: Contraction, machine: Machine[Keys], split: Split) -> tuple[Geometry, Array]:
    grid = sub_grid(contraction, machine, split)
    assert grid is not None, "only splits with a grid are offered"
    shape = geometry(contraction, machine.datapath, grid)
    return shape, array_of(shape, contraction, machine, split.row_tiles)
