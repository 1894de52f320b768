"""The mapper's choice is the best of all mappings, each carried out by a plain twin that counts from the arrays."""

from __future__ import annotations

import re
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import Phase, assume, event, given, settings
from hypothesis import strategies as st
from oracle_vectors import OracleLayer, Order, contractions, convolution_of
from twins_memory import Extent, Memory, Way, carry_out, fits, set_cycles, sides_of, tilings

import swatsim
from swatsim import layer_plans, mapper
from swatsim.architecture import read_architecture
from swatsim.contraction import parts_of
from swatsim.errors import MappingError
from swatsim.sides import Order as ProductOrder

OBJECTIVES = ("cycles", "dram_bytes", "energy")
ARCHITECTURES = Path(__file__).parent.parent / "arch"
# Multipliers few enough that small layers take several rounds.
SMALL = {"tile.rows": 2, "tile.columns": 2, "tile.lanes": 4, "mapping.overlap": "none", "mapping.tile_split": "best"}
# What each level holds, and whether each tile has one.
ALL = "rows columns results"
HIERARCHIES = {
    "published": (
        ("dram", "node", ALL), ("central", "node", "columns results"), ("sb", "tile", "rows"),
        ("nbin", "tile", "columns"), ("nbout", "tile", "results"),
    ),
    "one buffer": (
        ("dram", "node", ALL), ("buffer", "node", ALL), ("row_file", "tile", "rows"),
        ("column_file", "tile", "columns"), ("sum_file", "tile", "results"),
    ),
    "everything in tiles": (("dram", "node", ALL), ("scratch", "tile", ALL), ("latch", "tile", "columns")),
    "two on the way": (
        ("dram", "node", ALL), ("far", "node", ALL), ("near", "node", "columns rows"), ("row_file", "tile", "rows"),
        ("column_file", "tile", "columns"), ("sum_file", "tile", "results"),
    ),
    "sums in tiles": (
        ("dram", "node", ALL), ("central", "node", "columns"), ("near", "tile", "columns"), ("sb", "tile", "rows"),
        ("nbin", "tile", "columns"), ("sums", "tile", "results"),
    ),
}  # fmt: skip
# A buffer's non-zeros packed densely: cycles that can be counted in one line.
PACKED = {
    "datapath.reach": "crossbar", "datapath.chunk_steps": 4096, "datapath.lockstep": "row",
    "datapath.barrier": "buffer", "datapath.barrier_tiles": 1, "datapath.balance": "none",
}  # fmt: skip
NOTHING = {"datapath.skip": "none", "datapath.reach": "none", "datapath.barrier": "buffer"}


def architecture_of(levels, skip, keys):
    """A shipped machine with another memory: no refresh, no DRAM standard; those have tests of their own."""
    document = yaml.safe_load((ARCHITECTURES / "dadiannao.yaml").read_text())
    document["memory"] = {
        name: {"holds": holds.split(), "per": per, "energy_pj_per_bit": price, **keys[name]}
        for (name, per, holds), price in zip(levels, (6.25, 0.5, 0.25, 0.125, 0.1, 0.05), strict=False)
    }
    datapath = NOTHING if skip == "none" else {"datapath.skip": skip, **PACKED}
    return read_architecture(yaml.safe_dump(document, sort_keys=False).encode(), "a.yaml", {**keys["node"], **datapath})


class Pass:
    """All mappings of one pass, and what the product should say of the best."""

    def __init__(self, architecture, layer: OracleLayer, product: swatsim.Layer, name: str, *, dense: bool):
        self.architecture, self.product, self.name, self.dense = architecture, product, name, dense
        mapping = architecture.mapping
        self.order = Order(
            lanes=architecture.tile.lanes, flatten=mapping.flatten, step_order=mapping.step_order,
            window_order=mapping.window_order,
        )  # fmt: skip
        self.convolution = convolution_of(layer, name)
        self.whole = [sides_of(self.convolution, self.order)]
        self.zeros = [(each.row_zeros, each.column_zeros) for each in contractions(self.convolution, self.order)]

    def parts(self, count):
        """[part][contraction] of the reduction cut into about `count` parts."""
        order = ProductOrder(steps=self.order.step_order, windows=self.order.window_order)
        found = parts_of(self.product, self.name, self.order.lanes, order, count)
        return [sides_of(self.convolution, self.order, part) for part in found]

    def flat(self, side):
        segments, elements = len(side.vectors[0][0]), len(side.vectors[0][0][0])
        taps = self.convolution.what != "w_grad"
        return taps and self.order.flatten == "auto" and segments > 1 and elements < self.order.lanes

    def work(self, way, pieces, number):
        """Set cycles of each part, and multiplications of the whole."""
        tile = self.architecture.tile
        extents = (Extent(tile.rows, way.tiles[0]), Extent(tile.columns, way.tiles[1]))
        cycles = [
            set_cycles(oriented(pair, way), extents, way.scheduled, tile.lanes, self.flat(pair[0])) for pair in pieces
        ]
        rows, columns = oriented(self.whole[0][number], way)
        own, other = (columns, rows) if way.scheduled == "columns" else (rows, columns)
        elements = sum(map(len, own.vectors[0][0]))
        nonzeros = own.nonzeros if way.scheduled != "nothing" else elements * sum(map(len, own.vectors))
        return cycles, nonzeros * len(other.vectors[0])

    @property
    def fewest_dense(self):
        """Compute cycles of the dense machine's best way, of a pass of one contraction."""
        dense, self.dense = self.dense, True
        found = min(self.ways(0).values())
        self.dense = dense
        return found

    def ways(self, number):
        """Those that the machine may choose from, with their compute cycles."""
        tiles, skip = self.architecture.tiles, self.architecture.datapath.skip
        splits = [(rows, tiles // rows) for rows in range(1, tiles + 1) if tiles % rows == 0]
        orientations = (False, True) if skip == "sparser" else (False,)
        pair = self.whole[0][number]

        def with_cycles(exchanged, scheduled):
            ways = [Way(exchanged, split, scheduled) for split in splits]
            return {way: compute_cycles(self.work(way, [pair], number)[0]) for way in ways}

        dense = {way: cycles for each in orientations for way, cycles in with_cycles(each, "nothing").items()}
        if self.dense or skip == "none":
            return dense
        fewest = min(dense.values())
        exchanged = skip == "sparser" and self.zeros[number][1] > self.zeros[number][0]
        skipping = with_cycles(exchanged, "columns" if skip == "columns" else "rows")
        found = {way: cycles for way, cycles in skipping.items() if cycles <= fewest}
        if skip == "sparser":
            found |= {way: cycles for way, cycles in dense.items() if cycles == fewest}
        return found

    def outcomes(self, number, pieces, present=None):
        """All mappings that fit, in parts `pieces` of the contraction."""
        found = []
        for way in self.ways(number):
            sides = [oriented(pair, way) for pair in pieces]
            work = self.work(way, pieces, number)
            if present is not None and way.exchanged:
                continue
            groups = len(sides[0][0].vectors)
            tile = self.architecture.tile
            rounds = (
                len(Extent(tile.rows, way.tiles[0]).deal(len(sides[0][0].vectors[0]))),
                len(Extent(tile.columns, way.tiles[1]).deal(len(sides[0][1].vectors[0]))),
            )
            for tiling in tilings(groups, rounds, len(pieces)):
                one_block = (tiling.columns == rounds[1] and groups == 1) or tiling.bundle == groups > 1
                if present is not None and not one_block:
                    continue
                outcome = carry_out(
                    self.architecture, sides, way, tiling, work, dense=self.dense, present=present or frozenset()
                )
                if fits(outcome, self.architecture):
                    found.append(outcome)
        return found

    def compulsory(self, number):
        outermost = next(iter(self.architecture.memory.levels))
        rows, columns = self.whole[0][number]
        memory = Memory(self.architecture, self.dense)
        loaded = sum(
            side.size(side.lines[key], memory.format(outermost, side))
            for side in (rows, columns) for key in side.all_touched()
        )  # fmt: skip
        return loaded, 2 * sum(map(len, rows.vectors)) * len(columns.vectors[0])

    def near(self, number, objective):
        """Where cutting the reduction is not tried: a tenth above what no mapping goes below."""
        loaded, stored = self.compulsory(number)
        if objective == "dram_bytes":
            return loaded + stored
        fewest = min(self.ways(number).values())
        levels = self.architecture.memory.levels
        if objective == "cycles":
            dram = next(iter(levels.values()))
            moved = max(loaded, stored) if dram.duplex == "full" else loaded + stored
            return int(max(fewest, -(-moved // dram.width_bytes_per_cycle)) * Fraction(11, 10))
        fastest = min(self.ways(number), key=self.ways(number).__getitem__)
        _, multiplications = self.work(fastest, [self.whole[0][number]], number)
        bits = 8 * (loaded + stored) * sum(level.energy_pj_per_bit for level in levels.values())
        return bits * 1.1 + multiplications * self.architecture.energy.mac_pj


def oriented(pair, way):
    return pair[::-1] if way.exchanged else pair


def compute_cycles(cycles):
    return max(sum(sum(part[barrier_set].values()) for part in cycles) for barrier_set in range(len(cycles[0])))


def describe(outcome):
    """The report's text of a mapping, without its numbers of tiles."""
    count = len(outcome.blocks) // outcome.parts
    return (outcome.way.tiles, outcome.way.exchanged, outcome.parts, outcome.tiling.spilled, count)


def described(text):
    tiles = tuple(map(int, re.match(r"(\d+)x(\d+) tiles", text).groups()))
    times, rows, columns = re.search(r"(?:(\d+) times )?(\d+)x(\d+) blocks", text).groups()
    parts = re.search(r"in (\d+) parts", text)
    return (
        tiles, "sides exchanged" in text, int(parts[1]) if parts else 1, "spilled" in text,
        int(times or 1) * int(rows) * int(columns),
    )  # fmt: skip


def simulated(architecture, product, name, objective):
    trace = swatsim.Trace("t", [product])
    return swatsim.simulate(architecture, trace, passes=(name,), objective=objective, workers=1).layer_records[0]


def counts(row, *, dense):
    energy = row.dense_energy if dense else row.energy
    cycles, moved = (row.dense_cycles, row.dense_dram_bytes) if dense else (row.cycles, row.dram_bytes)
    return {"cycles": cycles, "dram_bytes": moved, "energy": energy.total.value}


def computed(outcome):
    return sum(block["compute"] for block in outcome.blocks)


def by_parts(each: Pass):
    """Mappings of a pass of one contraction with its reduction in one part, in about two, in about four ..."""
    found, made, count = [each.outcomes(0, [pair[0] for pair in each.whole])], 1, 2
    while count <= 4 or not any(found):
        cut = each.parts(count)
        if len(cut) <= made:
            break
        found.append(each.outcomes(0, [pair[0] for pair in cut]))
        made, count = len(cut), 2 * count
    return found


def check(each: Pass, objective: str, mappings) -> None:
    """The row has the best mapping's counts; cutting stops where nothing is to be gained."""
    row = simulated(each.architecture, each.product, each.name, objective)
    found = counts(row, dense=each.dense)
    near, tried = each.near(0, objective), []
    for outcomes in mappings:
        # Cutting that costs more compute cycles than skipping saves is for what does not fit otherwise.
        most = each.fewest_dense if tried and objective == "cycles" else None
        tried += [outcome for outcome in outcomes if most is None or computed(outcome) <= most]
        best = min((outcome.score(objective) for outcome in tried), default=None)
        if best is not None and best <= near:
            break
    if objective == "dram_bytes" and best > near:
        # Fewer bytes may be worth more parts than are carried out here.
        assert found[objective] <= best
        if found[objective] < best:
            return
    assert found[objective] == pytest.approx(best, rel=1e-9), (objective, row.mapping)
    equals = [each for each in tried if each.score(objective) == pytest.approx(best, rel=1e-9)]
    assert found["cycles"] == min(each.cycles for each in equals), (objective, row.mapping)
    if not each.dense:
        same = [each for each in tried if describe(each) == described(row.mapping)]
        assert any(
            (each.cycles, each.dram_bytes) == (found["cycles"], found["dram_bytes"])
            and each.energy_pj == pytest.approx(found["energy"], rel=1e-9)
            and all(row.moved(level, direction) == count for (level, direction), count in each.moved.items())
            for each in same
        ), (objective, row.mapping)


# A failure is small as it is, and each attempt to shrink it carries out hundreds of mappings.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


@st.composite
def small_layers(draw, strided=False):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    kernel = draw(st.sampled_from(((1, 1), (2, 2), (3, 3), (1, 3))))
    size = [draw(st.integers(max(2, side), 4)) for side in kernel]
    stride = (2, 2) if strided else (1, 1)
    padding = draw(st.sampled_from((0, 1))) if max(kernel) > 1 else 0
    images = draw(st.sampled_from((1, 2)))
    channels, filters = (groups * draw(st.integers(1, 6 // groups)) for _ in range(2))
    out = [(side + 2 * padding - tap) // step + 1 for side, tap, step in zip(size, kernel, stride, strict=True)]
    shapes = ((images, channels, *size), (filters, channels // groups, *kernel), (images, filters, *out))
    arrays = [(random.random(shape) < draw(st.sampled_from((0.1, 0.3, 0.6, 1.0)))).astype(np.int64) for shape in shapes]
    return OracleLayer(
        kind="conv2d", **dict(zip(("input", "weight", "output_grad"), arrays, strict=True)), stride=stride,
        padding=(padding,) * 4, groups=groups,
    )  # fmt: skip


WIDTHS = st.sampled_from((1, 4, 16))
CAPACITIES = st.sampled_from((64, 128, 256, 512, 1024, None))
FORMATS = st.sampled_from(("dense", "bitmap", "bitmap", "csr", "run_length"))


@st.composite
def machines(draw, names=tuple(HIERARCHIES)):
    levels = HIERARCHIES[draw(st.sampled_from(names))]
    keys = {}
    for name, _, holds in levels:
        keys[name] = {
            "width_bytes_per_cycle": draw(WIDTHS), "latency_cycles": draw(st.sampled_from((0, 3))),
            "capacity_bytes": None if name == "dram" else draw(CAPACITIES), "banks": draw(st.sampled_from((1, 2, 4))),
            "format": "dense" if holds == "results" or name == "scratch" else draw(FORMATS),
        }  # fmt: skip
        if name == "dram":
            keys[name]["duplex"] = draw(st.sampled_from(("half", "half", "full")))
        else:
            keys[name]["bank_cycles"] = draw(st.sampled_from((1, 2)))
            keys[name]["fill_bytes_per_cycle"] = draw(st.sampled_from((None, 2, 16)))
    keys["node"] = {
        "mapping.window_order": draw(st.sampled_from(("npq", "nqp"))),
        "mapping.step_order": draw(st.sampled_from(("rsc", "crs"))),
        "tiles": draw(st.sampled_from((1, 2, 2))), **SMALL,
    }  # fmt: skip
    return architecture_of(levels, draw(st.sampled_from(("none", "rows", "columns", "sparser"))), keys)


def product_layer(layer: OracleLayer) -> swatsim.Layer:
    return swatsim.Layer.from_arrays(
        "layer", kind=layer.kind, input=layer.input, weight=layer.weight, output_grad=layer.output_grad,
        stride=layer.stride, padding=layer.padding, groups=layer.groups,
    )  # fmt: skip


@settings(max_examples=settings().max_examples * 2 // 3, phases=NO_SHRINKING)
@given(
    layer=small_layers(), architecture=machines(), name=st.sampled_from(("forward", "input_grad", "weight_grad")),
    dense=st.booleans(),
)  # fmt: skip
def test_the_choice_is_the_best_of_all_mappings(layer, architecture, name, dense):
    each = Pass(architecture, layer, product_layer(layer), name, dense=dense)
    # Of more than eight rounds of two vectors not every size of block is tried.
    assume(max(len(side.vectors[0]) for side in each.whole[0][0]) <= 16)
    mappings = by_parts(each)
    event(f"numbers of parts: {len(mappings)}, fits: {any(mappings)}, uncut: {bool(mappings[0])}")
    try:
        simulated(architecture, each.product, name, "cycles")
    except MappingError as error:
        assert re.fullmatch(
            rf"layer: {name}(?: \(skipping off\))?: memory\.\w+\.capacity_bytes: "
            r"got \d+, expected at least \d+ for .*",
            str(error),
        )
        # A report has the dense machine beside the other one: both must fit.
        other = Pass(architecture, layer, each.product, name, dense=not dense)
        assert not any(mappings) or not any(by_parts(other))
        return
    assert any(mappings)
    for objective in OBJECTIVES:
        check(each, objective, mappings)


@settings(max_examples=settings().max_examples // 4, phases=NO_SHRINKING)
@given(layer=small_layers(strided=True), architecture=machines(("published", "one buffer")), dense=st.booleans())
def test_phases_keep_the_gradient_where_that_is_better(layer, architecture, dense):
    """Each phase for itself, or all with the gradient on chip: whichever moves less off chip."""
    each = Pass(architecture, layer, product_layer(layer), "input_grad", dense=dense)
    numbers = range(len(each.whole[0]))
    assume(max(len(side.vectors[0]) for pair in each.whole[0] for side in pair) <= 16)
    apart = [each.outcomes(number, [each.whole[0][number]]) for number in numbers]
    assume(all(apart))
    try:
        row = simulated(architecture, each.product, "input_grad", "dram_bytes")
    except MappingError:
        assume(False)
    together, present = [], set()
    for number in numbers if len(numbers) > 1 else ():
        together.append(each.outcomes(number, [each.whole[0][number]], present=frozenset(present)))
        present |= each.whole[0][number][1].all_touched()
    best = [sum(min(outcome.dram_bytes for outcome in found) for found in apart)]
    if together and all(together):
        best.append(sum(min(outcome.dram_bytes for outcome in found) for found in together))
    found = counts(row, dense=dense)["dram_bytes"]
    kept = len(best) > 1 and best[1] < best[0]
    event(f"phases: {len(numbers)}, kept: {kept}")
    # Phases that are not kept together may have their reductions cut, where that saves bytes.
    assert found <= min(best)
    if min(best) <= sum(each.near(number, "dram_bytes") for number in numbers) or kept:
        assert found == min(best) or not kept


@pytest.mark.parametrize("capacity", [96, 128, 192, 256, 512])
def test_a_level_of_the_node_keeps_what_all_tiles_need(capacity):
    """Both tiles' vectors have to fit in it, not those of the busiest tile alone."""
    keys = {
        name: {"width_bytes_per_cycle": 16, "latency_cycles": 0, "capacity_bytes": None, "banks": 1, "format": "dense"}
        for name, _, _ in HIERARCHIES["two on the way"]
    }
    keys["near"]["capacity_bytes"] = capacity
    keys["column_file"]["capacity_bytes"] = keys["row_file"]["capacity_bytes"] = 32
    keys["node"] = {"mapping.window_order": "npq", "mapping.step_order": "rsc", "tiles": 2, **SMALL}
    architecture = architecture_of(HIERARCHIES["two on the way"], "none", keys)
    ones = np.ones((1, 10, 2, 3), dtype=np.int64)
    layer = OracleLayer(
        kind="conv2d", input=ones, weight=np.ones((6, 10, 1, 1), dtype=np.int64), output_grad=ones[:, :6]
    )
    each = Pass(architecture, layer, product_layer(layer), "forward", dense=False)
    for objective in OBJECTIVES:
        check(each, objective, by_parts(each))


def test_parts_are_scheduled_only_once_something_fits(monkeypatch):
    asked = {"deal_part": [], "schedule_part": []}
    for name, calls in asked.items():
        own = getattr(mapper, name)

        def counted(part, ways, architecture, own=own, calls=calls):
            calls.append(part.rows.offset.size)
            return own(part, ways, architecture)

        monkeypatch.setattr(mapper, name, counted)
    random = np.random.default_rng(0)
    layer = swatsim.Layer.from_arrays(
        "conv", input=random.random((64, 4, 16, 16)) < 0.5, weight=random.random((4, 4, 1, 1)) < 0.5,
        output_grad=random.random((64, 4, 16, 16)) < 0.5,
    )  # fmt: skip
    machine = swatsim.load_architecture("sparten", overrides={"memory.buffer.capacity_bytes": 32768})
    swatsim.simulate(machine, swatsim.Trace("one", [layer]), passes=("weight_grad",), workers=1)
    assert max(asked["schedule_part"]) < max(asked["deal_part"])


@pytest.mark.parametrize(
    ("kind", "stride", "expected"),
    [("conv2d", (2, 1), {"input_grad"}), ("conv2d", (1, 1), set()), ("conv_transpose2d", (1, 2), {"forward"})],
)
def test_results_of_a_strided_gradient_are_scattered(kind, stride, expected, monkeypatch):
    """Those of one of its phases are no neighbours; a transposed convolution is one in its forward pass."""
    found = set()

    def spy(work, hierarchy, objective):
        assert work.name.endswith(" (skipping off)") == work.dense
        if work.scattered:
            found.add(work.name.split()[1])
        return mapper.map_pass(work, hierarchy, objective)

    monkeypatch.setattr(layer_plans, "map_pass", spy)
    small, large = np.ones((1, 2, 3, 3)), np.ones((1, 2, *(2 * step + 1 for step in stride)))
    ends = (large, small) if kind == "conv2d" else (small, large)
    layer = swatsim.Layer.from_arrays(
        "layer", kind=kind, input=ends[0], weight=np.ones((2, 2, 1, 1)), output_grad=ends[1], stride=stride
    )
    architecture = swatsim.load_architecture("dadiannao-dense")
    plans = layer_plans.plan_layer(layer_plans.Node.of(architecture, {}, "cycles"), layer, layer.computed)
    assert found == expected
    assert plans.sizes.computed == set(layer.computed)


@pytest.mark.parametrize("machine", ["dadiannao-dense", "sparten"])
def test_energy_that_no_mapping_goes_below_is_of_one_way(machine, monkeypatch):
    """A tenth above all bits at all levels, and the multiplications of the fastest split of the tiles."""
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((1, 4, 2, 2)), weight=np.ones((8, 4, 1, 1)), output_grad=np.ones((1, 8, 2, 2))
    )
    architecture = swatsim.load_architecture(machine, overrides={"mapping.tile_split": "best"})
    asked, least = [], mapper._least

    def spy(work, number, held, hierarchy, goal):
        loaded, stored = mapper.compulsory_bytes(work.schedules[number], held, hierarchy)
        found = least(work, number, held, hierarchy, goal)
        asked.append((work, loaded + stored, hierarchy, found))
        return found

    monkeypatch.setattr(mapper, "_least", spy)
    layer_plans.plan_layer(layer_plans.Node.of(architecture, {}, "energy"), layer, ("forward",))
    assert all(len(work.ways(0)) > 1 for work, *_ in asked)
    for _, moved, hierarchy, found in asked:
        bits = 8 * moved * int(hierarchy.bit_energy.sum())
        assert found == int(bits * Fraction(11, 10)) + 4 * 4 * 8 * hierarchy.mac_energy


def test_cycles_that_no_mapping_goes_below_are_of_the_channel(monkeypatch):
    """A tenth above all bytes at the width of the outermost level, where that takes longer than the computation."""
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((1, 64, 2, 2)), weight=np.ones((64, 64, 1, 1)), output_grad=np.ones((1, 64, 2, 2))
    )
    overrides = {"memory.dram.width_bytes_per_cycle": 3, "memory.dram.duplex": "half"}
    architecture = swatsim.load_architecture("dadiannao-dense", overrides=overrides)
    asked, least = [], mapper._least

    def spy(work, number, held, hierarchy, goal):
        moved = sum(mapper.compulsory_bytes(work.schedules[number], held, hierarchy))
        found = least(work, number, held, hierarchy, goal)
        asked.append((work.ways(number)[0].compute_cycles, moved, found))
        return found

    monkeypatch.setattr(mapper, "_least", spy)
    layer_plans.plan_layer(layer_plans.Node.of(architecture, {}, "cycles"), layer, ("forward",))
    assert asked
    for computing, moved, found in asked:
        assert computing < moved // 3
        assert found == int(-(-moved // 3) * Fraction(11, 10))


def test_parts_in_slower_ways_may_take_less_energy(monkeypatch):
    """Whatever is best with one way to choose from is not worse with all of them, be it slow."""
    random = np.random.default_rng(86)
    arrays = (random.random(shape) < 0.5 for shape in ((1, 64, 4, 4), (16, 64, 3, 3), (1, 16, 2, 2)))
    layer = swatsim.Layer.from_arrays("layer", **dict(zip(("input", "weight", "output_grad"), arrays, strict=True)))
    overrides = {"memory.buffer.capacity_bytes": 32768, "mapping.tile_split": "best"}
    architecture, asked = swatsim.load_architecture("sparten", overrides=overrides), []

    def spy(work, hierarchy, objective):
        asked.append((work, hierarchy))
        return mapper.map_pass(work, hierarchy, objective)

    monkeypatch.setattr(layer_plans, "map_pass", spy)
    layer_plans.plan_layer(layer_plans.Node.of(architecture, {}, "energy"), layer, ("input_grad",))
    (dense,) = [each for each in asked if each[0].dense]
    work, hierarchy = dense
    (best,) = mapper.map_pass(work, hierarchy, "energy")
    alone = []
    for way in work.ways(0):
        monkeypatch.setattr(mapper.Work, "ways", lambda *_, way=way: (way,))
        alone += mapper.map_pass(work, hierarchy, "energy")
    scores = [each.score(mapper.ENERGY) for each in alone]
    assert best.score(mapper.ENERGY) == min(scores)
    # That way is none of the fast ones, and its reduction is cut.
    assert len(best.arena.pieces.schedules) > 1
    assert min(each.choice.cycles for each in alone) < best.choice.cycles


def test_blocks_are_kept_beside_nothing_else():
    """Of an operand that is not there yet, a level has to have room for its blocks and not a byte more or less."""
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((1, 4, 1, 1)), weight=np.ones((2, 4, 1, 1)), output_grad=np.ones((1, 2, 1, 1))
    )
    keys = {
        name: {"width_bytes_per_cycle": 16, "latency_cycles": 0, "capacity_bytes": None, "banks": 1, "format": "dense"}
        for name, _, _ in HIERARCHIES["one buffer"]
    }
    keys["node"] = {"mapping.window_order": "npq", "mapping.step_order": "rsc", "tiles": 1, **SMALL}
    # Two rows of four values, one column of four and two results, each of two bytes.
    for capacity, fits_there in ((28, True), (27, False)):
        keys["buffer"]["capacity_bytes"] = capacity
        architecture = architecture_of(HIERARCHIES["one buffer"], "none", keys)
        with nullcontext() if fits_there else pytest.raises(MappingError, match="expected at least 28 for"):
            assert simulated(architecture, layer, "forward", "cycles").cycles > 0
