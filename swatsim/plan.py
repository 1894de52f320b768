"""One pass as it will run: its blocks in order, what they move, and what of it may be loaded ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.hierarchy import Hierarchy
from swatsim.kernels.blocks import Blocks
from swatsim.kernels.search import lay_mapping, result_sizes, room_needed
from swatsim.kernels.totals import BLOCK_ROOM, COUNT, FIRST_LOAD, LOAD_BYTES, OF_BUNDLE, ROOM, WRITTEN
from swatsim.mapper import Mapped
from swatsim.moves import DIRECTIONS, Move

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLoad:
    """What the first block of a pass loads of one tensor."""

    tensor: str  # input, weight or output
    cycles: int
    level: int  # where it goes
    room_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A pass cut into blocks, on the machine as it is or with skipping off."""

    blocks: Blocks  # in 32 bits where all of its numbers fit: those of all passes are there until the report
    runs: tuple[int, ...]  # numbers of blocks: each run begins at the end of the one before
    moved: Mapping[Move, int]
    compulsory_bytes: int  # off chip: each operand read once as it is stored, the result written once
    multiplications: int
    mapping: str  # what the mapper chose, for people
    first_loads: tuple[FirstLoad, ...]
    room_bytes: IntArray  # [level]: of one instance, taken while the last blocks are worked on

    @property
    def table(self) -> IntArray:
        """The blocks as kernels take them: Blocks.table in 64 bits."""
        return np.asarray(self.blocks.table, dtype=np.int64)

    @property
    def compute_cycles(self) -> int:
        """Cycles of the computation alone."""
        return int(self.blocks.compute.sum(dtype=np.int64))


def plan_pass(
    mapped: Sequence[Mapped], tensor: str, multiplications: int, compulsory_bytes: int, hierarchy: Hierarchy
) -> Plan:
    """Lay out the contractions of a pass, one after another; `tensor` is what they make."""
    moved: Counter[Move] = Counter()
    for each in mapped:
        moved.update(_moved(each, tensor, hierarchy))
    pieces = [Blocks.empty(0, len(hierarchy.names) - 1), *(_blocks(each, len(hierarchy.names) - 1) for each in mapped)]
    texts = list(dict.fromkeys(_text(each, hierarchy) for each in mapped))
    return Plan(
        blocks=Blocks(_narrow(np.concatenate([piece.table for piece in pieces]))),
        runs=tuple(piece.compute.size for piece in pieces[1:]),
        moved=moved, compulsory_bytes=compulsory_bytes, multiplications=multiplications,
        mapping=" | ".join(texts), first_loads=_first_loads(mapped[0]) if mapped else (),
        room_bytes=_room(mapped, hierarchy),
    )  # fmt: skip


def _narrow(table: IntArray) -> NDArray[Any]:
    """The same numbers, none of which is negative, in 32 bits if they fit."""
    return table.astype(np.int32) if table.max(initial=0) <= np.iinfo(np.int32).max else table


def _blocks(mapped: Mapped, levels: int) -> Blocks:
    arena = mapped.arena
    return Blocks(lay_mapping(arena.blocks, arena.totals, arena.work, mapped.choice, levels))


def _moved(mapped: Mapped, tensor: str, hierarchy: Hierarchy) -> Counter[Move]:
    """Bytes at every level, of all instances."""
    arena, choice = mapped.arena, mapped.choice
    cuts = (choice.row_cut, choice.column_cut)
    blocks = [int(totals.table[cut, OF_BUNDLE]) for totals, cut in zip(arena.totals, cuts, strict=True)]
    times = (blocks[1] if choice.columns_outside and blocks[0] > 1 else 1,
             blocks[0] if not choice.columns_outside and blocks[1] > 1 else 1)  # fmt: skip
    roles = (mapped.schedule.rows.role, mapped.schedule.columns.role)
    moved: Counter[Move] = Counter()
    for side, (totals, cut, role) in enumerate(zip(arena.totals, cuts, roles, strict=True)):
        moved[Move(hierarchy.names[0], "read", role)] += int(totals.table[cut, LOAD_BYTES]) * times[side]
        moved[Move(hierarchy.names[totals.resident], "write", role)] += int(totals.table[cut, WRITTEN]) * times[side]
        other = arena.totals[1 - side].often[:, cuts[1 - side]]
        found = (totals.moved[:, :, :, cut] * other).sum(axis=2)
        for level, direction in np.ndindex(found.shape):
            moved[Move(hierarchy.names[level + 1], DIRECTIONS[direction], role)] += int(found[level, direction])
    rest = arena.rest
    for direction, count in zip(("write", "read"), rest.stored, strict=True):
        moved[Move(hierarchy.names[0], direction, tensor)] += int(count) * rest.values
    for level, direction in np.ndindex(rest.results_moved.shape):
        count = int(rest.results_moved[level, direction])
        moved[Move(hierarchy.names[level + 1], DIRECTIONS[direction], tensor)] += count * rest.values
    return Counter({move: count for move, count in moved.items() if count})


def _first_loads(mapped: Mapped) -> tuple[FirstLoad, ...]:
    found = []
    roles = (mapped.schedule.rows.role, mapped.schedule.columns.role)
    cuts = (mapped.choice.row_cut, mapped.choice.column_cut)
    for role, totals, cut in zip(roles, mapped.arena.totals, cuts, strict=True):
        found.append(FirstLoad(
            tensor=role, cycles=int(totals.table[cut, FIRST_LOAD]), level=totals.resident,
            room_bytes=int(totals.table[cut, BLOCK_ROOM]),
        ))  # fmt: skip
    return tuple(found)


def _room(mapped: Sequence[Mapped], hierarchy: Hierarchy) -> IntArray:
    """Room while the last blocks are worked on: nothing comes beside them any more."""
    need = np.zeros(len(hierarchy.names), dtype=np.int64)
    if not mapped:
        return need
    arena, choice = mapped[-1].arena, mapped[-1].choice
    cuts = (choice.row_cut, choice.column_cut)
    room_needed(arena.totals, cuts, result_sizes(arena.totals, cuts, arena.rest), arena.rest, need)
    for totals, cut in zip(arena.totals, cuts, strict=True):
        need[totals.resident] -= totals.table[cut, ROOM] - totals.table[cut, BLOCK_ROOM]
    return need


def _text(mapped: Mapped, hierarchy: Hierarchy) -> str:
    """Such as `8x2 tiles, columns outside, 4x3 blocks, 2 parts`."""
    arena, choice, split = mapped.arena, mapped.choice, mapped.schedule.way.split
    counts = [
        int(totals.table[cut, COUNT])
        for totals, cut in zip(arena.totals, (choice.row_cut, choice.column_cut), strict=True)
    ]
    bundles = counts[0] // int(arena.totals[0].table[choice.row_cut, OF_BUNDLE])
    words = [f"{split.row_tiles}x{split.column_tiles} tiles"]
    if mapped.schedule.way.transposed:
        words.append("sides exchanged")
    blocks = f"{counts[0] // bundles}x{counts[1] // bundles} blocks"
    words.append(f"{bundles} times {blocks}" if bundles > 1 else blocks)
    if arena.rest.parts > 1:
        words.append(f"reduction outside in {arena.rest.parts} parts" + (", spilled" if arena.rest.spilled else ""))
    if min(counts) > bundles:
        words.append("columns outside" if choice.columns_outside else "rows outside")
    return ", ".join(words)
