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


def runs(offset):
    """[offset, length, elements before it] of the pieces of a part that lie side by side, negative offsets left out."""
    found = []
    for place, distance in enumerate(offset):
        if distance >= 0 and found and sum(found[-1][1:]) == place and sum(found[-1][:2]) == distance:
            found[-1][1] += 1
        elif distance >= 0:
            found.append([distance, 1, place])
    return found


def chunk_counts(present, base, offset, chunk_steps):
    """[vector][chunk]: the values present in each `chunk_steps` steps."""
    found = []
    for steps in gather(present, base, offset):
        chunks = [steps[first : first + chunk_steps] for first in range(0, len(steps), chunk_steps)]
        found.append([sum(len(lanes) for lanes in chunk) for chunk in chunks])
    return found


def packed_chunks(present, base, offset, chunk_steps, word_steps):
    """[vector][chunk][word]: the set of (step of the word, lane) with a value."""
    found = []
    for steps in gather(present, base, offset):
        chunks = [steps[first : first + chunk_steps] for first in range(0, len(steps), chunk_steps)]
        words = [[chunk[first : first + word_steps] for first in range(0, chunk_steps, word_steps)] for chunk in chunks]
        found.append([
            [{(step, lane) for step, lanes in enumerate(word) for lane in lanes} for word in chunk] for chunk in words
        ])  # fmt: skip
    return found


def present_counts(present, base, offset):
    """Values present in each vector, and vectors in which each element is present."""
    table = [[bool(present[start + distance]) for distance in offset] for start in base]
    by_vector = [row.count(True) for row in table]
    by_element = [sum(row[element] for row in table) for element in range(len(offset))]
    return by_vector, by_element


def transposed(matrices, place, distance):
    """Where the values of matrices are, each laid column by column."""
    return {
        number * distance + place[column] + i
        for number, rows in enumerate(matrices)
        for i, row in enumerate(rows)
        for column, value in enumerate(row)
        if value
    }


def bordered(planes, border):
    """Planes of rows with zeros above, below, before and after."""
    above, below, before, after = border
    found = []
    for rows in planes:
        width = len(rows[0]) + before + after
        inside = [[0] * before + row + [0] * after for row in rows]
        found.append([[0] * width] * above + inside + [[0] * width] * below)
    return found


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


def candidate_counts(row, step, lanes, moves):
    """{idle lane: number of moves that find a value for it}, of those that have any."""
    counts = {lane: len(candidates(row, step, lane, lanes, moves)) for lane in idle_lanes(row, step, lanes)}
    return {lane: count for lane, count in counts.items() if count}


def served_at_once(counts, distances, lanes):
    """Lanes with more candidates than all lanes at these distances, or as many as those that are higher."""
    found = set()
    for lane, count in counts.items():
        rivals = {(lane + sign * apart) % lanes for apart in distances for sign in (-1, 1)}
        if all((counts.get(rival, 0), -rival) < (count, -lane) for rival in rivals):
            found.add(lane)
    return found


def turned(row, aside):
    """A list of lanes, each with the value of the lane so far aside."""
    return [row[(lane + aside) % len(row)] for lane in range(len(row))]


def laid_out(rows, lanes, unit_rows):
    """[step][place] of units of rows of sets of lanes: sets of bits. Place: (part, unit), parts outermost."""
    fields = 64 // lanes
    units = [rows[first : first + unit_rows] for first in range(0, len(rows), unit_rows)]
    places = [unit[part * fields : (part + 1) * fields] for part in range(-(-unit_rows // fields)) for unit in units]
    return [
        [{field * lanes + lane for field, row in enumerate(place) for lane in row[step]} for place in places]
        for step in range(len(rows[0]))
    ]


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


# ------------------------------------------------------------------------------------------------- chunks of streams
# A row is a list of sets of lanes, one a step.


def chunked(steps, chunk_steps):
    return [steps[first : first + chunk_steps] for first in range(0, len(steps), chunk_steps)]


def united(rows, unit_rows):
    """[unit][step]: what any of the rows of a unit has."""
    units = [rows[first : first + unit_rows] for first in range(0, len(rows), unit_rows)]
    return [[set().union(*step) for step in zip(*unit, strict=True)] for unit in units]


def lane_counts(row, chunk_steps, lanes):
    """[chunk][lane]: values of each lane."""
    return [[sum(lane in step for step in chunk) for lane in range(lanes)] for chunk in chunked(row, chunk_steps)]


def fullest_groups(row, group_lanes, chunk_steps):
    """[chunk]: the most values of a group of neighbouring lanes in a step."""
    found = []
    for chunk in chunked(row, chunk_steps):
        sizes = {}
        for number, step in enumerate(chunk):
            for lane in step:
                sizes[number, lane // group_lanes] = sizes.get((number, lane // group_lanes), 0) + 1
        found.append(max(sizes.values(), default=0))
    return found


def chunk_cycles(chunk, lanes, own_lane, fewest):
    """Cycles of the values of one chunk, played out: in each, a lane takes one value of its own, or any."""
    shared = deque((step, lane) for step, present in enumerate(chunk) for lane in present)
    queues = [shared] * lanes
    if own_lane:
        queues = [deque(value for value in shared if value[1] == lane) for lane in range(lanes)]
    cycles = 0
    while any(queues) or cycles < fewest:
        for queue in queues:
            if queue:
                queue.popleft()
        cycles += 1
    return cycles


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


def play(queues, depth, start=0):
    """Cycle by cycle, {slot: [(number, cycles), ...]} of segments in order: {number: when it had ended everywhere}.

    A segment may begin when all of the set have ended those whose numbers are smaller by more than `depth`.
    """
    waiting = {slot: deque(queue) for slot, queue in queues.items()}
    running = {}
    ended = {}
    now = start
    while True:
        begun = True
        while begun:  # several may take no time
            begun = False
            for slot, (number, end) in list(running.items()):
                if end == now:
                    del running[slot]
                    ended[number] = now
            open_numbers = [number for number, _ in running.values()]
            open_numbers += [queue[0][0] for slot, queue in waiting.items() if queue and slot not in running]
            for slot, queue in waiting.items():
                if queue and slot not in running and queue[0][0] - depth <= min(open_numbers):
                    number, cycles = queue.popleft()
                    running[slot] = (number, now + cycles)
                    begun = True
        if not running and not any(waiting.values()):
            return ended
        now += 1


def elastic_cycles(works, groups, units, waiting, repeats):
    """{(set, group, round): cycles} where slots may be `depth` segments ahead; `works` as in `run_slots`."""
    slots, set_slots, depth = waiting
    queues, last_of_round = {}, {}
    numbers = dict.fromkeys(range(-(-slots // set_slots)), 0)
    for group in range(groups):
        for turn, working in enumerate(deal(units, slots)):
            for _ in range(repeats):
                lengths = {}
                for slot, unit in working:
                    barrier_set = slot // set_slots
                    cycles = works(group, unit, slot)
                    lengths[barrier_set] = len(cycles)
                    numbered = [(numbers[barrier_set] + number, each) for number, each in enumerate(cycles)]
                    queues.setdefault(barrier_set, {}).setdefault(slot, []).extend(numbered)
                for barrier_set, length in lengths.items():
                    numbers[barrier_set] += length
            for barrier_set, number in numbers.items():
                last_of_round[barrier_set, group, turn] = number
    taken = {}
    for barrier_set in numbers:
        ended = play(queues.get(barrier_set, {}), depth)
        before = 0
        for (which, group, turn), number in last_of_round.items():
            if which == barrier_set:
                now = max((end for each, end in ended.items() if each < number), default=0)
                taken[which, group, turn] = now - before
                before = now
    return taken


def elastic_buffer_cycles(cycles, after, groups, units, waiting, repeats):
    """As `elastic_cycles`, of buffers [group][unit][segment][run] that depend on the run that their slot brings."""
    runs = dict.fromkeys(range(waiting[0]), 0)

    def one_buffer(group, unit, slot):
        before = runs[slot]
        runs[slot] = after[group][unit][before]
        return [segment[before] for segment in cycles[group][unit]]

    return elastic_cycles(one_buffer, groups, units, waiting, repeats)


def pair_cycles(rows, columns, rule, dealing):
    """({(set, group, row round, column round): cycles}, {slot: cycles of its own work}) of pairs of rows and columns.

    A slot is (its row, its column of a round).

    rows and columns are [group][unit][chunk][step] sets of lanes; rule is (lanes, own_lane, fewest by chunk); dealing a
    dict by the names of the kernel's.
    """
    queues, numbers, ends, busy = {}, {}, {}, {}
    for group in range(len(rows)):
        row_rounds = deal(len(rows[group]), dealing["rows"] * dealing["row_tiles"])
        for row_round, own_rows in enumerate(row_rounds):
            for column_round, own_columns in enumerate(
                deal(len(columns[group]), dealing["columns"] * dealing["column_tiles"])
            ):
                for (row_slot, row), (column_slot, column) in [(one, two) for one in own_rows for two in own_columns]:
                    tile = column_slot // dealing["columns"] * dealing["row_tiles"] + row_slot // dealing["rows"]
                    slot, work = (row_slot, column_slot), []
                    for number, chunks in enumerate(zip(rows[group][row], columns[group][column], strict=True)):
                        both = [first & second for first, second in zip(*chunks, strict=True)]
                        work.append(chunk_cycles(both, rule[0], rule[1], rule[2][number]))
                    busy[slot] = busy.get(slot, 0) + sum(work)
                    work = work if dealing["by_chunk"] else [sum(work)]
                    barrier_set = tile // dealing["set_tiles"]
                    first = numbers.get(barrier_set, 0)
                    numbered = [(first + number, each) for number, each in enumerate(work)]
                    queues.setdefault(barrier_set, {}).setdefault(slot, []).extend(numbered)
                for barrier_set in range(-(-dealing["row_tiles"] * dealing["column_tiles"] // dealing["set_tiles"])):
                    numbers[barrier_set] = numbers.get(barrier_set, 0) + (len(rule[2]) if dealing["by_chunk"] else 1)
                    ends[barrier_set, group, row_round, column_round] = numbers[barrier_set]
    taken = {}
    for barrier_set, queue in queues.items():
        ended = play(queue, dealing["depth"])
        before = 0
        for key, number in ends.items():
            if key[0] == barrier_set:
                now = max((end for each, end in ended.items() if each < number), default=0)
                taken[key] = now - before
                before = now
    return taken, busy


# ------------------------------------------------------------------------------------------------------------ engines
# A block is a dict: own, own_level, ahead, waits, compute, store, busy[level] = (read, written, filled). A machine is a
# dict: for each level, off chip first, width, fill_width, banks, bank_cycles and (refresh_period, refresh_cycles); the
# latencies load, start and store; full_duplex.


def walk(start, work, rest):
    """(end, pauses) of work that is done a cycle at a time, but not in the last cycles of each period."""
    period, pause = rest
    if not pause:
        return start + work, 0
    cycle, paused = start, 0
    while work:
        if cycle % period < period - pause:
            work -= 1
        else:
            paused += 1
        cycle += 1
    return cycle, paused


def accesses(size_bytes, width):
    """Cycles for which a port of so many bytes a cycle is open."""
    cycles = 0
    while size_bytes > 0:
        size_bytes -= width
        cycles += 1
    return cycles


def serve(level, busy):
    """(cycles, conflict) of a level that reads, writes and is filled with so many bytes while a block is computed."""
    if not level["width"]:
        return 0, 0
    read, written, filled = busy
    ports = [accesses(read, level["width"]), accesses(written, level["width"])]
    if level["fill_width"]:
        ports.append(accesses(filled, level["fill_width"]))
    # Each access holds a bank for some cycles, and in each cycle every bank can be held.
    banks = accesses((ports[0] + ports[1]) * level["bank_cycles"], level["banks"])
    return max(*ports, banks), max(0, banks - max(ports))


class Server:
    """An engine that does its jobs one after the other."""

    def __init__(self, jobs):
        self.jobs = deque(jobs)
        self.busy = False


class Engines:
    """The channel, or one for each direction, and the multipliers, driven by events (docs/model.md §3, Time)."""

    def __init__(self, blocks, machine, credit=0):
        self.blocks, self.machine, self.credit = blocks, machine, credit
        self.now = 0
        self.events = []
        self.number = 0  # of the events so far: those of one cycle keep their order
        self.happened = {}  # what -> when
        self.pauses = {}  # transfer -> cycles
        self.spans = {}  # job -> (start, end)
        self.stalls = {}  # level or cause -> cycles
        loads, stores = [], []
        for block in range(len(blocks)):
            loads += [("own", block), ("ahead", block - 1)] if block else [("own", block)]
            stores += [("store", block)] if blocks[block]["store"] else []
        if machine["full_duplex"]:
            channels = [Server(loads), Server(stores)]
        else:
            # A store comes after the load of the next block and what follows that, but those of the last block.
            channels = [Server(sorted(loads + stores, key=self.turn))]
        self.servers = [*channels, Server(("compute", block) for block in range(len(blocks)))]

    @staticmethod
    def turn(job):
        kind, block = job
        return (block, 0) if kind == "own" else (block + 1, 1) if kind == "ahead" else (block + 1, 2)

    def loaded(self, block):
        """Cycles of the channel for a block's own load."""
        return self.blocks[block]["own"] - (self.credit if block == 0 else 0)

    def waits(self, block):
        all_before = block == 0 and self.credit > 0 and self.loaded(0) == 0
        return self.blocks[block]["waits"] and not all_before

    def needs(self, job):
        """What must have happened before this may start."""
        kind, block = job
        if kind == "own":
            return [("computed", block - 2)] if block >= 2 else []
        if kind == "ahead":
            return []
        if kind == "store":
            return [("given", block)]
        needed = [("there", block)]
        if block >= 2 and self.blocks[block - 2]["store"]:
            needed.append(("off chip", block - 2))
        return needed

    def follows(self, job):
        """What happens so many cycles after the job's end."""
        kind, block = job
        latency = self.machine["latency"]
        if kind == "own" and self.waits(block):
            return [(("arrived", block), latency["load"]), (("there", block), latency["load"] + latency["start"])]
        if kind == "store":
            return [(("off chip", block), latency["load"])]
        if kind == "compute":
            return [(("computed", block), 0), (("given", block), latency["store"])]
        return []

    def ends(self, job):
        """When a job that starts now is done."""
        kind, block = job
        if kind != "compute":
            work = self.loaded(block) if kind == "own" else self.blocks[block][kind]
            end, self.pauses[job] = walk(self.now, work, self.machine["levels"][0]["refresh"])
            return end
        computed = end = self.now + self.blocks[block]["compute"]
        late = None
        for number, (level, busy) in enumerate(
            zip(self.machine["levels"][1:], self.blocks[block]["busy"], strict=True), start=1
        ):
            cycles, conflict = serve(level, busy)
            done, paused = walk(self.now, cycles, level["refresh"])
            if done > end:
                end, late = done, (number, paused, conflict)
        if late:
            self.charge(end - computed, [("refresh", late[1]), ("conflict", late[2]), (late[0], None)])
        return end

    def start(self):
        """Start what can start now."""
        for server in self.servers:
            if server.busy or not server.jobs:
                continue
            if all(need in self.happened for need in self.needs(server.jobs[0])):
                job = server.jobs.popleft()
                server.busy = True
                if job[0] == "compute":
                    self.explain(job[1])
                end = self.ends(job)
                self.spans[job] = (self.now, end)
                self.push(end, job, server)

    def explain(self, block):
        """Charge what the multipliers have waited for before a block."""
        before = self.happened.get(("computed", block - 1), 0)
        there = self.happened["there", block]
        off_chip = self.happened.get(("off chip", block - 2), 0)
        latency = self.machine["latency"]
        if there >= off_chip:
            causes = [("latency", latency["load"] + latency["start"]), ("refresh", self.pauses.get(("own", block), 0))]
            self.charge(self.now - before, [*causes, (self.blocks[block]["own_level"], None)])
        else:
            self.explain_store(self.now - before, block - 2)

    def explain_store(self, wait, block):
        latency = self.machine["latency"]
        causes = [("latency", latency["load"] + latency["store"]), ("refresh", self.pauses["store", block])]
        self.charge(wait, [*causes, (0, None)])

    def charge(self, wait, causes):
        for cause, most in causes:
            share = wait if most is None else min(wait, most)
            self.stalls[cause] = self.stalls.get(cause, 0) + share
            wait -= share

    def run(self):
        """Cycles until the last result is off chip."""
        for block in range(len(self.blocks)):
            if not self.waits(block):
                self.push(self.machine["latency"]["start"], ("there", block))
        self.start()
        while self.events:
            self.now, _, what, server = heapq.heappop(self.events)
            self.happened[what] = self.now
            if server:
                server.busy = False
                for happening, later in self.follows(what):
                    if later:
                        self.push(self.now + later, happening)
                    else:
                        self.happened[happening] = self.now
            self.start()
        assert not any(server.jobs for server in self.servers), "the engines wait for each other for ever"
        computed = self.happened.get(("computed", len(self.blocks) - 1), 0)
        stored = [block for block in range(len(self.blocks)) if self.blocks[block]["store"]]
        cycles = computed
        if stored and self.happened["off chip", stored[-1]] > computed:
            cycles = self.happened["off chip", stored[-1]]
            self.explain_store(cycles - computed, stored[-1])
        self.cycles = cycles
        return cycles

    def push(self, when, what, server=None):
        self.number += 1
        heapq.heappush(self.events, (when, self.number, what, server))

    def rest(self):
        """From when to when the next pass may load: when all loads are done, and no more than the last block's room is
        taken; until the last computation ends, or so that what is loaded arrives in this pass."""
        last = len(self.blocks) - 1
        end = self.happened.get(("computed", last), 0)
        before = [self.happened.get(("computed", last - 1), 0)]
        for job in self.spans:
            shares_channel = job[0] == "store" and not self.machine["full_duplex"] and job[1] < last
            if job[0] in ("own", "ahead") or shares_channel:
                before.append(self.spans[job][1])
        return min(end, max(before)), min(end, self.cycles - self.machine["latency"]["load"])


# ------------------------------------------------------------------------------------------------- laying out blocks
# A side is a list of bundles, each a list of blocks: dicts of load[part], level[part], busy[part][level][direction] =
# (bytes each round of the other side, bytes once), start and stop (rounds, numbered group by group), rounds, vectors
# and tile_vectors (of each of its groups), groups, kind.


def lay_out(rows, columns, results, compute, columns_outside):
    """The blocks of a mapping in order, each as `Engines` takes it, and how often each block of a side is loaded.

    results: store[last part][kinds], load[first part][kinds], per_value[first][last][level] = (read, written) and
    in_tiles[level]. compute: cycles[part][set][outer round][inner round, or all of them], columns_outer, inner_rounds.
    """
    found, loaded = [], {}
    parts = len(compute["cycles"])
    clocks = [0] * len(compute["cycles"][0])
    for bundle, (row_blocks, column_blocks) in enumerate(zip(rows, columns, strict=True)):
        outers, inners = (column_blocks, row_blocks) if columns_outside else (row_blocks, column_blocks)
        for part in range(parts):
            streak = []  # the blocks of the outer block before
            for place, outer in enumerate(outers):
                made = []
                for inner_place, inner in enumerate(inners):
                    row, column = (inner, outer) if columns_outside else (outer, inner)
                    block = {"own": 0, "own_level": 0, "ahead": 0, "waits": False}
                    loads = []
                    if inner_place == 0:
                        loaded["outer", bundle, place] = loaded.get(("outer", bundle, place), 0) + 1
                        loads.append((outer["load"][part], outer["level"][part]))
                        block["waits"] = outer["load"][part] > 0
                        if place == 0 or len(inners) == 1:
                            block["own"] += outer["load"][part]
                        else:
                            spread(outer["load"][part], streak)
                    if place == 0 or len(inners) > 1:
                        key = ("inner", bundle, inner_place)
                        loaded[key] = loaded.get(key, 0) + 1
                        loads.append((inner["load"][part], inner["level"][part]))
                        block["own"] += inner["load"][part]
                    longest = max((cycles for cycles, _ in loads), default=0)
                    block["own_level"] = next((level for cycles, level in loads if cycles == longest), 0)
                    kinds = (row["kind"], column["kind"])
                    block["own"] += results["load"][part == 0][kinds]
                    block["waits"] = block["waits"] or block["own"] > 0
                    block["store"] = results["store"][part == parts - 1][kinds]
                    block["compute"] = deal_shares(compute, part, row, column, clocks)
                    per_value = results["per_value"][part == 0][part == parts - 1]
                    block["busy"] = streams(row, column, part, per_value, results["in_tiles"])
                    made.append(block)
                found += made
                streak = made
    return found, loaded


def spread(load, streak):
    """Load an outer block in equal shares beside all blocks of the one before but its last."""
    beside = streak[:-1]
    done = 0
    for number, block in enumerate(beside, start=1):
        block["ahead"] = load * number // len(beside) - done
        done += block["ahead"]


def deal_shares(compute, part, row, column, clocks):
    """Cycles until the slowest barrier set has done its share of a block too."""
    scheduled, other = (column, row) if compute["columns_outer"] else (row, column)
    before = max(clocks)
    rounds = compute["inner_rounds"]
    start, stop = (0, rounds) if other["groups"] > 1 else (other["start"] % rounds, other["start"] % rounds)
    if other["groups"] == 1:
        stop = start + other["stop"] - other["start"]
    for number, cycles in enumerate(compute["cycles"][part]):
        strips = cycles[scheduled["start"] : scheduled["stop"]]
        if all(len(strip) == rounds for strip in strips):
            clocks[number] += sum(strip[inner] for strip in strips for inner in range(start, stop))
        else:
            strip = sum(total for (total,) in strips)
            clocks[number] += strip * stop // rounds - strip * start // rounds
    return max(clocks) - before


def streams(row, column, part, per_value, in_tiles):
    """[level]: bytes read, written and filled while a block is computed, round after round."""
    found = []
    for level, shared in enumerate(in_tiles):
        amounts = [0, 0, 0]
        for direction in range(3):
            for own, other in ((row, column), (column, row)):
                every, once = own["busy"][part][level][direction]
                amounts[direction] += sum(every for _ in range(other["rounds"])) + once
        sizes = "tile_vectors" if shared else "vectors"
        for _ in range(row["groups"]):
            for direction in range(2):
                amounts[direction] += row[sizes] * column[sizes] * per_value[level][direction]
        found.append(tuple(amounts))
    return found
