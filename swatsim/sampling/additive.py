"""Whose cycles add up over groups of windows or steps, which is what a sample can be scaled by (docs/sampling.md)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

from pydantic import BaseModel

from swatsim.contraction import Contraction
from swatsim.keys.machine import Machine
from swatsim.way import Way

# Of the datapath `lanes`: units that wait for each other at the end of a buffer are scheduled as if they did not.
_BUFFER, _PASS = "buffer", "pass"
MOVES_GRANULE = 32


class StepRule(NamedTuple):
    """How the steps of a reduction may be cut without changing what they take."""

    granule: int  # steps, at whose multiples they may be cut
    together: int  # slots that wait for each other at the end of each buffer
    seamless: bool  # nothing is lost where a buffer is cut


def depends_on_images(contraction: Contraction, way: Way) -> bool:
    """Whether the schedule depends on the values of an operand that has the images of the batch."""
    # Only the weights, on the rows of all passes but weight_grad, are the same for every image.
    return "columns" in way.skips or (contraction.taps is None and bool(way.skips))


def counted_only(machine: Machine[Any], way: Way) -> bool:
    """Whether the values of a vector's chunks are all that its cycles depend on: they are counted in no time."""
    datapath = machine.datapath
    return bool(datapath.kind == "lanes" and datapath.reach == "crossbar" and len(way.skips) == 1)


def windows_at_once(machine: Machine[Any], way: Way) -> int | None:
    """Windows of a round, each of which is scheduled by itself; None where rounds are not independent."""
    datapath, tile, split = machine.datapath, machine.tile, way.split
    if datapath.kind == "matrix_outer":
        return int(datapath.block_columns * split.column_tiles)
    if datapath.kind != "lanes" or datapath.decouple_depth:
        return None
    return int(tile.rows * split.row_tiles if way.transposed else tile.columns * split.column_tiles)


def windows_of_sets(machine: Machine[Any], way: Way, sets: int) -> list[range]:
    """The windows of a round that each barrier set of a schedule works on, by their places in the round."""
    datapath, tile, split = machine.datapath, machine.tile, way.split
    at_once = windows_at_once(machine, way) or 1
    if datapath.kind == "matrix_outer":
        # One for each tile that has a block, those of a row of tiles together; or a single one.
        of_tile, tiles = int(datapath.block_columns), min(sets, split.column_tiles)
        places = [number % tiles for number in range(sets)]
        found = [range(place * of_tile, (place + 1) * of_tile) for place in places]
    elif len(way.skips) > 1:
        slots = 1 if datapath.lockstep == "tile" else tile.rows * tile.columns
        in_set = 1 if datapath.barrier == _PASS else slots * datapath.barrier_tiles
        tiles_of = [(number * in_set // slots, -(-(number + 1) * in_set // slots)) for number in range(sets)]
        found = [
            range(first // split.row_tiles * tile.columns, -(-last // split.row_tiles) * tile.columns)
            for first, last in tiles_of
        ]
    else:
        of_tile = tile.rows if way.transposed else tile.columns
        slot = of_tile if datapath.lockstep == "tile" else 1
        of_set = slot if datapath.barrier == _PASS else of_tile * datapath.barrier_tiles
        found = [range(number * of_set, (number + 1) * of_set) for number in range(sets)]
    return [
        range(min(each.start, at_once - 1), min(each.stop, at_once)) if sets > 1 else range(at_once) for each in found
    ]


def step_rule(machine: Machine[Any], way: Way, steps: int) -> StepRule | None:
    """How a reduction of so many steps may be cut; None where its parts' cycles do not add up."""
    datapath = machine.datapath
    if datapath.kind == "matrix_outer":
        return StepRule(granule=1, together=1, seamless=True)
    if datapath.kind != "lanes" or datapath.decouple_depth or datapath.balance == "pair":
        return None
    if datapath.lockstep == "lane" and datapath.barrier == _BUFFER:
        return None  # a lane's sum over the whole buffer is not kept
    return StepRule(_granule(machine, steps), _together(machine, way), datapath.reach != "moves")


def without_waiting(machine: Machine[Any]) -> Machine[Any]:
    """The machine with every slot a barrier set of its own, so that a schedule has the cycles of each."""
    whole = cast(BaseModel, machine)
    datapath = machine.datapath.model_copy(update={"barrier": _PASS})
    return cast(Machine[Any], whole.model_copy(update={"datapath": datapath}))


def _granule(machine: Machine[Any], steps: int) -> int:
    datapath = machine.datapath
    if datapath.barrier == "step":
        return 1
    if datapath.reach == "moves":
        # Each group loses what its last steps would have taken from the next ones.
        return MOVES_GRANULE
    if datapath.reach == "n_of_m":
        return int(datapath.m // math.gcd(datapath.n, datapath.m))
    if machine.tile.lanes == 1 and datapath.barrier != "chunk" and datapath.empty_chunk_cycles == 0:
        return 1  # a single lane loses nothing at the end of a chunk
    return min(datapath.chunk_steps or steps, steps)


def _together(machine: Machine[Any], way: Way) -> int:
    datapath, tile = machine.datapath, machine.tile
    if datapath.barrier != _BUFFER:
        return 1
    if len(way.skips) > 1:
        in_tile, tiles = tile.rows * tile.columns, machine.tiles
    else:
        turned = datapath.skip == "columns"
        in_tile = tile.columns if turned else tile.rows
        tiles = way.split.column_tiles if turned else way.split.row_tiles
    if datapath.lockstep == "tile":
        in_tile = 1
    return int(in_tile * min(datapath.barrier_tiles, tiles))
