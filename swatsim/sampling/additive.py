"""Whose cycles add up over groups of windows, which is what a sample can be scaled by (docs/sampling.md)."""

from __future__ import annotations

from typing import Any

from swatsim.contraction import Contraction
from swatsim.keys.machine import Machine
from swatsim.way import Way


def depends_on_images(contraction: Contraction, way: Way) -> bool:
    """Whether the schedule depends on the values of an operand that has the images of the batch."""
    # Only the weights, on the rows of all passes but weight_grad, are the same for every image.
    return "columns" in way.skips or (contraction.taps is None and bool(way.skips))


def counted_only(machine: Machine[Any], way: Way) -> bool:
    """Whether the values of a vector's chunks are all that its cycles depend on: they are counted in no time."""
    datapath = machine.datapath
    return bool(datapath.kind == "lanes" and datapath.reach == "crossbar" and len(way.skips) == 1)


def windows_at_once(contraction: Contraction, machine: Machine[Any], way: Way) -> int | None:
    """Windows of a round, each of which is scheduled by itself; None where there are none that are independent."""
    if contraction.taps is None or machine.datapath.kind != "lanes" or machine.datapath.decouple_depth:
        return None
    tile, split = machine.tile, way.split
    return int(tile.rows * split.row_tiles if way.transposed else tile.columns * split.column_tiles)


def windows_of_sets(machine: Machine[Any], way: Way, sets: int) -> list[range]:
    """The windows of a round that each barrier set of a schedule works on, by their places in the round."""
    datapath, tile, split = machine.datapath, machine.tile, way.split
    of_tile = tile.rows if way.transposed else tile.columns
    at_once = of_tile * (split.row_tiles if way.transposed else split.column_tiles)
    if len(way.skips) > 1:
        slots = 1 if datapath.lockstep == "tile" else tile.rows * tile.columns
        in_set = 1 if datapath.barrier == "pass" else slots * datapath.barrier_tiles
        tiles_of = [(number * in_set // slots, -(-(number + 1) * in_set // slots)) for number in range(sets)]
        found = [
            range(first // split.row_tiles * tile.columns, -(-last // split.row_tiles) * tile.columns)
            for first, last in tiles_of
        ]
    else:
        slot = of_tile if datapath.lockstep == "tile" else 1
        of_set = slot if datapath.barrier == "pass" else of_tile * datapath.barrier_tiles
        found = [range(number * of_set, (number + 1) * of_set) for number in range(sets)]
    return [
        range(min(each.start, at_once - 1), min(each.stop, at_once)) if sets > 1 else range(at_once) for each in found
    ]
