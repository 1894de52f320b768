"""Moves as the kernel takes them: rotations of all lanes at once, that serve lanes as if one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swatsim.datapaths.lanes.chunks import gather_rows
from swatsim.datapaths.lanes.keys import Keys
from swatsim.kernels.moves import SCRATCH_ROWS, SCRATCH_ROWS_TO_COUNT, WORD_BITS, MoveRule, schedule_units
from swatsim.keys.machine import Machine
from swatsim.sides import Side

IntArray = NDArray[np.int64]
Words = NDArray[np.uint64]
Move = tuple[int, int]  # (steps ahead, lanes aside)

# Their words, as they are gathered and as they are scheduled, stay in the second-level cache.
ROWS_AT_ONCE = 512
# Where the reduction is long, as over many images, fewer rows: 8 MiB.
MOST_WORDS_AT_ONCE = 1 << 20


def move_cycles(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> tuple[IntArray, IntArray]:
    """Cycles [group, unit, 1, run] of each unit after `run` dropped steps, and the run that it ends with."""
    datapath = machine.datapath
    moves = make_moves(
        datapath.moves, datapath.lane_order or tuple(range(machine.tile.lanes)),
        datapath.order == "most_candidates", unit_rows,
    )  # fmt: skip
    shape = (side.groups, -(-side.vectors // unit_rows), moves.lookahead + 1)
    cycles, after = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    words_at_once = min(ROWS_AT_ONCE * offset.shape[0], MOST_WORDS_AT_ONCE)
    for group, units, words in gather_rows(side, offset, unit_rows, words_at_once):
        moves.schedule(words, cycles[group, units], after[group, units])
    return cycles[:, :, None], after


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """The moves of a machine, ready for the kernel."""

    rule: MoveRule
    rivals: Words | None  # None: who is served before whom is in the order of the rule's takes
    lookahead: int

    def schedule(self, rows: Words, cycles: IntArray, after: IntArray) -> None:
        """Set the cycles of units of rows[row, step], and the steps dropped at their end (`schedule_units`)."""
        fields = WORD_BITS // self.rule.lanes
        places = cycles.shape[0] * -(-self.rule.unit_rows // fields)
        scratch = SCRATCH_ROWS + (0 if self.rivals is None else SCRATCH_ROWS_TO_COUNT + self.rule.count_bits)
        # Where the kernel lays out its rows, and keeps what it needs.
        work = np.zeros((rows.shape[1] + self.lookahead + scratch, places), dtype=np.uint64)
        schedule_units(rows, self.rule, self.rivals, work, cycles, after)


@lru_cache(maxsize=64)
def make_moves(moves: tuple[Move, ...], lane_order: tuple[int, ...], most_candidates: bool, unit_rows: int) -> Moves:
    """The moves, in order of preference, where `unit_rows` rows advance together; `lane_order` has each lane once."""
    lanes = len(lane_order)
    rivals = _distances(moves, lanes) if most_candidates else []
    takes = [(move, range(lanes)) for move in moves] if most_candidates else _takes(moves, lane_order)
    rows = [(ahead, _mask(served, lanes), *_turn(aside, lanes)) for (ahead, aside), served in takes]
    lowers = [(_mask(range(lanes - apart), lanes), *_turn(apart, lanes)) for apart in rivals]
    return Moves(
        rule=MoveRule(lanes, unit_rows, len(moves).bit_length(), np.array(rows, dtype=np.uint64)),
        rivals=np.array(lowers, dtype=np.uint64) if rivals else None,
        lookahead=max(ahead for ahead, _ in moves),
    )


def _distances(moves: Sequence[Move], lanes: int) -> list[int]:
    """How far apart, at most half of the way around, lanes are that reach the same place."""
    found = {(one - other) % lanes for ahead, one in moves for as_far, other in moves if ahead == as_far}
    return sorted(apart for apart in found if 0 < apart <= lanes - apart)


def _takes(moves: Sequence[Move], lane_order: Sequence[int]) -> list[tuple[Move, list[int]]]:
    """Moves and the lanes that try them at once, so that all end as if lane after lane had tried its moves in turn.

    A lane tries a move when its moves before have been tried, and when the lanes before it have tried those that reach
    the same place. Of the moves that some lane can try, the one that most have to wait for is next.
    """
    lanes = len(lane_order)
    tries = [(lane, move) for lane in lane_order for move in range(len(moves))]
    place = {(lane, move): (moves[move][0], (lane + moves[move][1]) % lanes) for lane, move in tries}
    waiting: dict[tuple[int, int], int] = {}  # the longest chain of tries that wait, this one included
    queues: dict[Move, list[tuple[int, int]]] = {}  # of each place, the last one first
    for lane, move in reversed(tries):
        queue = queues.setdefault(place[lane, move], [])
        followers = [(lane, move + 1), *queue[-1:]]
        waiting[lane, move] = 1 + max(waiting.get(follower, 0) for follower in followers)
        queue.append((lane, move))
    found = []
    left = dict.fromkeys(lane_order, 0)  # the next move of each lane
    while left:
        ready = [(lane, move) for lane, move in left.items() if queues[place[lane, move]][-1] == (lane, move)]
        _, chosen = max(ready, key=waiting.__getitem__)
        served = [lane for lane, move in ready if move == chosen]
        for lane in served:
            queues[place[lane, chosen]].pop()
            left[lane] += 1
        left = {lane: move for lane, move in left.items() if move < len(moves)}
        found.append((moves[chosen], served))
    return found


def _turn(aside: int, lanes: int) -> tuple[int, int, int, int]:
    """What brings to lane l, in every field of a word, the value of lane l + aside."""
    right = aside % lanes
    direct = range(lanes - right)
    return right, (lanes - right) % WORD_BITS, _mask(direct, lanes), _mask(range(lanes - right, lanes), lanes)


def _mask(served: Iterable[int], lanes: int) -> int:
    """These lanes in every field of a word."""
    field = sum(1 << lane for lane in served)
    return sum(field << first for first in range(0, WORD_BITS - lanes + 1, lanes))
