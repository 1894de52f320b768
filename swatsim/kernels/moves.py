"""Schedules in which an idle lane takes a value from a few steps ahead and a few lanes aside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class MoveRule(NamedTuple):
    """Where an idle lane may take a value from, and which lane is served first."""

    moves: NDArray[np.int64]  # [move]: (steps ahead, lanes aside)
    lane_order: NDArray[np.int64]  # each lane once
    most_candidates: bool  # serve the lane with the most candidates first, instead of `lane_order`


@kernel
def fill_in_lane_order(
    words: NDArray[np.uint64],
    step: int,
    lane_order: NDArray[np.int64],
    moves: NDArray[np.int64],
) -> None:
    """Fill the idle lanes of words[step] in `lane_order`, each by its first move that finds a value."""
    lanes = lane_order.shape[0]
    for lane in lane_order:
        if words[step] >> np.uint64(lane) & ONE:
            continue
        for move in range(moves.shape[0]):
            source_step = step + moves[move, 0]
            source_bit = ONE << np.uint64((lane + moves[move, 1]) % lanes)
            if source_step < words.shape[0] and words[source_step] & source_bit:
                words[source_step] ^= source_bit
                words[step] |= ONE << np.uint64(lane)
                break


@kernel
def fill_most_candidates(
    words: NDArray[np.uint64],
    step: int,
    lane_order: NDArray[np.int64],
    moves: NDArray[np.int64],
) -> None:
    """Fill, again and again, the idle lane of words[step] with the most candidates (the lowest on a tie)."""
    lanes = lane_order.shape[0]
    while True:
        best_lane, best_count, best_move = -1, 0, -1
        for lane in range(lanes):
            if words[step] >> np.uint64(lane) & ONE:
                continue
            count, first = 0, -1
            for move in range(moves.shape[0]):
                source_step = step + moves[move, 0]
                source_bit = ONE << np.uint64((lane + moves[move, 1]) % lanes)
                if source_step < words.shape[0] and words[source_step] & source_bit:
                    count += 1
                    if first < 0:
                        first = move
            if count > best_count:
                best_lane, best_count, best_move = lane, count, first
        if best_lane < 0:
            return
        source_step = step + moves[best_move, 0]
        words[source_step] ^= ONE << np.uint64((best_lane + moves[best_move, 1]) % lanes)
        words[step] |= ONE << np.uint64(best_lane)


@kernel
def compact_rows(
    words: NDArray[np.uint64],
    lane_order: NDArray[np.int64],
    moves: NDArray[np.int64],
    most_candidates: bool,
) -> None:
    """Schedule rows that advance together, in place: words[row, step] becomes what each cycle multiplies.

    A step that is empty in every row when it is reached is passed without being filled, at most `lookahead`
    in a row (TensorDash's simulator; docs/datapaths/lanes.md, moves).
    """
    rows, steps = words.shape
    lookahead = moves[:, 0].max()
    full = ALL >> np.uint64(64 - lane_order.shape[0])
    passed = 0
    for step in range(steps):
        empty = True
        for row in range(rows):
            if words[row, step]:
                empty = False
        if empty and passed < lookahead:
            passed += 1
            continue
        passed = 0
        for row in range(rows):
            if words[row, step] == full:
                continue
            if most_candidates:
                fill_most_candidates(words[row], step, lane_order, moves)
            else:
                fill_in_lane_order(words[row], step, lane_order, moves)


@kernel
def count_surviving_steps(
    words: NDArray[np.uint64],
    cycles: NDArray[np.int64],
    after: NDArray[np.int64],
) -> None:
    """Count the cycles of a scheduled buffer, for each number of steps dropped just before it.

    Empty steps are dropped, at most `lookahead` in a row, and that run carries over from the buffer before:
    cycles[run] and after[run] are this buffer's cycles and the run it ends with, for run = 0 ... lookahead.
    """
    rows, steps = words.shape
    lookahead = cycles.shape[0] - 1
    for carried in range(lookahead + 1):
        run, count = carried, 0
        for step in range(steps):
            empty = True
            for row in range(rows):
                if words[row, step]:
                    empty = False
            if empty and run < lookahead:
                run += 1
            else:
                run = 0
                count += 1
        cycles[carried] = count
        after[carried] = run


@kernel
def schedule_units(
    words: NDArray[np.uint64],
    rule: MoveRule,
    unit_rows: int,
    cycles: NDArray[np.int64],
    after: NDArray[np.int64],
) -> None:
    """Schedule words[row, step] in place, `unit_rows` rows together; results as `count_surviving_steps`, per unit."""
    for unit in range(cycles.shape[0]):
        buffer = words[unit * unit_rows : (unit + 1) * unit_rows]
        compact_rows(buffer, rule.lane_order, rule.moves, rule.most_candidates)
        count_surviving_steps(buffer, cycles[unit], after[unit])
