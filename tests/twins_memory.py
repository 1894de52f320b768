"""A plain twin of the memory: operands as lists of values, mappings carried out block by block (docs/model.md, 3).

It shares nothing with swatsim: what a pass multiplies is built by direct indexing from the layer's arrays, a mapping
is a list of blocks of rounds, and its bytes, room, energy and cycles are counted while its loops run.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from oracle_vectors import Convolution, Order, phase_taps, value_at, windows_in_order
from twins_formats import encode

VALUE, SUM = 2, 4  # bytes
Piece = list[list[int]]


# ------------------------------------------------------------------------------------------------ operands as they lie


@dataclass
class Side:
    """One operand of a contraction: vectors[group][vector], the lines that each touches, all lines as they lie."""

    role: str
    vectors: list[list[Piece]]
    touched: list[list[list[tuple[int, ...]]]]
    lines: dict[tuple[int, ...], Piece]
    full: bool  # the whole tensor has no zeros
    sizes: dict[tuple[str, int], int] = field(default_factory=dict)

    def size(self, piece: Piece, name: str) -> int:
        key = (name, id(piece))
        if key not in self.sizes:
            self.sizes[key] = stored_size(piece, name)
        return self.sizes[key]

    def all_touched(self) -> set[tuple[int, ...]]:
        return {key for group in self.touched for keys in group for key in keys}

    @property
    def nonzeros(self) -> int:
        return sum(value != 0 for group in self.vectors for piece in group for segment in piece for value in segment)


def stored_size(piece: Piece, name: str) -> int:
    rows, columns = len(piece), len(piece[0])
    values = sum(map(bool, itertools.chain.from_iterable(piece)))
    if name == "dense":
        return rows * columns * VALUE
    if name == "bitmap":
        return values * VALUE + -(-rows * columns // 8)
    ones = [[int(value != 0) for value in row] for row in piece]
    return len(encode(name, ones, rows, columns, VALUE)) // 8


@dataclass(frozen=True)
class Part:
    """What of the reduction is multiplied: ranges; None is all."""

    channels: tuple[int, int] | None = None
    images: tuple[int, int] | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None


def pick(given: tuple[int, int] | None, size: int) -> range:
    return range(*(given or (0, size)))


def between(found: list[int], size: int) -> list[int]:
    """From the first to the last coordinate touched, as far as they are in the tensor."""
    return [place for place in range(min(found), max(found) + 1) if 0 <= place < size]


def sides_of(conv: Convolution, order: Order, part: Part = Part()) -> list[tuple[Side, Side]]:
    """Rows and columns of each contraction of a pass."""
    if conv.what == "output":
        return [forward_sides(conv, order, part)]
    if conv.what == "w_grad":
        return [weight_grad_sides(conv, order, part)]
    phases = itertools.product(range(conv.stride[0]), range(conv.stride[1]))
    return [sides for phase in phases for sides in input_grad_sides(conv, order, phase, part)]


def image_side(role, tensor, groups, windows, order, elements) -> Side:
    """windows: (image, [h of each tap], [w of each tap]); elements: of the channels of a group."""
    per_group = tensor.shape[1] // groups
    along_rows = order.window_order == "npq"
    size, other = tensor.shape[2:] if along_rows else tensor.shape[:1:-1]
    vectors, touched, lines = [], [], {}
    for group in range(groups):
        vectors.append([
            [[value_at(tensor, n, group * per_group + c, h, w) for c in elements] for h in hs for w in ws]
            for n, hs, ws in windows
        ])  # fmt: skip
        touched.append([
            [(group, n, at) for at in sorted(set(hs if along_rows else ws)) if 0 <= at < size] for n, hs, ws in windows
        ])  # fmt: skip
        for n in range(tensor.shape[0]):
            for at in range(size):
                lines[group, n, at] = [
                    [int(tensor[n, group * per_group + c, *((at, way) if along_rows else (way, at))]) for c in elements]
                    for way in range(other)
                ]
    return Side(role, vectors, touched, lines, bool(tensor.all()))


def touched_places(found: list[int], size: int) -> list[int]:
    """Of a part that touches nothing but padding, one line of it is taken for its tensor."""
    return between(found, size) or [-1]


def forward_sides(conv: Convolution, order: Order, part: Part) -> tuple[Side, Side]:
    filters, per_group, kernel_h, kernel_w = conv.shape_w
    own, elements = filters // conv.groups, pick(part.channels, per_group)
    taps = list(itertools.product(range(kernel_h), range(kernel_w)))
    rows = [
        [[[int(conv.w[group * own + k, c, r, s]) for c in elements] for r, s in taps] for k in range(own)]
        for group in range(conv.groups)
    ]
    (top, _, left, _), (down, across), (step_h, step_w) = conv.padding, conv.stride, conv.dilation
    windows = [
        (
            n,
            [p * down + r * step_h - top for r in range(kernel_h)],
            [q * across + s * step_w - left for s in range(kernel_w)],
        )
        for n, p, q in windows_in_order(conv.shape_x[0], *conv.shape_y[2:], order)
    ]
    return filter_side(conv.w, rows), image_side("input", conv.x, conv.groups, windows, order, elements)


def filter_side(tensor, vectors: list[list[Piece]]) -> Side:
    """Each vector is a line."""
    lines = {(g, v): piece for g, group in enumerate(vectors) for v, piece in enumerate(group)}
    touched = [[[(g, v)] for v in range(len(group))] for g, group in enumerate(vectors)]
    return Side("weight", vectors, touched, lines, bool(tensor.all()))


def input_grad_sides(conv: Convolution, order: Order, phase: tuple[int, int], part: Part) -> list[tuple[Side, Side]]:
    (high, r_taps, _), (wide, s_taps, _) = (phase_taps(conv, axis, phase[axis]) for axis in (0, 1))
    if not r_taps or not s_taps or not high or not wide:
        return []
    own, per_group = conv.shape_w[0] // conv.groups, conv.shape_w[1]
    elements = pick(part.channels, own)
    rows = [
        [
            [[int(conv.w[group * own + k, c, r, s]) for k in elements] for r in r_taps for s in s_taps]
            for c in range(per_group)
        ]
        for group in range(conv.groups)
    ]

    def outputs(axis: int, window: int, taps: list[int]) -> list[int]:
        at = phase[axis] + window * conv.stride[axis] + conv.padding[2 * axis]
        return [(at - tap * conv.dilation[axis]) // conv.stride[axis] for tap in taps]

    windows = [
        (n, outputs(0, u, r_taps), outputs(1, v, s_taps))
        for n, u, v in windows_in_order(conv.shape_x[0], high, wide, order)
    ]
    return [(filter_side(conv.w, rows), image_side("output", conv.g, conv.groups, windows, order, elements))]


def weight_grad_sides(conv: Convolution, order: Order, part: Part) -> tuple[Side, Side]:
    (filters, per_group, kernel_h, kernel_w), (_, _, out_h, out_w) = conv.shape_w, conv.shape_y
    own, images = filters // conv.groups, pick(part.images, conv.shape_y[0])
    ps, qs = pick(part.rows, out_h), pick(part.columns, out_w)
    places = [(ps[p], qs[q]) for _, p, q in windows_in_order(1, len(ps), len(qs), order)]
    heights, widths = (
        pick(None, conv.shape_x[2 + axis])
        if (part.rows, part.columns)[axis] is None
        else touched_places([
            place * conv.stride[axis] + tap * conv.dilation[axis] - conv.padding[2 * axis]
            for place in (ps, qs)[axis] for tap in range(conv.shape_w[2 + axis])
        ], conv.shape_x[2 + axis])
        for axis in (0, 1)
    )  # fmt: skip
    rows, columns, row_lines, column_lines, touched = [], [], {}, {}, []
    sizes = {"r": kernel_h, "s": kernel_w, "c": per_group}
    shifts = [
        dict(zip(order.step_order, at, strict=True))
        for at in itertools.product(*(range(sizes[axis]) for axis in order.step_order))
    ]
    for group in range(conv.groups):
        ks = range(group * own, (group + 1) * own)
        rows.append([[[int(conv.g[n, k, p, q]) for p, q in places] for n in images] for k in ks])
        for v, k in enumerate(ks):
            row_lines[group, v] = [[int(conv.g[n, k, p, q]) for q in qs] for n in images for p in ps]
        columns.append(
            [
                [[shifted(conv, n, group * per_group + at["c"], p, q, at) for p, q in places] for n in images]
                for at in shifts
            ]
        )
        touched.append([[(group, at["c"])] for at in shifts])
        for c in range(per_group):
            column_lines[group, c] = [
                [value_at(conv.x, n, group * per_group + c, h, w) for w in widths] for n in images for h in heights
            ]
    row_touched = [[[(group, v)] for v in range(own)] for group in range(conv.groups)]
    return (
        Side("output", rows, row_touched, row_lines, bool(conv.g.all())),
        Side("input", columns, touched, column_lines, bool(conv.x.all())),
    )


def shifted(conv: Convolution, n: int, c: int, p: int, q: int, at: dict[str, int]) -> int:
    h = p * conv.stride[0] + at["r"] * conv.dilation[0] - conv.padding[0]
    w = q * conv.stride[1] + at["s"] * conv.dilation[1] - conv.padding[2]
    return value_at(conv.x, n, c, h, w)


# ------------------------------------------------------------------------------------------------------ compute cycles


@dataclass(frozen=True)
class Way:
    """Which operand is on the machine's rows, how tiles share the work, and what is skipped."""

    exchanged: bool
    tiles: tuple[int, int]  # of rows, of columns
    scheduled: str  # "rows", "columns" (of the machine) or "nothing"


@dataclass(frozen=True)
class Extent:
    """One side of the machine: vectors of a tile, tiles."""

    per_tile: int
    tiles: int

    def deal(self, vectors: int) -> list[list[list[int]]]:
        """[round][tile]: the vectors that it works on."""
        at_once = self.per_tile * self.tiles
        return [
            [
                [v for v in range(start + tile * self.per_tile, start + (tile + 1) * self.per_tile) if v < vectors]
                for tile in range(self.tiles)
            ]
            for start in range(0, vectors, at_once)
        ]


def steps_of(piece: Piece, lanes: int, flat: bool) -> int:
    """Steps of a reduction; segments are padded to whole steps, or laid one after another where `flat`."""
    if flat:
        return -(-sum(map(len, piece)) // lanes)
    return sum(-(-len(segment) // lanes) for segment in piece)


def set_cycles(
    sides: tuple[Side, Side], extents: tuple[Extent, Extent], scheduled: str, lanes: int, flat: bool
) -> list[dict[tuple[int, int], int]]:
    """[barrier set]{(group, round of the scheduled side): cycles over all rounds of the other}.

    Of a machine that packs a whole buffer densely (crossbar, one chunk), each tile a set that waits for its slowest
    vector; with nothing scheduled, all rounds take all steps.
    """
    own = 1 if scheduled == "columns" else 0
    side, others = sides[own], len(extents[1 - own].deal(len(sides[1 - own].vectors[0])))
    dealt = extents[own].deal(len(side.vectors[0]))
    if scheduled == "nothing":
        steps = steps_of(side.vectors[0][0], lanes, flat)
        return [{(g, r): steps * others for g in range(len(side.vectors)) for r in range(len(dealt))}]
    packed = [[-(-sum(map(sum, piece)) // lanes) for piece in group] for group in side.vectors]
    return [
        {
            (g, r): others * max((packed[g][v] for v in tiles[tile]), default=0)
            for g in range(len(side.vectors)) for r, tiles in enumerate(dealt)
        }
        for tile in range(extents[own].tiles)
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- mappings

Rounds = list[tuple[int, int]]  # (group, round)


@dataclass(frozen=True)
class Tiling:
    """How loops run: `bundle` groups share a block, else `rows` and `columns` rounds of one group are a block."""

    bundle: int
    rows: int
    columns: int
    columns_outside: bool
    spilled: bool = False

    def blocks(self, groups: int, rounds: int, size: int) -> list[list[Rounds]]:
        """[bundle][block] of one side."""
        if self.bundle > 1:
            bundles = [range(start, min(start + self.bundle, groups)) for start in range(0, groups, self.bundle)]
            return [[[(g, r) for g in bundle for r in range(rounds)]] for bundle in bundles]
        return [
            [[(g, r) for r in range(start, min(start + size, rounds))] for start in range(0, rounds, size)]
            for g in range(groups)
        ]


def tilings(groups: int, rounds: tuple[int, int], parts: int):
    """All of them."""
    sizes = [(1, row, column) for row in range(1, rounds[0] + 1) for column in range(1, rounds[1] + 1)]
    sizes += [(bundle, *rounds) for bundle in range(2, groups + 1)]
    for bundle, row, column in sizes:
        for outside in (False, True) if bundle == 1 and row < rounds[0] and column < rounds[1] else (False,):
            for spilled in (False, True) if parts > 1 else (False,):
                yield Tiling(bundle, row, column, outside, spilled)


@dataclass
class Outcome:
    """What a mapping takes."""

    tiling: Tiling
    way: Way
    parts: int
    blocks: list[dict[str, Any]]
    moved: Counter
    need: Counter  # of one instance of each level
    multiplications: int
    dram_bytes: int = 0
    energy_pj: float = 0.0
    cycles: int = 0

    def score(self, objective: str) -> float:
        return {"cycles": self.cycles, "dram_bytes": self.dram_bytes, "energy": self.energy_pj}[objective]


class Memory:
    """The levels of an architecture and the formats in them."""

    def __init__(self, architecture, dense=False, formats=None):
        self.levels = architecture.memory.levels
        self.names = list(self.levels)
        self.dense, self.formats = dense, formats or {}

    def path(self, operand: str) -> list[str]:
        return [name for name, level in self.levels.items() if operand in level.holds]

    def format(self, level: str, side: Side) -> str:
        if self.dense:
            return "dense"
        own = self.formats.get(side.role)
        if own and any(level in self.path(operand)[:2] for operand in ("rows", "columns")):
            return own
        return "dense" if side.full else self.levels[level].format

    def cycles(self, count: int, width: int | None) -> int:
        return 0 if width is None else -(-count // width)


class Operand:
    """One side in the memory, in one part of the reduction."""

    def __init__(self, memory: Memory, name: str, side: Side, extent: Extent, other: Extent):
        self.memory, self.side, self.extent, self.other = memory, side, extent, other
        self.path = memory.path(name)
        self.dealt = extent.deal(len(side.vectors[0]))

    def tiles(self, place: tuple[int, int], level: str) -> list[int]:
        """Bytes of each tile's vectors in a round."""
        group, turn = place
        form = self.memory.format(level, self.side)
        return [sum(self.side.size(self.side.vectors[group][v], form) for v in vectors) for vectors in self.dealt[turn]]

    def amount(self, place: tuple[int, int], level: str) -> int:
        """Bytes of a round in the busiest instance of a level."""
        found = self.tiles(place, level)
        return sum(found) if self.memory.levels[level].per == "node" else max(found)

    def lines(self, block: Rounds) -> list[tuple[int, ...]]:
        vectors = ((group, v) for group, turn in block for tile in self.dealt[turn] for v in tile)
        return sorted({key for group, v in vectors for key in self.side.touched[group][v]})

    def line_bytes(self, keys, level: str) -> int:
        return sum(self.side.size(self.side.lines[key], self.memory.format(level, self.side)) for key in keys)

    def load(self, block: Rounds, present: set) -> dict[str, int]:
        """What loading a block takes: bytes off chip, bytes into all instances, room in one, cycles."""
        outermost, resident = self.path[:2]
        level = self.memory.levels[resident]
        coming = [key for key in self.lines(block) if key not in present]
        off_chip = self.line_bytes(coming, outermost)
        if level.per == "node":
            arriving = written = self.line_bytes(coming, resident)
            room, copies = self.line_bytes(set(self.lines(block)) | present, resident), 1
        else:
            room = arriving = sum(max(self.tiles(place, resident)) for place in block)
            written, copies = sum(sum(self.tiles(place, resident)) for place in block), self.other.tiles
        fill_width = level.fill_bytes_per_cycle if level.width_bytes_per_cycle else None
        cycles = max(
            self.memory.cycles(off_chip, self.memory.levels[outermost].width_bytes_per_cycle),
            self.memory.cycles(arriving, level.width_bytes_per_cycle), self.memory.cycles(written, fill_width),
        )  # fmt: skip
        return {"bytes": off_chip, "written": written * copies, "room": room, "cycles": cycles}

    def keeps(self, level: str, block: Rounds, outer: bool) -> bool:
        """Whether a level below the resident one still has a round's bytes when they are asked for again."""
        capacity = self.memory.levels[level].capacity_bytes
        if capacity is None:
            return True
        room = capacity // len(self.memory.levels[level].holds)
        amounts = [self.amount(place, level) for place in block]
        return 2 * max(amounts) <= room if outer else sum(amounts) <= room

    def stream(self, block: Rounds, others: dict[int, list[list[list[int]]]], outer: bool, found: Counter) -> Counter:
        """What a block reads and writes while the rounds of the other side pass, added to `found` for all instances.

        others[group][round][tile] are the vectors of the other side's block. Returns the busiest instances' bytes.
        """
        busy: Counter = Counter()
        kept_beneath, beneath = False, None
        for depth, level in reversed(list(enumerate(self.path[1:], start=1))):
            node = self.memory.levels[level].per == "node"
            kept_here = kept_beneath or (depth > 1 and self.keeps(level, block, outer))
            for (group, turn), direction in itertools.product(block, ("read", "write")):
                if direction == "write" and depth == 1:
                    continue  # that is its load
                once = kept_beneath if direction == "read" else kept_here
                working = [{tile for tile, vectors in enumerate(tiles) if vectors} for tiles in others[group]]
                total, times = sum(self.tiles((group, turn), level)), 1 if once else len(working)
                copies = len(set.union(*working)) if once else sum(map(len, working))
                found[level, direction] += total * (times if node else copies)
                busy[level, direction] += self.amount((group, turn), level) * times
                if direction == "read" and beneath and node:
                    busy[beneath, "fill"] += total * times
            kept_beneath, beneath = kept_here, level
        return busy


def result_moves(memory: Memory, part: int, parts: int, spilled: bool) -> Counter:
    """Bytes that one result moves in a part of the reduction, followed on its way."""
    found: Counter = Counter()
    outermost, *path = memory.path("results")
    if part > 0:  # it is fetched to be added to
        if spilled:
            found[outermost, "read"] += SUM
            found[path[0], "write"] += SUM
        for above, below in itertools.pairwise(path):
            found[above, "read"] += SUM
            found[below, "write"] += SUM
        found[path[-1], "read"] += SUM
    finished = part == parts - 1
    found[path[-1], "write"] += SUM
    for below, above in itertools.pairwise(reversed(path)):
        found[below, "read"] += SUM if below == path[-1] or not finished else VALUE
        found[above, "write"] += VALUE if finished else SUM
    if finished or spilled:
        size = VALUE if finished else SUM
        found[path[0], "read"] += SUM if len(path) == 1 else size
        found[outermost, "write"] += size
    return found


def carry_out(
    architecture, sides: list[tuple[Side, Side]], way: Way, tiling: Tiling, work, *, dense=False, present=frozenset()
) -> Outcome:
    """Run a contraction's loops.

    Parameters
    ----------
    sides : of each part of the reduction, what is on the machine's rows and columns.
    work : set cycles of each part, and multiplications.
    present : lines of the columns that are on chip already.
    """
    memory = Memory(architecture, dense)
    extents = (Extent(architecture.tile.rows, way.tiles[0]), Extent(architecture.tile.columns, way.tiles[1]))
    operands = [
        [Operand(memory, name, pair[s], extents[s], extents[1 - s]) for s, name in enumerate(("rows", "columns"))]
        for pair in sides
    ]
    cut = [
        tiling.blocks(len(sides[0][s].vectors), len(operands[0][s].dealt), (tiling.rows, tiling.columns)[s])
        for s in (0, 1)
    ]
    done = [0] * len(work[0][0])
    outcome = Outcome(tiling, way, len(sides), [], Counter(), Counter(), work[1])
    out = 1 if tiling.columns_outside else 0
    for bundle, part in itertools.product(range(len(cut[0])), range(len(sides))):
        lists = cut[0][bundle], cut[1][bundle]
        for i, j in itertools.product(range(len(lists[out])), range(len(lists[1 - out]))):
            pair = (lists[0][i], lists[1][j]) if out == 0 else (lists[0][j], lists[1][i])
            block = loads_of(outcome, operands[part], lists, (out, i, j), (frozenset(), present))
            scheduled = 1 if way.scheduled == "columns" else 0
            for s in (0, 1):
                others: dict[int, list] = {}
                for group, turn in pair[1 - s]:
                    others.setdefault(group, []).append(operands[part][1 - s].dealt[turn])
                block["busy"].update(operands[part][s].stream(pair[s], others, s == scheduled, outcome.moved))
            rounds = len(operands[part][1 - scheduled].dealt)
            block["compute"] = dealt_cycles(work[0][part], pair[scheduled], pair[1 - scheduled], rounds, done)
            results_of(outcome, operands[part], pair, block, part)
            outcome.blocks.append(block)
    ask_room(outcome, operands, cut, present)
    outermost = memory.names[0]
    outcome.dram_bytes = outcome.moved[outermost, "read"] + outcome.moved[outermost, "write"]
    outcome.energy_pj = architecture.energy.mac_pj * outcome.multiplications + sum(
        8 * count * memory.levels[level].energy_pj_per_bit for (level, _), count in outcome.moved.items()
    )
    outcome.cycles = run([outcome], architecture)
    return outcome


def loads_of(outcome: Outcome, operands: list[Operand], lists, place, present) -> dict[str, Any]:
    """A block with its loads: the outer side's block stays while the inner ones pass, the next one comes meanwhile."""
    out, i, j = place
    inner = 1 - out
    block: dict[str, Any] = {"own": 0, "ahead": 0, "waits": False, "store": 0, "busy": Counter()}

    def load(side: int, number: int) -> int:
        return operands[side].load(lists[side][number], present[side])

    def fetch(side: int, number: int) -> int:
        found = load(side, number)
        outcome.moved[operands[side].path[0], "read"] += found["bytes"]
        outcome.moved[operands[side].path[1], "write"] += found["written"]
        return found["cycles"]

    if j == 0:
        cycles = fetch(out, i)
        block["waits"] = cycles > 0
        # All but the first came beside the inner blocks of the one before, if there was a block to come beside.
        if i == 0 or len(lists[inner]) == 1:
            block["own"] += cycles
    if i == 0 or len(lists[inner]) > 1:
        block["own"] += fetch(inner, j)
    if i + 1 < len(lists[out]) and j + 1 < len(lists[inner]):
        turns, cycles = len(lists[inner]) - 1, load(out, i + 1)["cycles"]
        block["ahead"] = cycles * (j + 1) // turns - cycles * j // turns
    return block


def dealt_cycles(cycles, own: Rounds, other: Rounds, rounds: int, done: list[int]) -> int:
    """A set runs on across the edges of blocks: a block takes until the slowest has done its share too."""
    before = max(done)
    for number, by_round in enumerate(cycles):
        total = sum(by_round[place] for place in own)
        turns = [turn for group, turn in other if group == other[0][0]]
        done[number] += total * (max(turns) + 1) // rounds - total * min(turns) // rounds
    return max(done) - before


def results_of(outcome: Outcome, operands: list[Operand], pair, block: dict[str, Any], part: int) -> None:
    """Count a block's results, [tile of the rows, tile of the columns], and what they move."""
    memory = operands[0].memory
    results: Counter = Counter()
    for (group, row), (its, column) in itertools.product(*pair):
        if group == its:
            for (t, rows), (u, columns) in itertools.product(
                *map(enumerate, (operands[0].dealt[row], operands[1].dealt[column]))
            ):
                results[t, u] += len(rows) * len(columns)
    block["results"], values = results, results.total()
    for (level, direction), size in result_moves(memory, part, outcome.parts, outcome.tiling.spilled).items():
        outcome.moved[level, direction] += size * values
        if level != memory.names[0]:
            busiest = values if memory.levels[level].per == "node" else max(results.values())
            block["busy"][level, direction] += size * busiest
            continue
        cycles = memory.cycles(size * values, memory.levels[level].width_bytes_per_cycle)
        block["own" if direction == "read" else "store"] += cycles
    block["waits"] |= block["own"] > 0


def ask_room(outcome: Outcome, operands: list[list[Operand]], cut, present) -> None:
    """A block and the one that comes meanwhile; results of two blocks, or of all that wait for another part."""
    memory, parts = operands[0][0].memory, outcome.parts
    for s in (0, 1):
        blocks = [block for bundle in cut[s] for block in bundle]
        rooms = [each[s].load(block, present if s else frozenset())["room"] for each in operands for block in blocks]
        outcome.need[operands[0][s].path[1]] += max(rooms) * (2 if len(rooms) > 1 else 1)
    path = memory.path("results")[1:]
    node = memory.levels[path[0]].per == "node"

    def most(blocks) -> int:
        together = sum((block["results"] for block in blocks), Counter())
        return together.total() if node else max(together.values())

    inside = len(outcome.blocks) // len(cut[0]) // parts
    if parts > 1 and not outcome.tiling.spilled:
        firsts = range(0, len(outcome.blocks), inside * parts)
        outcome.need[path[0]] += SUM * max(most(outcome.blocks[first : first + inside]) for first in firsts)
        return
    size = SUM if parts > 1 or len(path) == 1 else VALUE
    outcome.need[path[0]] += (
        max(most([block]) for block in outcome.blocks) * size * (2 if len(outcome.blocks) > 1 else 1)
    )


def fits(outcome: Outcome, architecture) -> bool:
    levels = architecture.memory.levels
    return all(
        levels[name].capacity_bytes is None or need <= levels[name].capacity_bytes
        for name, need in outcome.need.items()
    )


# --------------------------------------------------------------------------------------------------------- the engines


def run(outcomes: list[Outcome], architecture) -> int:
    """Cycles of blocks one after another: no refresh."""
    memory = architecture.memory
    latency = {name: level.latency_cycles for name, level in memory.levels.items()}
    paths = {
        operand: [name for name, level in memory.levels.items() if operand in level.holds]
        for operand in ("rows", "columns", "results")
    }
    outermost = next(iter(memory.levels))
    starting = max(sum(latency[name] for name in paths[operand][1:]) for operand in ("rows", "columns"))
    leaving = sum(latency[name] for name in paths["results"][1:])
    full = memory.levels[outermost].duplex == "full"
    blocks = [block for outcome in outcomes for block in outcome.blocks]
    free = {"read": 0, "write": 0}
    computed, stored = [], []
    arrived: dict[int, int] = {}

    def send(engine: str, ready: int, work: int) -> int:
        free[engine] = max(free[engine], ready) + work
        if not full:
            free["read"] = free["write"] = free[engine]
        return free[engine]

    def load(number: int) -> None:
        ready = computed[number - 2] if number >= 2 else 0
        end = send("read", ready, blocks[number]["own"])
        if blocks[number]["waits"]:
            arrived[number] = end + latency[outermost]
        if number >= 1:
            send("read", end, blocks[number - 1]["ahead"])

    for number, block in enumerate(blocks):
        if number == 0:
            load(0)
        if number + 1 < len(blocks):
            # Its own load comes before this block's store, but not before the block before this one is computed.
            load(number + 1)
        start = max(computed[-1] if computed else 0, arrived.get(number, 0) + starting)
        if number >= 2 and blocks[number - 2]["store"]:
            start = max(start, stored[number - 2] + latency[outermost])
        computed.append(max([start + block["compute"], *(start + cycles for cycles in streaming(memory, block))]))
        stored.append(send("write", computed[-1] + leaving, block["store"]) if block["store"] else 0)
    return max([0, *computed, *(end + latency[outermost] for end in stored if end)])


def streaming(memory, block) -> list[int]:
    found = []
    for name, level in list(memory.levels.items())[1:]:
        width = level.width_bytes_per_cycle
        if width is None:
            continue
        reads, writes = (-(-block["busy"][name, direction] // width) for direction in ("read", "write"))
        fills = -(-block["busy"][name, "fill"] // level.fill_bytes_per_cycle) if level.fill_bytes_per_cycle else 0
        found.append(max(reads, writes, fills, -(-(reads + writes) * level.bank_cycles // level.banks)))
    return found
