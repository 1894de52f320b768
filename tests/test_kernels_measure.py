"""What the blocks of a side ask of each level, against sums over their lines, rounds and tiles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import randoms

from swatsim.kernels import totals as columns
from swatsim.kernels.blocks import LOAD, LOAD_LEVEL, SIDE_BUSY, SIDE_LEVEL_FIELDS
from swatsim.kernels.cuts import Dealing
from swatsim.kernels.dram import Channel
from swatsim.kernels.measure import UNKNOWN, HeldBytes, Residence, Room, SideMeasures, fill_cut, measure_side
from swatsim.kernels.off_chip import Known, Pipe
from swatsim.kernels.touched import sum_lines, tie_intervals

READ, WRITE, FILL = range(3)


class Side:
    """A random side: parts of the reduction, their lines and vectors, a path of levels, and cuts into blocks."""

    def __init__(self, random, *, tied):
        def whole(low, high, shape=None):
            return random.integers(low, high + 1, shape)

        self.parts, self.forms, self.levels = int(whole(1, 2)), int(whole(1, 3)), int(whole(1, 3))
        self.groups, self.vectors, self.per_tile = int(whole(1, 2)), int(whole(1, 7)), int(whole(1, 2))
        self.at_once = self.per_tile * int(whole(1, 3))
        self.rounds = -(-self.vectors // self.at_once)
        self.bytes_of = whole(0, 9, (self.parts, self.forms, self.groups * self.vectors))
        chosen = sorted(random.permutation(self.levels)[: int(whole(1, self.levels))].tolist())
        self.path = [
            (level, int(whole(0, 1)), int(random.choice([-1, 0, 8, 30, 90])), int(whole(0, self.forms - 1)))
            for level in chosen
        ]
        self.outer, self.width = bool(whole(0, 1)), int(whole(0, 3))
        self.residence = Residence(
            1 + chosen[0], bool(self.path[0][1]), int(whole(0, 3)), int(whole(0, 2)), int(whole(1, 3)), self.outer,
            int(whole(0, 5)),
        )  # fmt: skip
        self.lines, self.new, self.intervals, self.stretches = [], [], [], int(whole(1, 3))
        for _ in range(self.parts):
            count = int(whole(2, 8))
            edges = np.sort(whole(0, count - 1, (int(whole(1, 4)) * self.stretches, 1)), axis=0)
            edges = edges + np.array([[0, 1]]) + (0 if tied else whole(0, 1, edges.shape) * np.array([[0, 1]]))
            self.lines.append(whole(0, 20, (2, count)))
            self.new.append(whole(0, 1, count).astype(bool))
            self.intervals.append(np.minimum(edges, count))
        self.interval_of = np.array([
            np.sort(whole(0, len(each) // self.stretches - 1, self.groups * self.vectors)) for each in self.intervals
        ])  # fmt: skip
        self.cuts = [(1, int(whole(1, self.rounds)))] * int(whole(0, 1)) + [(1, self.rounds)]
        self.cuts += [(self.groups, self.rounds)] * int(whole(0, 1)) * (self.groups > 1)
        self.counts, self.of_bundle, self.spans, self.rounds_of = [], [], [], []
        for bundle, size in self.cuts:
            count = 0
            for group in range(0, self.groups, bundle):
                for first in range(0, self.rounds, size):
                    after = min(first + size, self.rounds)
                    end = (group + bundle - 1) * self.vectors + min(after * self.at_once, self.vectors)
                    self.spans.append((group * self.vectors + first * self.at_once, end))
                    start = group * self.rounds + first
                    self.rounds_of.append((start, (group + bundle - 1) * self.rounds + after))
                    count += 1
            self.counts.append(count)
            self.of_bundle.append(-(-self.rounds // size))

    def measured(self):
        """The kernels' fields of the blocks of all cuts, and the totals."""
        sums, tied, start = [], [], [[0, 0, 0]]
        for part in range(self.parts):
            sums.append(np.empty((self.new[part].size + 1, 3), dtype=np.int64))
            sum_lines(*self.lines[part].astype(np.int64), self.new[part], sums[-1])
            tied.append(np.empty((len(self.intervals[part]), 4), dtype=np.int64))
            start[-1][2] = int(tie_intervals(self.intervals[part], sums[-1], tied[-1]))
            start.append([start[-1][0] + len(tied[-1]), start[-1][1] + len(sums[-1]), 0])
        held = HeldBytes(
            self.bytes_of, np.concatenate(sums), np.concatenate(self.intervals), np.concatenate(tied),
            self.interval_of, np.array(start), 1, self.stretches,
        )  # fmt: skip
        totals = np.zeros((len(self.counts), columns.OF_LEVEL + columns.LEVEL_COLUMNS * self.levels), dtype=np.int64)
        totals[:, columns.COUNT], totals[:, columns.FIRST_LOAD] = self.counts, UNKNOWN
        totals[:, columns.FIRST] = np.cumsum([0, *self.counts])[:-1]
        totals[:, [columns.BUNDLE_GROUPS, columns.BLOCK_ROUNDS]] = self.cuts
        totals[:, columns.OF_BUNDLE] = self.of_bundle
        dealing = Dealing(self.groups, self.vectors, self.per_tile, self.at_once, self.rounds)
        pipe = Pipe(self.width, 0, 0, 1, 1)
        channel = Channel(*[0] * len(Channel._fields))
        side = SideMeasures.empty(held, (dealing, self.residence, np.array(self.path)), totals)
        assert not side.counted.any()  # added to, and never read
        for never_read_before_it_is_set in (side.table, side.loads, side.total):
            never_read_before_it_is_set.fill((1 << 63) - 1)
        measure_side(held, (pipe, channel, Known.empty(channel, 1)), totals, side, Room.empty(held))
        for cut in [*range(len(self.counts)), 0]:  # one of them twice
            fill_cut(side, totals, cut)
        # Fields that follow from the cut alone are compared in test_cuts.
        return side.table[:, :, [LOAD, LOAD_LEVEL, *range(SIDE_BUSY, side.table.shape[2])]], totals

    def in_rounds(self, part, form, block):
        """[round][tile] of a block: the bytes of the tile's vectors."""
        found = []
        for group in range(self.groups):
            of_group = self.bytes_of[part, form, group * self.vectors :][: self.vectors].tolist()
            for first in range(0, self.vectors, self.at_once):
                of_round = of_group[first : first + self.at_once]
                found.append(
                    [sum(of_round[tile : tile + self.per_tile]) for tile in range(0, len(of_round), self.per_tile)]
                )
        return found[slice(*self.rounds_of[block])]

    def load(self, part, block):
        """Bytes off chip, held and arriving, of the lines that a block touches."""
        first, after = self.spans[block]
        numbers = range(self.interval_of[part, first], self.interval_of[part, after - 1] + 1)
        stretches = [self.intervals[part][number * self.stretches :][: self.stretches] for number in numbers]
        touched = {line for each in stretches for stretch in each for line in range(*stretch)}
        coming, kept = self.lines[part].tolist()
        new = [line for line in touched if self.new[part][line]]
        return sum(coming[line] for line in new), sum(kept[line] for line in touched), sum(kept[line] for line in new)

    def streams(self, part, block):
        """{(level, direction, not each round): bytes of the busiest instance}, and of all instances."""
        busy, moved = {}, {}

        def instance(depth):
            _, in_tiles, _, form = self.path[depth]
            return [max(tiles) if in_tiles else sum(tiles) for tiles in self.in_rounds(part, form, block)]

        def keeps(depth):
            room = self.path[depth][2]
            rounds = instance(depth)
            return room == -1 or (all(2 * size <= room for size in rounds) if self.outer else sum(rounds) <= room)

        for depth, (level, in_tiles, _, form) in enumerate(self.path):
            everywhere = sum(map(sum, self.in_rounds(part, form, block)))
            beneath = any(keeps(deeper) for deeper in range(depth + 1, len(self.path)))
            for direction, once in [(READ, beneath), (WRITE, depth > 0 and (beneath or keeps(depth)))][
                : 1 + (depth > 0)
            ]:
                busy[level, direction, once] = sum(instance(depth))
                often = 2 * once if in_tiles else 1 + 2 * once
                moved[level, direction, often] = everywhere
            if depth + 1 < len(self.path) and not in_tiles:
                busy[self.path[depth + 1][0], FILL, beneath] = sum(instance(depth))
        return busy, moved

    def expected(self):
        """The same by sums."""
        table = np.zeros((self.parts, len(self.spans), 2 + SIDE_LEVEL_FIELDS * self.levels), dtype=np.int64)
        width = columns.OF_LEVEL + columns.LEVEL_COLUMNS * self.levels
        totals = np.zeros((len(self.counts), width), dtype=np.int64)
        cut_of = np.repeat(np.arange(len(self.counts)), self.counts)
        totals[:, columns.COUNT], totals[:, columns.FIRST] = self.counts, np.cumsum([0, *self.counts])[:-1]
        totals[:, [columns.BUNDLE_GROUPS, columns.BLOCK_ROUNDS]] = self.cuts
        totals[:, columns.OF_BUNDLE] = self.of_bundle
        for part, block in np.ndindex(table.shape[:2]):
            row, of_cut = table[part, block], totals[cut_of[block]]
            coming, held, arriving = self.load(part, block)
            written, instances = arriving, 1
            held += self.residence.more_room
            if self.residence.in_tiles:
                rounds = self.in_rounds(part, self.path[0][3], block)
                held = arriving = sum(map(max, rounds))
                written, instances = sum(map(sum, rounds)), self.residence.other_tiles
            channel = -(-coming // self.width) if self.width else 0
            filling = -(-arriving // self.residence.width) if self.residence.width else 0
            if self.residence.width and self.residence.fill_width:
                filling = max(filling, -(-written // self.residence.fill_width))
            load = max(channel, filling)
            row[0], row[1] = load, self.residence.level if filling > channel else 0
            of_cut[columns.LOAD_BYTES] += coming
            of_cut[columns.LOAD_CYCLES] += load
            of_cut[columns.LOADED] += load > 0
            of_cut[columns.WRITTEN] += written * instances
            of_cut[columns.BLOCK_ROOM] = max(of_cut[columns.BLOCK_ROOM], held)
            if part == 0 and block == of_cut[columns.FIRST]:
                of_cut[columns.FIRST_LOAD] = load
            busy, moved = self.streams(part, block)
            for (level, direction, once), size in busy.items():
                row[2 + SIDE_LEVEL_FIELDS * level + 2 * direction + once] += size
                of_cut[columns.OF_LEVEL + columns.LEVEL_COLUMNS * level + 2 * direction + once] += size
            for (level, direction, often), size in moved.items():
                of_cut[columns.OF_LEVEL + columns.LEVEL_COLUMNS * level + columns.MOVED + 4 * direction + often] += size
        alone = [count * self.parts == 1 for count in self.counts]
        totals[:, columns.ROOM] = totals[:, columns.BLOCK_ROOM] * np.where(alone, 1, 2)
        return table, totals


@given(randoms(), st.booleans())
def test_what_blocks_ask_of_each_level(random, tied):
    side = Side(random, tied=tied)
    table, totals = side.measured()
    expected_table, expected_totals = side.expected()
    assert table.tolist() == expected_table.tolist()
    assert totals.tolist() == expected_totals.tolist()
