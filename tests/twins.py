"""Plain twins of the kernels, written from docs/model.md with lists, sets and dicts.

They share nothing with swatsim and do not hurry: a test gives both the same input and compares.
"""

from __future__ import annotations

import heapq
from collections import deque

# --------------------------------------------------------------------------------------------------- reading operands


def gather(present, base, offset):
    """[vector][step]: the set of lanes whose value is present."""
    return [
        [{lane for lane, address in enumerate(lanes) if address >= 0 and present[start + address]} for lanes in offset]
        for start in base
    ]


def chunk_counts(present, base, offset, chunk_steps):
    """[vector][chunk]: the values present in each `chunk_steps` steps."""
    found = []
    for steps in gather(present, base, offset):
        chunks = [steps[first : first + chunk_steps] for first in range(0, len(steps), chunk_steps)]
        found.append([sum(len(lanes) for lanes in chunk) for chunk in chunks])
    return found


def present_counts(present, base, offset):
    """Values present in each vector, and vectors in which each element is present."""
    table = [[bool(present[start + distance]) for distance in offset] for start in base]
    by_vector = [row.count(True) for row in table]
    by_element = [sum(row[element] for row in table) for element in range(len(offset))]
    return by_vector, by_element


# ----------------------------------------------------------------------------------------------------- moving values
# A row is a dict from (step, lane) to the place that the value there came from, itself if it never moved.


def row_of(steps):
    """A row whose values are all where they were."""
    return {(step, lane): (step, lane) for step, lanes in enumerate(steps) for lane in lanes}


def candidates(row, step, lane, lanes, moves):
    """Places of the values that an idle lane may take, in the order of the moves."""
    places = [(step + ahead, (lane + aside) % lanes) for ahead, aside in moves]
    return [place for place in places if place in row]


def idle_lanes(row, step, lanes):
    return [lane for lane in range(lanes) if (step, lane) not in row]


def take(row, step, lane, place):
    row[step, lane] = row.pop(place)


def fill_fixed(row, step, lane_order, moves):
    """Rule 2 of moves with `order: fixed`: each idle lane in turn takes the first value that its moves find."""
    for lane in lane_order:
        if (step, lane) in row:
            continue
        found = candidates(row, step, lane, len(lane_order), moves)
        if found:
            take(row, step, lane, found[0])


def fill_most(row, step, lanes, moves):
    """Rule 2 with `order: most_candidates`: the lane that can choose among most is served first, until none can."""
    while True:
        choices = [(lane, candidates(row, step, lane, lanes, moves)) for lane in idle_lanes(row, step, lanes)]
        choices = [(lane, found) for lane, found in choices if found]
        if not choices:
            return
        most = max(len(found) for _, found in choices)
        lane, found = next(choice for choice in choices if len(choice[1]) == most)
        take(row, step, lane, found[0])


def empty_in_all(rows, step, lanes):
    return all((step, lane) not in row for row in rows for lane in range(lanes))


def compact(rows, steps, lane_order, moves, most_candidates):
    """Rules 1 and 2: fill every step of rows that advance together, unless it is passed."""
    lanes = len(lane_order)
    reach = max(ahead for ahead, _ in moves)
    just_passed = 0
    for step in range(steps):
        if empty_in_all(rows, step, lanes) and just_passed < reach:
            just_passed += 1
            continue
        just_passed = 0
        for row in rows:
            if most_candidates:
                fill_most(row, step, lanes, moves)
            else:
                fill_fixed(row, step, lane_order, moves)


def surviving(rows, steps, lanes, longest, dropped_before):
    """Rule 3: the cycles of a buffer and the run of dropped steps that it ends with."""
    dropped = [True] * dropped_before
    for step in range(steps):
        recent = dropped[len(dropped) - longest :] if longest else []
        too_many = len(recent) == longest and all(recent)
        dropped.append(empty_in_all(rows, step, lanes) and not too_many)
    run = 0
    while run < len(dropped) and dropped[len(dropped) - 1 - run]:
        run += 1
    return dropped[dropped_before:].count(False), run


# ---------------------------------------------------------------------------------------------------------- barriers


def deal(units, slots):
    """Round by round, the (slot, unit) pairs that work in it."""
    return [
        [(unit - first, unit) for unit in range(first, min(first + slots, units))] for first in range(0, units, slots)
    ]


def run_slots(works, groups, units, slots, set_slots, repeats):
    """Clocks of all slots through groups, rounds and repeats; `works(group, unit, slot)` gives cycles by segment.

    The slots of a set wait for the slowest of them after each segment. Returns {(set, group, round): cycles}.
    """
    clocks = dict.fromkeys(range(slots), 0)
    taken = {}
    for group in range(groups):
        for turn, working in enumerate(deal(units, slots)):
            started = dict(clocks)
            for _ in range(repeats):
                segments = {slot: works(group, unit, slot) for slot, unit in working}
                for segment in range(max((len(cycles) for cycles in segments.values()), default=0)):
                    for slot, cycles in segments.items():
                        clocks[slot] += cycles[segment]
                    for slot in clocks:
                        members = [other for other in clocks if other // set_slots == slot // set_slots]
                        clocks[slot] = max(clocks[other] for other in members)
            for slot in clocks:
                taken[slot // set_slots, group, turn] = clocks[slot] - started[slot]
    return taken


def segment_cycles(cycles, groups, units, slots, set_slots, repeats):
    """Barriers at the end of each segment; cycles[group][unit][segment]."""
    return run_slots(lambda group, unit, _: cycles[group][unit], groups, units, slots, set_slots, repeats)


def buffer_cycles(cycles, after, groups, units, slots, set_slots, repeats):
    """Barriers at the end of each buffer, whose cycles depend on the run of dropped steps that its slot brings."""
    runs = dict.fromkeys(range(slots), 0)

    def one_buffer(group, unit, slot):
        before = runs[slot]
        runs[slot] = after[group][unit][before]
        return [cycles[group][unit][before]]

    return run_slots(one_buffer, groups, units, slots, set_slots, repeats)


# ------------------------------------------------------------------------------------------------------------ engines


class Engines:
    """A channel that carries one transfer at a time and a computation engine, driven by events."""

    def __init__(self, load, compute, store, latency):
        self.now = 0
        self.events = []
        self.work = {"load": load, "compute": compute, "store": store}
        self.latency = latency
        self.channel_busy = self.engine_busy = False
        # What is not there to be moved has been moved.
        self.finished = {
            (kind, block) for kind in ("load", "store") for block, size in enumerate(self.work[kind]) if size == 0
        }
        order = []
        for block in range(len(load)):
            order.append(("load", block))
            if block >= 1:
                order.append(("store", block - 1))
        if len(load):
            order.append(("store", len(load) - 1))
        self.transfers = deque(transfer for transfer in order if transfer not in self.finished)
        self.computations = deque(("compute", block) for block in range(len(compute)))

    def needs(self, kind, block):
        """What must have finished before this may start."""
        needed = {
            "load": [("compute", block - 2)],
            "compute": [("load", block), ("store", block - 2)],
            "store": [("compute", block)],
        }[kind]
        return [(other, index) for other, index in needed if index >= 0]

    def ready(self, queue):
        return bool(queue) and all(need in self.finished for need in self.needs(*queue[0]))

    def start(self):
        """Start what can start now."""
        if not self.channel_busy and self.ready(self.transfers):
            kind, block = self.transfers.popleft()
            self.channel_busy = True
            end = self.now + self.work[kind][block]
            heapq.heappush(self.events, (end, "free", "channel", 0))
            heapq.heappush(self.events, (end + self.latency, "done", kind, block))
        if not self.engine_busy and self.ready(self.computations):
            kind, block = self.computations.popleft()
            self.engine_busy = True
            heapq.heappush(self.events, (self.now + self.work[kind][block], "done", kind, block))

    def run(self):
        """The time of the last event."""
        self.start()
        while self.events:
            self.now, what, kind, block = heapq.heappop(self.events)
            if what == "free":
                self.channel_busy = False
            else:
                self.finished.add((kind, block))
                if kind == "compute":
                    self.engine_busy = False
            self.start()
        assert not self.transfers and not self.computations, "the engines wait for each other for ever"
        return self.now
