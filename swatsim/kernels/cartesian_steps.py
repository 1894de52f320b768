"""Steps of a PE: what of the other operand meets a group of an image's values, and when its banks have added it.

What waits for the banks is held in 64-bit words, a *lane* of bits for each bank, so that all banks are added to, or add
up, in a few operations. What is called for each group of values calls nothing and divides by nothing: what may fail has
numba count references to each array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ALL, ONE
from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]
Words = NDArray[np.uint64]
Classes = NDArray[np.uint16]
Range = tuple[int, int]  # the first and the last; empty where it ends before it starts

# Columns of an axis before its results.
PHASE, FIRST_MET, LAST_MET, RESULTS = range(4)
KEY = 5  # of `Steps.fetched`, before the places that meet
# Of `Steps.ends`.
STEPS, VALUES, CYCLES = range(3)
FEW = 4  # words and values that are added at once
ZERO = np.uint64(0)


class Lanes(NamedTuple):
    """How many products may wait, and what holds how many do."""

    queue: np.uint64  # how many may at the end of a step, and one more, in each lane
    words: int  # at least 4
    top: np.uint64  # the number of a lane's highest bit, which nothing that waits reaches
    ones: np.uint64  # the lowest bit of each lane
    high: np.uint64  # the highest one


class Banks(NamedTuple):
    """Where a product waits."""

    one: Words  # [class of result, class of row · words + word]: a one in the lane of the bank
    result_class: IntArray  # [outer, inner coordinate of a result]
    lanes: Lanes


class Pairs(NamedTuple):
    """Places that meet values of a group, in order."""

    met: IntArray  # [pair, 2]: the place, and how many values meet it
    added: Words  # [((1 + pair) · classes of rows + class) · words + word]: what a value there adds; first, nothing
    number: IntArray  # [pair]: values of the other operand there, in all blocks


class Steps(NamedTuple):
    """What is fetched for a group, in steps: those with a product in the results, block by block."""

    fetched: IntArray  # what it is listed for: outer and inner range of places, how many places meet the group, these
    block: NDArray[np.uint32]  # [step]
    spent: NDArray[np.uint32]  # [step]: cycles until the next one where no bank is waited for
    added: NDArray[np.uint32]  # [step · values at once + value]: the first word in `Pairs.added`
    ends: IntArray  # [which, block]: steps so far, values, cycles where no bank is waited for


class Fetched(NamedTuple):
    """What is fetched for a group, and how."""

    pairs: int
    exact: bool  # only values of the pairs; else all in these places, the columns of a row and rows of places:
    row: Range
    end: int  # the last place of the last row
    columns: int  # from row to row
    per_step: int
    steps: float  # of a value: 1 / per_step
    of_pair: int  # words
    of_class: int


@kernel
def met_range(axis: IntArray, found: IntArray, which: int, group: Range, whole: Range) -> Range:
    """The range within `whole` of all places that a group meets on one axis (`which`)."""
    first, last = whole[1] + 1, whole[0] - 1
    for value in range(group[0], group[1] + 1):
        coordinate = found[value, which]
        if axis[coordinate, FIRST_MET] <= axis[coordinate, LAST_MET]:
            first = min(first, axis[coordinate, FIRST_MET])
            last = max(last, axis[coordinate, LAST_MET])
    return max(first, whole[0]), min(last, whole[1])


@kernel
def pair_group(
    axes: tuple[IntArray, IntArray], found: IntArray, banks: Banks, group: Range, places: tuple[Range, Range],
    pairs: Pairs,
) -> int:  # fmt: skip
    """Find the places in two ranges that meet a group; return how many."""
    (outer, inner), (one, result_class, _), (outer_places, inner_places) = axes, banks, places
    met, added, _ = pairs
    count, size = 0, one.shape[1]
    for outer_place in range(outer_places[0], outer_places[1] + 1):
        for inner_place in range(inner_places[0], inner_places[1] + 1):
            meeting, to = 0, (1 + count) * size
            for value in range(group[0], group[1] + 1):
                y = outer[found[value, 0], RESULTS + outer_place]
                x = inner[found[value, 1], RESULTS + inner_place]
                if y >= 0 and x >= 0:
                    which = result_class[y, x]
                    if meeting == 0:
                        for word in range(size):
                            added[to + word] = one[which, word]
                    else:
                        for word in range(size):
                            added[to + word] += one[which, word]
                    meeting += 1
            if meeting > 0:
                met[count, 0], met[count, 1] = outer_place * (inner.shape[1] - RESULTS) + inner_place, meeting
                count += 1
    return count


@kernel
def is_listed(rows: Range, row: Range, count: int, pairs: Pairs, steps: Steps) -> bool:
    """Whether steps are listed for the places that are fetched, and those that meet the group; else make it so."""
    (met, _, _), key = pairs, steps.fetched
    same: bool = key[4] == count and key[0] == rows[0] and key[1] == rows[1] and key[2] == row[0] and key[3] == row[1]
    for pair in range(count):
        same = same and key[KEY + pair] == met[pair, 0]
    if not same:
        key[0], key[1], key[2], key[3], key[4] = rows[0], rows[1], row[0], row[1], count
        for pair in range(count):
            key[KEY + pair] = met[pair, 0]
    return same


@kernel
def list_steps(start: IntArray, row_class: Classes, fetched: Fetched, pairs: Pairs, steps: Steps) -> None:
    """List the steps of all blocks; start, row_class: as `Values` of a list."""
    per_step, (met, _, number) = fetched.per_step, pairs
    _, of_block, spent, added, ends = steps
    step, slot = -1, 0  # the one in hand, of which `left` values are to come, and where the next one goes
    for pair in range(fetched.pairs):
        number[pair] = 0
    for block in range(start.shape[0]):
        (first, last), begun = fetched.row, step
        left, at, before, cycles = 0, 0, 0, 0
        for pair in range(fetched.pairs + 1):
            # After the last pair come the rest of what is fetched, and the end of the last step.
            is_pair = pair < fetched.pairs
            place = met[pair, 0] if is_pair else fetched.end + 1
            begin, end = (start[block, place], start[block, place + 1]) if is_pair else (0, 0)
            offset = (1 + pair) * fetched.of_pair
            while (place > last if is_pair else last <= fetched.end) and not fetched.exact:
                before += start[block, last + 1] - start[block, first]
                first, last = first + fetched.columns, last + fetched.columns
            until = at if fetched.exact else before
            if is_pair:
                number[pair] += end - begin
                until += 0 if fetched.exact else begin - start[block, first]
            else:
                ends[VALUES, block] = until
                until += per_step - 1
            # Products of the values between all fall outside; where they fill steps, these take a cycle each.
            while at < until and left > 0:
                added[slot] = 0
                slot, left, at = slot + 1, left - 1, at + 1
            if until - at >= per_step:
                idle = int((until - at + 0.5) * fetched.steps)
                at, cycles = at + idle * per_step, cycles + idle
                if step == begun:
                    step += 1
                    of_block[step], spent[step] = block, 0
                    for _ in range(per_step):
                        added[slot] = 0
                        slot += 1
                spent[step] += idle
            for value in range(begin - (until - at) if is_pair else end, end):
                if left == 0:
                    step, left, cycles = step + 1, per_step, cycles + 1
                    of_block[step], spent[step] = block, 1
                added[slot] = offset + row_class[value] * fetched.of_class if value >= begin else 0
                slot, left, at = slot + 1, left - 1, at + 1
        ends[STEPS, block], ends[CYCLES, block] = step + 1, cycles


@kernel
def run_steps(
    per_step: int, made: tuple[Pairs, Steps], lanes: Lanes, state: Words, cycles: IntArray, tile: int
) -> None:
    """Multiply a group by what is fetched; state, cycles: as `Progress`."""
    (queue, words, top, ones, high), ((_, waiting, _), (_, of_block, spent, added, ends)) = lanes, made
    for block in range(state.shape[1]):
        cycles[tile, block] += ends[CYCLES, block]
    room, all_but_one, most = high - queue - ones, high - ones, (1 << int(top)) - 1
    two, three, four, slot = np.uint64(2), np.uint64(3), np.uint64(FEW), ZERO
    by_four, fours = words == FEW and per_step % FEW == 0, per_step // FEW
    for step in range(np.uint64(0), np.uint64(ends[STEPS, state.shape[1] - 1])):
        at, taken, done = np.uint64(of_block[step]), np.int64(spent[step]), False
        if by_four:
            a, b, c, d = state[tile, at, 0], state[tile, at, 1], state[tile, at, 2], state[tile, at, 3]
            for _ in range(fours):
                p, q = np.uint64(added[slot]), np.uint64(added[slot + ONE])
                r, s = np.uint64(added[slot + two]), np.uint64(added[slot + three])
                slot += four
                a += waiting[p] + waiting[q] + waiting[r] + waiting[s]
                b += waiting[p + ONE] + waiting[q + ONE] + waiting[r + ONE] + waiting[s + ONE]
                c += waiting[p + two] + waiting[q + two] + waiting[r + two] + waiting[s + two]
                d += waiting[p + three] + waiting[q + three] + waiting[r + three] + waiting[s + three]
            # Where no bank has more than may wait, and no bits of several make it seem so, the others lose one each.
            if taken == 1 and ((a | b | c | d) + room) & high == ZERO:
                a, b = a - ((a + all_but_one & high) >> top), b - ((b + all_but_one & high) >> top)
                c, d = c - ((c + all_but_one & high) >> top), d - ((d + all_but_one & high) >> top)
                done = True
            state[tile, at, 0], state[tile, at, 1] = a, b
            state[tile, at, 2], state[tile, at, 3] = c, d
        else:
            for _ in range(per_step):
                for word in range(words):
                    state[tile, at, word] += waiting[np.int64(added[slot]) + word]
                slot += ONE
        if not done:
            still, over, taken = room + ones, high, taken - 1
            while over & high != ZERO:
                still, over, taken = still - ones, ZERO, taken + 1
                for word in range(words):
                    over |= state[tile, at, word] + still
            # What has more than is taken keeps its highest bit; else it is emptied.
            gone = ones * np.uint64(taken if taken < most else most)
            for word in range(words):
                left = (state[tile, at, word] | high) - gone
                state[tile, at, word] = left & ((left & high) - ((left & high) >> top))
            cycles[tile, at] += taken - np.int64(spent[step])


@kernel
def drain_banks(state: Words, cycles: IntArray, tile: int, lanes: Lanes) -> None:
    """Let all products be added."""
    lane = ALL >> (np.uint64(63) - lanes.top)
    for block in range(state.shape[1]):
        most = ZERO
        for word in range(lanes.words):
            left = state[tile, block, word]
            state[tile, block, word] = ZERO
            while left != ZERO:
                most = max(most, left & lane)
                left = left >> lanes.top >> ONE
        cycles[tile, block] += np.int64(most)
