"""Layers and machines for the oracle's tests: the published ones, and strategies for random ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from oracle import EIGHT_INPUTS, TENSORDASH_LANE_ORDER, Machine
from oracle_vectors import PASS_OPERANDS, OracleLayer

# --------------------------------------------------------------------------------------------------- published layers


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLayer:
    """A square layer of one image, with random values whose shares of zeros are given."""

    channels: int
    size: int
    filters: int
    kernel: int
    stride: int
    padding: int
    zeros: tuple[float, float, float]  # of input, weight and output gradient
    seed: int

    def tensors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input, weight and output gradient, as the independent simulator was given them."""
        outputs = (self.size + 2 * self.padding - self.kernel) // self.stride + 1
        shapes = (
            (1, self.channels, self.size, self.size),
            (self.filters, self.channels, self.kernel, self.kernel),
            (1, self.filters, outputs, outputs),
        )
        return tuple(
            random_values(shape, zeros, 1000 * self.seed + number)
            for number, (shape, zeros) in enumerate(zip(shapes, self.zeros, strict=True), start=1)
        )

    def oracle_layer(self) -> OracleLayer:
        values, weight, gradient = (tensor.astype(np.int64) for tensor in self.tensors())
        return OracleLayer(
            kind="conv2d", input=values, weight=weight, output_grad=gradient,
            stride=(self.stride,) * 2, padding=(self.padding,) * 4,
        )  # fmt: skip


def random_values(shape: tuple[int, ...], zeros: float, seed: int) -> np.ndarray:
    """The recipe `t(shape, z, seed)` of the published table."""
    random = np.random.RandomState(seed)
    values = random.randint(1, 8, size=shape).astype("f4")
    return values * (random.random_sample(shape) >= zeros)


def _published(*numbers: int, zeros: tuple[float, float, float], seed: int) -> PublishedLayer:
    names = ("channels", "size", "filters", "kernel", "stride", "padding")
    return PublishedLayer(**dict(zip(names, numbers, strict=True)), zeros=zeros, seed=seed)


PUBLISHED_LAYERS = {
    "D1": _published(32, 14, 64, 3, 1, 1, zeros=(0, 0, 0), seed=11),
    "D2": _published(64, 14, 256, 1, 1, 0, zeros=(0, 0, 0), seed=12),
    "D3": _published(48, 16, 300, 3, 2, 1, zeros=(0, 0, 0), seed=13),
    "S1": _published(32, 14, 64, 3, 1, 1, zeros=(0.6, 0.4, 0.5), seed=14),
    "S2": _published(48, 16, 300, 3, 2, 1, zeros=(0.5, 0.8, 0.7), seed=15),
    "S3": _published(64, 14, 128, 1, 2, 0, zeros=(0.4, 0.3, 0.6), seed=16),
    "R1": _published(64, 56, 64, 3, 1, 1, zeros=(0.5, 0, 0.5), seed=21),
}

# What an independent simulator counts (its non-zeros: input, weight, output gradient).
PUBLISHED_NONZEROS = {
    "D1": (6272, 18432, 12544),
    "D2": (12544, 16384, 50176),
    "D3": (12288, 129600, 19200),
    "S1": (2556, 11070, 6185),
    "S2": (6235, 25911, 5670),
    "S3": (7514, 5730, 2522),
}
DADIANNAO_FORWARD = {"D1": 3528, "D2": 784, "D3": 3456, "S1": 3528, "S2": 3456, "S3": 196, "R1": 112896}
BIT_TACTICAL_FORWARD = {"D1": 3528, "D2": 784, "D3": 3456, "S1": 2744, "S2": 1792, "S3": 196, "R1": 112896}
# Forward, input_grad, weight_grad of one TensorDash tile of 4 rows and 4 columns: as scheduled, dense.
TENSORDASH_PASSES = {
    "D1": ((13680, 14112), (13704, 14112), (13824, 14976)),
    "D2": ((12544, 12544), (12544, 12544), (13312, 13312)),
    "D3": ((31350, 32400), (31728, 32832), (32400, 32400)),
    "S1": ((7744, 14112), (8240, 14112), (7888, 14976)),
    "S2": ((13696, 32400), (32832, 32832), (17388, 32400)),
    "S3": ((1344, 1664), (1008, 1664), (1024, 2048)),
    "R1": ((271439, 451584), (271120, 451584), (263903, 451584)),
}
# The same with 16 columns, as scheduled.
TENSORDASH_WIDE_PASSES = {"S1": (1936, 2060, 1972), "S2": (3424, 8208, 4347), "S3": (336, 252, 256)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A number that the model of docs/model.md means to have differently."""

    published: int
    ours: int
    reason: str


_WEIGHTS = "the reference never schedules the weights of a strided input_grad, though they are the sparser operand here"
DEPARTURES = {
    ("4x4", "S2", "input_grad"): Departure(published=32832, ours=13456, reason=_WEIGHTS),
    ("4x16", "S2", "input_grad"): Departure(published=8208, ours=3364, reason=_WEIGHTS),
}

TENSORDASH = Machine(rows=4, columns=4, lane_order=TENSORDASH_LANE_ORDER)
TENSORDASH_WIDE = Machine(rows=4, columns=16, lane_order=TENSORDASH_LANE_ORDER)
BIT_TACTICAL = Machine(tiles=16, rows=16, columns=1, skip="rows", order="most_candidates", barrier_tiles=16)
DADIANNAO = Machine(tiles=16, rows=16, columns=1, skip="none", reach="none")

# ------------------------------------------------------------------------------------------------------ random layers

DENSITIES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a convolution that has at least one output position."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def positions(self) -> int:
        return (self.size + self.before + self.after - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


def between(low: int, high: int) -> st.SearchStrategy[int]:
    """Each as likely as the others; `integers` prefers the ends, which leaves most layers tiny."""
    return st.sampled_from(range(low, high + 1))


@st.composite
def axes(draw: st.DrawFn, largest: int) -> Axis:
    kernel, stride, dilation = draw(between(1, 3)), draw(between(1, 3)), draw(between(1, 2))
    before, after = (draw(between(0, 3)) for _ in range(2))
    smallest = max(1, dilation * (kernel - 1) + 1 - before - after)
    return Axis(draw(between(smallest, max(smallest, largest))), kernel, stride, dilation, before, after)


@st.composite
def tensors(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Integers of both signs; some tensors also have whole rows of zeros, as pruned filters do."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.integers(1, 8, shape) * random.choice([-1, 1], shape)
    present = random.random(shape) < draw(st.sampled_from(DENSITIES))
    if draw(between(1, 4)) == 1:
        present &= random.random((*shape[:2], *(1,) * (len(shape) - 2))) < 0.5
    return values * present


def _shapes(kind: str, images: int, channels: int, filters: int, groups: int, sides: tuple[Axis, Axis]) -> Any:
    """Shapes of input, weight and output gradient, as PyTorch has them."""
    kept = slice(1, 2) if kind.endswith("1d") else slice(0, 2)
    x = (images, channels * groups, *(side.size for side in sides[kept]))
    w = (filters * groups, channels, *(side.kernel for side in sides[kept]))
    y = (images, filters * groups, *(side.positions for side in sides[kept]))
    return (y, w, x) if "transpose" in kind else (x, w, y)


@st.composite
def layers(draw: st.DrawFn) -> OracleLayer:
    """Every kind of layer, small."""
    kind = draw(st.sampled_from(("conv2d", "conv2d", "conv1d", "conv_transpose2d", "conv_transpose1d", "linear")))
    sides, groups = (Axis(1, 1, 1, 1, 0, 0),) * 2, 1
    if kind == "linear":
        leading = tuple(draw(st.lists(between(1, 4), max_size=3)))
        inputs, outputs = draw(between(1, 40)), draw(between(1, 20))
        shapes = ((*leading, inputs), (outputs, inputs), (*leading, outputs))
    else:
        sides = (sides[0], draw(axes(14))) if kind.endswith("1d") else (draw(axes(8)), draw(axes(8)))
        groups = draw(st.sampled_from((1, 1, 2, 3)))
        channels, filters = (draw(between(1, 20 // groups)) for _ in range(2))
        shapes = _shapes(kind, draw(between(1, 2)), channels, filters, groups, sides)
    roles = dict(zip(("input", "weight", "output_grad"), shapes, strict=True))
    operands: dict[str, dict[str, np.ndarray]] = {}
    if draw(st.booleans()):  # as SWAT does: a pass multiplies another selection of a tensor than the others do
        pass_name = draw(st.sampled_from(sorted(PASS_OPERANDS)))
        role = draw(st.sampled_from(PASS_OPERANDS[pass_name]))
        operands = {pass_name: {role: draw(tensors(roles[role]))}}
    needed = draw(st.sampled_from((True, True, True, False)))
    return OracleLayer(
        kind=kind, **{role: draw(tensors(shape)) for role, shape in roles.items()},
        stride=tuple(side.stride for side in sides), dilation=tuple(side.dilation for side in sides),
        padding=(sides[0].before, sides[0].after, sides[1].before, sides[1].after),
        groups=groups, needs_input_grad=needed or "input_grad" in operands, operands=operands,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- random machines


@st.composite
def reaches(draw: st.DrawFn, lanes: int, skip: str) -> dict[str, Any]:
    """The keys of the datapath that belong to its reach."""
    patterns = [(n, m) for n, m in PATTERNS if lanes % m == 0]
    reach = draw(st.sampled_from(("crossbar", "own_lane", "moves", "n_of_m")))
    if skip == "both" or (reach == "n_of_m" and not patterns):
        reach = draw(st.sampled_from(("crossbar", "own_lane")))
    if reach == "moves":
        keys = draw(moving(lanes))
    elif reach == "n_of_m":
        n, m = draw(st.sampled_from(patterns))
        keys = {
            "reach": reach, "n": n, "m": m, "lockstep": draw(st.sampled_from(("row", "tile"))),
            "barrier": draw(st.sampled_from(("chunk", "buffer", "pass"))),
        }  # fmt: skip
    else:
        keys = draw(selecting(reach, skip))
    if keys["barrier"] in ("chunk", "buffer") and keys["lockstep"] != "lane":
        keys["decouple_depth"] = draw(st.sampled_from((0, 0, 1, 2)))
    if skip != "columns" and keys.get("balance", "none") == "none":
        keys["balance"] = draw(st.sampled_from(("none", "greedy")))
    return keys


# n of every m lanes.
PATTERNS = ((1, 2), (2, 4), (1, 4), (3, 4), (2, 3), (4, 8), (3, 8))


@st.composite
def selecting(draw: st.DrawFn, reach: str, skip: str) -> dict[str, Any]:
    """What a lane may take anywhere in a chunk, its own values or all, and who waits then."""
    lockstep = draw(
        st.sampled_from(("row", "tile", "lane") if reach == "own_lane" and skip != "both" else ("row", "tile"))
    )
    barriers = ["chunk", "buffer"]
    if reach == "own_lane":
        barriers.append("step")
    if lockstep != "lane":
        barriers.append("pass")
    barrier = draw(st.sampled_from(barriers))
    balance = "none"
    if lockstep == "row" and barrier in ("buffer", "pass") and skip != "both":
        balance = draw(st.sampled_from(("none", "pair")))
    return {
        "reach": reach, "lockstep": lockstep, "barrier": barrier, "balance": balance,
        "chunk_steps": None if barrier == "step" else draw(st.sampled_from((1, 2, 3, 4, 6, 32))),
        "empty_chunk_cycles": draw(st.sampled_from((0, 0, 1, 2))),
    }  # fmt: skip


@st.composite
def moving(draw: st.DrawFn, lanes: int) -> dict[str, Any]:
    """Moves, which may bring two of a lane's inputs to the same place, and who chooses first."""
    ahead = st.sampled_from((1, 1, 1, 2, 2, 2, 3, 3, 5, 64))
    aside = st.one_of(between(-min(3, lanes - 1), min(3, lanes - 1)), between(1 - lanes, lanes - 1))
    moves: Any = st.lists(st.tuples(ahead, aside), min_size=1, max_size=8, unique=True).map(tuple)
    if lanes > 3:
        moves = st.one_of(st.just(EIGHT_INPUTS), moves)
    order = draw(st.sampled_from(("fixed", "most_candidates")))
    lane_orders = st.none() if order != "fixed" else st.none() | st.permutations(range(lanes)).map(tuple)
    return {
        "reach": "moves", "moves": draw(moves), "order": order, "lane_order": draw(lane_orders),
        "lockstep": draw(st.sampled_from(("tile", "row"))), "barrier": draw(st.sampled_from(("buffer", "pass"))),
    }  # fmt: skip


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Every way to skip, reach, wait and map, on few multipliers."""
    lanes, tiles = draw(st.sampled_from((1, 2, 3, 4, 5, 8, 16, 16, 33, 64))), draw(st.sampled_from((1, 2, 3, 4, 6)))
    skip = draw(st.sampled_from(("sparser", "rows", "both", "columns", "rows", "none")))
    keys = {"reach": "none"} if skip == "none" else draw(reaches(lanes, skip))
    return Machine(
        tiles=tiles, rows=draw(between(1, 4)), columns=draw(between(1, 4)), lanes=lanes, skip=skip, **keys,
        barrier_tiles=draw(between(1, tiles)), tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
        flatten=draw(st.sampled_from(("never", "auto"))),
        step_order=draw(st.sampled_from(("rsc", "rcs", "src", "scr", "crs", "csr"))),
        window_order=draw(st.sampled_from(("npq", "nqp"))),
        lane_channels=draw(st.sampled_from(("interleaved", "interleaved", "blocked"))),
    )  # fmt: skip


@st.composite
def close_calls(draw: st.DrawFn) -> tuple[OracleLayer, Machine]:
    """Operands about as sparse as each other once the border counts, so that it decides which one is scheduled."""
    sides = (draw(axes(7)), draw(axes(7)))
    shapes = _shapes("conv2d", 1, draw(between(2, 6)), draw(between(2, 6)), 1, sides)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from((0.4, 0.6, 0.8)))
    thinner = draw(st.sampled_from((0.3, 0.5, 0.7, 0.9)))  # windows of the others have a border of zeros
    x, w, y = (
        (random.random(shape) < density * share).astype(np.int64)
        for shape, share in zip(shapes, (1, thinner, thinner), strict=True)
    )
    layer = OracleLayer(
        kind="conv2d", input=x, weight=w, output_grad=y if draw(st.booleans()) else np.ones_like(y),
        stride=tuple(side.stride for side in sides), dilation=tuple(side.dilation for side in sides),
        padding=(sides[0].before, sides[0].after, sides[1].before, sides[1].after),
    )  # fmt: skip
    return layer, Machine(
        rows=2, columns=2, lanes=4, reach="crossbar", lockstep="row", barrier="chunk", chunk_steps=draw(between(1, 8))
    )


@st.composite
def contested(draw: st.DrawFn) -> tuple[OracleLayer, Machine]:
    """Rows long and full enough that the lanes' order of choice decides how many steps are left."""
    lanes = draw(st.sampled_from((3, 4, 6, 16)))
    machine = Machine(rows=draw(between(1, 3)), columns=1, lanes=lanes, skip="rows", **draw(moving(lanes)))
    rows, steps = draw(between(1, 6)), draw(between(4, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = random.random((rows, steps * lanes)) < draw(st.sampled_from((0.3, 0.5, 0.7)))
    layer = OracleLayer(
        kind="linear", input=np.ones((1, steps * lanes), np.int64), weight=weight.astype(np.int64),
        output_grad=np.ones((1, rows), np.int64),
    )  # fmt: skip
    return layer, machine


# What a machine may do beside moves, each so that it decides the cycles of `uneven_work`.
ROWS = {"reach": "crossbar", "lockstep": "row"}
PAIRS = ROWS | {"skip": "both"}
FEATURES: dict[str, dict[str, Any]] = {
    "crossbar of a tile": {"reach": "crossbar", "lockstep": "tile", "chunk_steps": 3},
    "own lane": {"reach": "own_lane", "lockstep": "row", "chunk_steps": 4},
    "own lane, lanes apart": {"reach": "own_lane", "lockstep": "lane", "chunk_steps": 2, "empty_chunk_cycles": 1},
    "own lane, lanes wait at chunks": {
        "reach": "own_lane", "lockstep": "lane", "chunk_steps": 3, "barrier": "chunk", "empty_chunk_cycles": 2,
    },
    "own lane of a tile": {"reach": "own_lane", "lockstep": "tile", "chunk_steps": 3, "barrier": "chunk"},
    "barrier after each step": {"reach": "own_lane", "lockstep": "row", "barrier": "step"},
    "2 of 4": {"reach": "n_of_m", "n": 2, "m": 4, "lockstep": "row", "barrier": "chunk"},
    "3 of 4 of a tile": {"reach": "n_of_m", "n": 3, "m": 4, "lockstep": "tile"},
    "halves in pairs": ROWS | {"chunk_steps": 3, "balance": "pair"},
    "halves of own lanes in pairs": {
        "reach": "own_lane", "lockstep": "row", "chunk_steps": 3, "balance": "pair", "barrier": "pass",
    },
    "fullest first": ROWS | {"chunk_steps": 4, "balance": "greedy"},
    "chunks ahead": ROWS | {"chunk_steps": 2, "barrier": "chunk", "decouple_depth": 2},
    "buffers ahead": ROWS | {"chunk_steps": 9, "decouple_depth": 1},
    "moves ahead": {"reach": "moves", "moves": ((1, 0), (2, 1)), "lockstep": "row", "decouple_depth": 1},
    "short chunks that cost": ROWS | {"chunk_steps": 4, "barrier": "chunk", "empty_chunk_cycles": 2},
    "pairs": PAIRS | {"chunk_steps": 3, "barrier": "chunk"},
    "pairs without barriers": PAIRS | {"chunk_steps": 3, "barrier": "pass"},
    "pairs ahead": PAIRS | {"chunk_steps": 9, "decouple_depth": 1},
    "pairs by lane": PAIRS | {"reach": "own_lane", "chunk_steps": 3, "empty_chunk_cycles": 1},
    "pairs of a tile": {"skip": "both", "reach": "crossbar", "lockstep": "tile", "chunk_steps": 4, "barrier": "chunk"},
    "pairs, fullest first": PAIRS | {"chunk_steps": 4, "balance": "greedy"},
}  # fmt: skip


@st.composite
def uneven_work(draw: st.DrawFn, feature: str) -> tuple[OracleLayer, Machine]:
    """A linear layer whose vectors differ in how full they are, and a machine with the feature."""
    keys = {"skip": "rows", "barrier": "buffer"} | FEATURES[feature]
    if keys["skip"] == "rows":
        others = ("sparser",) if keys.get("balance") == "greedy" else ("columns", "sparser")
        keys["skip"] = draw(st.sampled_from(("rows", *others)))
    lanes, tiles = draw(st.sampled_from((4, 8))), draw(between(1, 4))
    machine = Machine(
        tiles=tiles, rows=draw(between(1, 3)), columns=draw(between(1, 3)), lanes=lanes, **keys,
        barrier_tiles=draw(between(1, tiles)), tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
        lane_channels=draw(st.sampled_from(("interleaved", "blocked"))),
    )  # fmt: skip
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs, outputs, positions = draw(between(lanes, 10 * lanes)), draw(between(4, 14)), draw(between(4, 14))
    density = draw(st.sampled_from((0.05, 0.15, 0.3)))
    tensors = []
    for shape in ((positions, inputs), (outputs, inputs), (positions, outputs)):
        # Both along vectors and along the reduction, some are fuller than others.
        fullness = random.choice((0.3, 1, 2.5), (shape[0], 1)) * random.choice((0.5, 1, 1.5), (1, shape[1]))
        tensors.append(random.integers(1, 8, shape) * (random.random(shape) < density * fullness))
    roles = zip(("input", "weight", "output_grad"), tensors, strict=True)
    return OracleLayer(kind="linear", **dict(roles)), machine


def overrides(machine: Machine) -> dict[str, Any]:
    """The machine as keys of an architecture; what belongs to another reach is unset."""
    moves = [list(move) for move in machine.moves] if machine.reach == "moves" else []
    return {
        "tiles": machine.tiles,
        "tile.rows": machine.rows, "tile.columns": machine.columns, "tile.lanes": machine.lanes,
        "datapath.skip": machine.skip, "datapath.reach": machine.reach, "datapath.moves": moves,
        "datapath.order": machine.order,
        "datapath.lane_order": None if machine.lane_order is None else list(machine.lane_order),
        "datapath.chunk_steps": machine.chunk_steps, "datapath.empty_chunk_cycles": machine.empty_chunk_cycles,
        "datapath.n": machine.n, "datapath.m": machine.m, "datapath.lockstep": machine.lockstep,
        "datapath.barrier": machine.barrier, "datapath.barrier_tiles": machine.barrier_tiles,
        "datapath.decouple_depth": machine.decouple_depth, "datapath.balance": machine.balance,
        "mapping.tile_split": machine.tile_split, "mapping.flatten": machine.flatten,
        "mapping.step_order": machine.step_order, "mapping.window_order": machine.window_order,
        "mapping.lane_channels": machine.lane_channels,
    }  # fmt: skip


def multipliers(machine: Machine) -> int:
    return math.prod((machine.tiles, machine.rows, machine.columns, machine.lanes))
