"""The search for the best mapping, against all mappings laid out by loops and run by events."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_cases import (
    blocks_of_side,
    computation_of,
    machines,
    mappings,
    plain_blocks,
    plain_computation,
    plain_machine,
    plain_results,
    plain_side,
    timing_of,
)
from twins import Engines, lay_out

import swatsim
from swatsim import mapper
from swatsim.errors import MappingError
from swatsim.kernels.blocks import Blocks, Results
from swatsim.kernels.engines import Timing, served
from swatsim.kernels.search import (
    CYCLES,
    DRAM_BYTES,
    ENERGY,
    LEAST,
    NEAREST,
    Choice,
    Room,
    alternate_cycles,
    candidate_cycles,
    lay_mapping,
    list_candidates,
    result_sizes,
    search,
    stores_of,
    whole_computation,
)
from swatsim.kernels.totals import (
    BLOCK_ROOM,
    BUNDLE_GROUPS,
    COUNT,
    FIRST,
    FIRST_KIND,
    FIRST_LOAD,
    LAST_KIND,
    LEVEL_COLUMNS,
    LOAD_BYTES,
    LOAD_CYCLES,
    LOADED,
    OF_BUNDLE,
    OF_LEVEL,
    OFTEN,
    ONCE,
    ROUNDS_OF_OTHER,
    WRITTEN,
)
from swatsim.layer_plans import Node, plan_layer

OBJECTIVES = ("cycles", "dram_bytes", "energy")
WORST = (1 << 63) - 1
# A case is hundreds of mappings.
FEWER = settings(max_examples=settings().max_examples // 10)


# What else must change with two tiles.
REFITTED = {name: {"datapath.grid": [1, 2]} for name in ("scnn", "ant")}


def searches(machine, overrides, layer, objective="cycles"):
    """What the mapper asks of `search` for the passes of a layer."""
    asked = []

    def spy(*arguments):
        asked.append((*arguments[0], *arguments[1:5]))
        return search(*arguments)

    architecture = swatsim.load_architecture(machine, overrides=overrides)
    with patch.object(mapper, "search", spy):
        try:
            plan_layer(Node.of(architecture, {}, objective), layer, swatsim.passes.PASSES)
        except MappingError:
            assert asked, "what fits nowhere has been looked for"
    return asked


def searched(sides, totals, work, rest, timing, goal):
    """What `search` finds."""
    return search((sides, totals), work, rest, timing, goal, Room.empty(totals, work[1], timing))


@st.composite
def cases(draw):
    """Some of what the mapper asks for small layers on small machines, whose buffers hold a part of the operands."""
    machine = draw(st.sampled_from(swatsim.shipped_architectures()))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups, kernel, stride = draw(st.sampled_from([(1, 1, 1), (1, 3, 1), (1, 3, 2), (2, 1, 1), (4, 3, 1)]))
    channels, filters, size = groups * int(random.integers(1, 7)), groups * int(random.integers(1, 8)), 4
    out = (size + 2 * (kernel // 2) - kernel) // stride + 1
    shapes = {
        "input": (2, channels, size, size), "weight": (filters, channels // groups, kernel, kernel),
        "output_grad": (2, filters, out, out),
    }  # fmt: skip
    layer = swatsim.Layer.from_arrays(
        "layer", **{name: random.random(shape) < draw(st.sampled_from([0.1, 0.6])) for name, shape in shapes.items()},
        stride=stride, padding=kernel // 2, groups=groups,
    )  # fmt: skip
    levels = swatsim.load_architecture(machine).memory.levels
    outermost, *others = levels
    overrides = {
        f"memory.{name}.capacity_bytes": draw(st.sampled_from([400, 2000, None]))
        for name in others
        if name in {"central", "sb", "buffer"}
    }
    overrides |= {f"memory.{outermost}.{key}": draw(values) for key, values in {
        "width_bytes_per_cycle": st.sampled_from([1, 40]), "latency_cycles": st.sampled_from([0, 30]),
        "duplex": st.sampled_from(["half", "full"]),
    }.items()}  # fmt: skip
    overrides |= {"tiles": 2, "tile.rows": draw(st.sampled_from([1, 4]))} | REFITTED.get(machine, {})
    if "central" in levels and draw(st.booleans()):
        overrides["memory.central.holds"] = ["columns"]  # results wait in the tiles
        if "nbout" in levels:
            overrides["memory.nbout.capacity_bytes"] = draw(st.sampled_from([100, 400, None]))
    asked = searches(machine, overrides, layer, draw(st.sampled_from(OBJECTIVES)))
    return [asked[number] for number in random.permutation(len(asked))[:3]]


def row_times_column(totals, cuts):
    """For each of both sides: how its bytes grow with the other side."""
    return [(totals[side], cuts[side], totals[1 - side].often[:, cuts[1 - side]]) for side in range(2)]


def room(sides, totals, cuts, rest):
    """Bytes in one instance of each level: of two blocks, or of the only one; of results likewise, or of all sums."""
    plain = [plain_side(side, total, cut) for side, total, cut in zip(sides, totals, cuts, strict=True)]
    need = [0] * rest.capacity.size
    for total, cut, bundles in zip(totals, cuts, plain, strict=True):
        alone = sum(map(len, bundles)) * rest.parts == 1
        need[total.resident] += int(total.of(BLOCK_ROOM)[cut]) * (1 if alone else 2)
    of_bundles = results_of_bundles(plain, rest.result_in_tiles)
    if rest.parts > 1 and not rest.spilled:
        results = max(map(sum, of_bundles))
    else:
        alone = sum(map(len, of_bundles)) * rest.parts == 1
        results = max(map(max, of_bundles)) * (1 if alone else 2)
    need[rest.result_level] += results * int(rest.result_bytes)
    return need


def results_of_bundles(plain, in_tiles):
    """[bundle][block]: results, of one tile or in all."""
    sizes = "tile_vectors" if in_tiles else "vectors"
    return [
        [row["groups"] * row[sizes] * column[sizes] for row in rows for column in columns]
        for rows, columns in zip(*plain, strict=True)
    ]


def all_mappings(sides, totals, work, rest, timing):
    """{(row cut, column cut, columns outside): (cycles, bytes off chip, energy)} of all mappings that fit."""
    found = {}
    results, compute, machine = plain_results(work[0]), plain_computation(work[1]), plain_machine(timing)
    for cuts in np.ndindex(*(total.table.shape[0] for total in totals)):
        rows, columns = (plain_side(side, total, cut) for side, total, cut in zip(sides, totals, cuts, strict=True))
        if totals[0].of(BUNDLE_GROUPS)[cuts[0]] != totals[1].of(BUNDLE_GROUPS)[cuts[1]]:
            continue
        if rest.whole_columns and (len(columns), len(columns[0])) != (1, 1):
            continue
        need = room(sides, totals, cuts, rest)
        if any(0 <= capacity < size for capacity, size in zip(rest.capacity[1:].tolist(), need[1:], strict=True)):
            continue
        for columns_outside in (False, True)[: 2 if len(rows[0]) > 1 and len(columns[0]) > 1 else 1]:
            blocks, loaded = lay_out(rows, columns, results, compute, columns_outside)
            cycles = Engines(blocks, machine).run()
            sweeps = sweeps_of(loaded, rest.parts, columns_outside)
            found[*cuts, columns_outside] = (cycles, *counts(totals, cuts, sweeps, rest))
    return found


def sweeps_of(loaded, parts, columns_outside):
    """How often all blocks of the rows, and of the columns, are loaded."""
    sides = [{times for (which, *_), times in loaded.items() if which == side} for side in ("outer", "inner")]
    assert all(len(times) == 1 for times in sides)
    outer, inner = (times.pop() // parts for times in sides)
    return (inner, outer) if columns_outside else (outer, inner)


def counts(totals, cuts, sweeps, rest):
    """Bytes off chip, and energy: bits of each level at its price, and multiplications."""
    moved = [0] * rest.capacity.size
    for (total, cut, other), times in zip(row_times_column(totals, cuts), sweeps, strict=True):
        moved[0] += int(total.of(LOAD_BYTES)[cut]) * times
        moved[total.resident] += int(total.of(WRITTEN)[cut]) * times
        for level, direction, often in np.ndindex(total.moved.shape[:3]):
            moved[level + 1] += int(total.moved[level, direction, often, cut]) * int(other[often])
    moved[0] += int(rest.values) * int(sum(rest.stored))
    for (level, _), count in np.ndenumerate(rest.results_moved):
        moved[level + 1] += int(rest.values) * int(count)
    prices = rest.bit_energy.tolist()
    return moved[0], int(rest.mac_energy) + sum(8 * count * price for count, price in zip(moved, prices, strict=True))


def score(choice, goal):
    found = (choice.cycles, choice.dram_bytes, choice.energy)
    return int(found[goal]), int(choice.cycles)


@FEWER
@given(cases())
def test_the_best_of_all_mappings_is_found(asked):
    for sides, totals, work, rest, timing, _ in asked:
        mappings = all_mappings(sides, totals, work, rest, timing)
        for goal, minimized in enumerate((CYCLES, DRAM_BYTES, ENERGY)):
            choice = searched(sides, totals, work, rest, timing, (minimized, WORST, WORST))
            if not mappings:
                assert choice.row_cut == -1
                continue
            best = min((found[goal], found[0]) for found in mappings.values())
            assert score(choice, goal) == best
            place = int(choice.row_cut), int(choice.column_cut), bool(choice.columns_outside)
            assert mappings[place] == (choice.cycles, choice.dram_bytes, choice.energy)
            # What is no better than what there is already is not an answer, what is, is.
            assert searched(sides, totals, work, rest, timing, (minimized, *best)).row_cut == -1
            bound = (best[0], best[1] + 1) if goal else (best[0] + 1, best[0] + 1)
            assert score(searched(sides, totals, work, rest, timing, (minimized, *bound)), goal) == best
            if goal:  # for fewer bytes, or less energy, any cycles are few enough
                assert score(searched(sides, totals, work, rest, timing, (minimized, best[0] + 1, 0)), goal) == best


@FEWER
@given(cases())
def test_bounds_are_below_every_mapping(asked):
    """Exactly the mappings that fit are listed, none with a bound above its cycles, each with its bytes and energy."""
    for sides, totals, work, rest, timing, _ in asked:
        mappings = all_mappings(sides, totals, work, rest, timing)
        room = Room.empty(totals, work[1], timing)
        listed = room.found[: list_candidates(totals, (work[0], rest), timing, (ENERGY, WORST), room)]
        assert {(row, column, bool(outside)) for row, column, outside in listed[:, :3].tolist()} == mappings.keys()
        for row, column, outside, least, dram_bytes, energy, nearest, *_ in listed.tolist():
            cycles, *others = mappings[row, column, bool(outside)]
            assert least <= nearest <= cycles
            assert [dram_bytes, energy] == others


@FEWER
@given(cases(), st.data())
def test_bounds_are_as_near_as_the_sums_allow(asked, data):
    """On machines of which now one part and now another one is the slowest."""
    for _, totals, work, rest, timing, _ in asked:
        room = Room.empty(totals, work[1], timing)
        for number in range(6):
            stores = work[0].store
            # Now and then, stores take no time, or a single cycle each.
            made = work[0]._replace(store=(0 * stores, np.sign(stores), stores)[number % 3])
            results = plain_results(made)
            machine = data.draw(machines(levels=timing.levels.shape[0]))
            for total in totals:
                total.table[:, FIRST_LOAD] *= number < 4  # at last, nothing comes before the first block
            slow = rest._replace(compute=data.draw(st.sampled_from([0, 30, int(rest.compute)])))
            count = list_candidates(totals, (made, slow), timing_of(machine), (ENERGY, WORST), room)
            for row, column, outside, least, _, _, nearest, *others in room.found[:count].tolist():
                lines = [total.table[cut].tolist() for total, cut in zip(totals, (row, column), strict=True)]
                expected = plain_bounds(lines, outside, results, slow, machine)
                assert (least, nearest, *others) == (*expected, 0)


@pytest.mark.parametrize(("full_duplex", "chains"), [(False, 370 + 100 + 2 * 5), (True, 370)])
def test_blocks_that_wait_for_the_block_two_before(full_duplex, chains):
    """Four loads of 200 cycles in all, and 40 for the other side; the second block is loaded after the first one."""
    outer, inner = np.zeros((2, OF_LEVEL), dtype=np.int64)
    outer[[LOADED, LOAD_CYCLES, FIRST_LOAD, OF_BUNDLE]] = 4, 200, 50, 4
    inner[[LOADED, LOAD_CYCLES, FIRST_LOAD, OF_BUNDLE]] = 1, 40, 40, 1
    levels = np.zeros((1, 6), dtype=np.int64)
    timing = Timing(levels, load_latency=7, start_latency=3, store_latency=5, full_duplex=full_duplex)
    # 200 + 40 + 50 + 40 cycles, and four times 7 + 3; then the last store.
    assert alternate_cycles(outer, inner, 4, (4, 100, 30), 0, timing) == chains // 2 + 30 + 5 + 7
    # Half of both where the computation takes longer.
    assert alternate_cycles(outer, inner, 4, (4, 100, 30), 1000, timing) == (chains + 1000) // 2 + 30 + 5 + 7


@FEWER
@given(cases())
def test_what_surely_takes_too_long_is_not_listed(asked):
    """With cycles that are to be beaten: all that may beat them are listed, in the same order, and nothing else."""
    for _, totals, work, rest, timing, _ in asked:
        room = Room.empty(totals, work[1], timing)
        every = room.found[: list_candidates(totals, (work[0], rest), timing, (ENERGY, WORST), room)].copy()
        nearest = sorted(every[:, NEAREST].tolist())
        for most in {*nearest[:: max(1, len(nearest) // 3)], *nearest[:1]}:
            found = room.found[: list_candidates(totals, (work[0], rest), timing, (ENERGY, most), room)]
            kept = [line for line in every.tolist() if line in found.tolist()]
            assert found.tolist() == kept
            assert all(line in kept for line in every.tolist() if line[NEAREST] < most)
            assert all(line[LEAST] < most for line in kept)


@FEWER
@given(cases(), st.integers(0, 2**32 - 1))
def test_cycles_are_counted_up_to_a_bound(asked, seed):
    """At most the candidate's own, and those where they are below the bound."""
    random = np.random.default_rng(seed)
    for sides, totals, work, rest, timing, _ in asked:
        blocks, room = tuple(map(blocks_of_side, sides, totals)), Room.empty(totals, work[1], timing)
        count = list_candidates(totals, (work[0], rest), timing, (ENERGY, WORST), room)
        for candidate in room.found[random.permutation(count)[:4]]:
            cycles = candidate_cycles((blocks, totals), work, timing, candidate, WORST, room)
            assert candidate_cycles((blocks, totals), work, timing, candidate, cycles + 1, room) == cycles
            for bound in (cycles, cycles * 3 // 4, cycles // 3):
                assert bound <= candidate_cycles((blocks, totals), work, timing, candidate, bound, room) <= cycles


@pytest.mark.parametrize(
    ("stored_bytes", "last", "width", "expected"),
    [(100, 5, 4, 25 - 2 * 5), (30, 5, 4, 0), (100, 0, 4, 0), (100, 5, 0, 0), (100, 3, 4, 25 - 2 * 5)],
)
def test_stores_but_for_the_two_largest(stored_bytes, last, width, expected):
    rows, columns = (np.zeros(OF_LEVEL, np.int64) for _ in range(2))
    rows[COUNT], columns[OF_BUNDLE] = 3, 2
    store = np.zeros((2, 1, 1), np.int64)
    store[1] = 5
    results = Results(store, np.zeros_like(store), np.zeros((2, 2, 1, 2), np.int64), np.array([False]))
    level = {"width": width, "fill_width": 0, "banks": 1, "bank_cycles": 1, "refresh": (0, 0)}
    machine = {"levels": [level], "latency": {"load": 0, "start": 0, "store": 0}, "full_duplex": False}
    assert stores_of((rows, columns), results, (stored_bytes, last), timing_of(machine)) == (6, expected, last)


@given(mappings())
def test_compute_cycles_are_those_of_the_slowest_barrier_set(mapping):
    compute = mapping[3]
    assert whole_computation(computation_of(compute)) == np.sum(compute["cycles"], axis=(0, 2, 3)).max()


def plain_bounds(lines, outside, results, rest, machine):
    """(least, nearest, cycles of loads, cycles of draining), of the totals of one cut of each side."""
    (dram, *levels), latency = machine["levels"], machine["latency"]
    rows, columns = lines
    outer, inner = lines[::-1] if outside else lines
    again = {id(side): 1 for side in lines}
    if inner[OF_BUNDLE] > 1:
        # All of the inner side passes by for each block of the outer one.
        again[id(inner)] = outer[OF_BUNDLE]
    loads = sum(side[LOAD_CYCLES] * again[id(side)] for side in lines)
    stored_bytes = int(rest.values * rest.stored[0])
    largest = results["store"][1][rows[FIRST_KIND], columns[FIRST_KIND]]
    last = results["store"][1][rows[LAST_KIND], columns[LAST_KIND]]
    drain = last + latency["store"] + latency["load"] if last else 0
    stores = stored_bytes // dram["width"] if dram["width"] else 0
    moved = max(loads, stores) if machine["full_duplex"] else loads + stores

    computing = with_levels = rest.compute
    for number, level in enumerate(levels):
        if level["width"]:
            read, written, filled = (
                sum(
                    one[field] * other[OFTEN + ROUNDS_OF_OTHER] + one[field + 1] * other[OFTEN + ONCE]
                    for one, other in ((rows, columns), (columns, rows))
                )
                for field in (OF_LEVEL + LEVEL_COLUMNS * number + 2 * direction for direction in range(3))
            )
            computing = max(computing, max(read, written) // level["width"])
            busy = [max(read, written) // level["width"]]
            busy.append((read + written) // level["width"] * level["bank_cycles"] // level["banks"])
            busy += [filled // level["fill_width"]] if level["fill_width"] else []
            with_levels = max(with_levels, served(0, max(busy), *level["refresh"]))
    first = rows[FIRST_LOAD] + columns[FIRST_LOAD]
    around = first + (latency["load"] if first else 0) + latency["start"] + drain
    least = max(around + computing, moved)
    nearest = max(around + with_levels, served(0, moved, *dram["refresh"]))

    # Buffers are double: of the chains of even and of odd blocks the longer one has at least half.
    own, waits = outer[LOAD_CYCLES] + loads - outer[LOAD_CYCLES] * again[id(outer)], outer[LOADED]
    if inner[OF_BUNDLE] > 1:
        own, waits = inner[LOAD_CYCLES] * outer[OF_BUNDLE], inner[LOADED] * outer[OF_BUNDLE]
    count = rows[COUNT] * columns[OF_BUNDLE]
    own += first if count * rest.parts > 1 else 0
    storing = max(stores - 2 * largest, 0) if last else 0
    between = max(count - 2, 0) if last else 0
    loading = own + waits * (latency["load"] + latency["start"])
    chains = storing + between * (latency["store"] + latency["load"])
    other = loading if machine["full_duplex"] else loading + storing + between * latency["store"]
    return least, max(nearest, (with_levels + max(chains, other)) // 2 + drain), loads, drain


@FEWER
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_cuts_decides_nothing(asked, seed):
    random = np.random.default_rng(seed)
    for sides, totals, work, rest, timing, _ in asked:
        pairs = [shuffled(side, total, random) for side, total in zip(sides, totals, strict=True)]
        for goal in range(3):
            one = searched(sides, totals, work, rest, timing, (goal, WORST, WORST))
            other = searched(*zip(*pairs, strict=True), work, rest, timing, (goal, WORST, WORST))
            assert score(one, goal) == score(other, goal)


def shuffled(blocks, totals, random):
    """The same side with its cuts in another order."""
    table = totals.table[random.permutation(totals.table.shape[0])]
    places = np.concatenate([np.arange(first, first + count) for first, count in table[:, [FIRST, COUNT]]])
    table[:, FIRST] = np.cumsum([0, *table[:-1, COUNT]])
    shuffled = blocks._replace(
        filled=np.zeros_like(blocks.filled), table=np.zeros_like(blocks.table),
        loads=np.ascontiguousarray(blocks.loads[:, places]),
    )  # fmt: skip
    return shuffled, totals._replace(table=table)


@FEWER
@given(cases())
def test_blocks_of_every_mapping(asked):
    for sides, totals, work, rest, _, _ in asked:
        results, compute = plain_results(work[0]), plain_computation(work[1])
        for cuts in np.ndindex(*(total.table.shape[0] for total in totals)):
            if totals[0].of(BUNDLE_GROUPS)[cuts[0]] != totals[1].of(BUNDLE_GROUPS)[cuts[1]]:
                continue
            plain = [plain_side(side, total, cut) for side, total, cut in zip(sides, totals, cuts, strict=True)]
            for in_tiles in (False, True):
                of_bundles = results_of_bundles(plain, in_tiles)
                expected = max(map(max, of_bundles)), max(map(sum, of_bundles))
                assert result_sizes(totals, cuts, rest._replace(result_in_tiles=in_tiles)) == expected
            for columns_outside in (False, True):
                choice = Choice(*cuts, columns_outside, 0, 0, 0)
                blocks = Blocks(
                    lay_mapping(tuple(map(blocks_of_side, sides, totals)), totals, work, choice, work[0].in_tiles.size)
                )
                assert plain_blocks(blocks) == lay_out(*plain, results, compute, columns_outside)[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_fits_nowhere_is_not_found(objective):
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((1, 8, 4, 4)), weight=np.ones((8, 8, 1, 1)), output_grad=np.ones((1, 8, 4, 4))
    )
    asked = searches("dadiannao-dense", {"memory.central.capacity_bytes": 1}, layer, objective)
    assert all(searched(*arguments).row_cut == -1 for arguments in asked)


@pytest.mark.parametrize("channels", [1, 8, 40])
def test_of_what_fits_nowhere_the_least_is_asked_for(channels):
    """The message names what the mapping that is the least too large needs."""
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((2, channels, 5, 5)), weight=np.ones((40, channels, 3, 3)),
        output_grad=np.ones((2, 40, 3, 3)),
    )  # fmt: skip
    refused = []

    def spy(arenas, hierarchy):
        measured = list(arenas)
        refused.append((measured, hierarchy, misfit(measured, hierarchy)))
        return refused[-1][2]

    misfit = mapper._misfit
    architecture = swatsim.load_architecture("dadiannao", overrides={
        "memory.central.capacity_bytes": 1, "memory.sb.capacity_bytes": None,
    })  # fmt: skip
    with patch.object(mapper, "_misfit", spy), pytest.raises(MappingError):
        plan_layer(Node.of(architecture, {}, "cycles"), layer, swatsim.passes.PASSES)
    ((arenas, hierarchy, message),) = refused
    place = hierarchy.names.index("central")
    needs = [
        room(arena.sides, arena.totals, cuts, arena.rest)[place]
        for arena in arenas
        for cuts in np.ndindex(*(total.table.shape[0] for total in arena.totals))
        if arena.totals[0].of(BUNDLE_GROUPS)[cuts[0]] == arena.totals[1].of(BUNDLE_GROUPS)[cuts[1]]
    ]
    assert f"memory.central.capacity_bytes: got 1, expected at least {min(needs)} for" in message
    assert min(needs) < max(needs)


@pytest.mark.parametrize("machine", ["scnn", "dadiannao"])
def test_no_work_on_memories_without_limits_has_a_bound_of_no_cycles(machine):
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.zeros((1, 4, 4, 4)), weight=np.zeros((4, 4, 1, 1)), output_grad=np.zeros((1, 4, 4, 4))
    )
    levels = list(swatsim.load_architecture(machine).memory.levels)
    unlimited = {"width_bytes_per_cycle": None, "latency_cycles": 0, "refresh_period_cycles": None, "refresh_cycles": 0}
    overrides = {f"memory.{level}.{key}": value for level in levels for key, value in unlimited.items()}
    found = []
    for sides, totals, work, rest, timing, _ in searches(
        machine, overrides | {f"memory.{levels[0]}.standard": None}, layer
    ):
        room = Room.empty(totals, work[1], timing)
        count = list_candidates(totals, (work[0], rest), timing, (ENERGY, WORST), room)
        fewest = min(cycles for cycles, _, _ in all_mappings(sides, totals, work, rest, timing).values())
        assert room.found[:count, 6].max() <= fewest
        found.append(fewest)
    assert 0 in found
