"""Passes one after another: prefetch against a plain twin, and what every timeline of a real step promises."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import randoms
from memory_cases import blocks_of, machines, timing_of, works
from twins import Engines, serve, walk

import swatsim
from swatsim.plan import FirstLoad, Plan
from swatsim.report.timeline_checks import check_timeline
from swatsim.timeline import Scheduled, _prefetchable, place_passes

TRACE = Path(__file__).parent.parent / "traces" / "smallcnn"
LEVELS = ("dram", "central", "sb", "nbin", "nbout")
NAMES = dict(enumerate(LEVELS))
TENSORS = ("input", "weight", "output")


def hierarchy(machine, capacities, overlap):
    """What is asked of a hierarchy; -1 is unlimited."""
    return SimpleNamespace(
        names=LEVELS, timing=timing_of(machine), architecture=SimpleNamespace(mapping=SimpleNamespace(overlap=overlap)),
        capacity=np.array([-1 if capacity is None else capacity for capacity in capacities]),
    )  # fmt: skip


@st.composite
def steps(draw):
    """Passes as dicts: blocks, first loads [(tensor, cycles, level, room)], tensors made before, room at the end."""
    random = draw(randoms())
    found = []
    for _ in range(draw(st.integers(1, 4))):
        blocks = draw(works(len(LEVELS), most=4))
        if blocks:
            # What is loaded ahead is for a block that waits.
            blocks[-1]["waits"], blocks[max(0, len(blocks) - 2)]["ahead"] = True, 0
        first = blocks[0]["own"] if blocks else 0
        share = int(random.integers(0, first + 1))
        tensors = random.permutation(TENSORS)[:2].tolist()
        loads = [
            (tensor, cycles, int(random.integers(1, 3)), int(random.integers(0, 9)))
            for tensor, cycles in zip(tensors, (share, first - share), strict=True)
        ]
        found.append({
            "blocks": blocks, "loads": loads, "made": {tensor for tensor in TENSORS if random.random() < 0.7},
            "room": random.integers(0, 5, len(LEVELS)).tolist(),
        })  # fmt: skip
    return found


CAPACITIES = st.tuples(st.none(), *[st.sampled_from([1, 8, 14, None])] * 4)


def scheduled(step):
    """The product's form of a step."""
    found = []
    for number, each in enumerate(step):
        plan = Plan(
            blocks=blocks_of(each["blocks"], len(LEVELS) - 1), runs=(len(each["blocks"]),),
            moved={}, compulsory_bytes=0, multiplications=0,
            mapping="",
            first_loads=tuple(
                FirstLoad(tensor=tensor, cycles=cycles, level=level, room_bytes=room)
                for tensor, cycles, level, room in each["loads"]
            ),
            room_bytes=np.array(each["room"], dtype=np.int64),
        )  # fmt: skip
        found.append(
            Scheduled(layer=f"layer{number}", pass_name="forward", plan=plan, made_before=frozenset(each["made"]))
        )
    return found


def plain_places(step, machine, capacities, prefetch):
    """[pass]: (start, cycles, stalls, (start and end of what was loaded ahead))."""
    found, start = [], 0
    rest, room = (0, 0), [0] * len(LEVELS)
    length = 0
    refresh = machine["levels"][0]["refresh"]
    for each in step:
        wanted = 0
        for tensor, cycles, level, size in each["loads"]:
            capacity = capacities[level]
            if tensor in each["made"] and (capacity is None or room[level] + size <= capacity):
                room[level] += size
                wanted += cycles
        # The channel refreshes there too.
        credit = 0
        while prefetch and credit < wanted and walk(rest[0], credit + 1, refresh)[0] <= rest[1]:
            credit += 1
        engines = Engines(each["blocks"], machine, credit)
        cycles = engines.run()
        ahead = (rest[0] - length, walk(rest[0], credit, refresh)[0] - length) if credit else (0, 0)
        found.append((start, cycles, {cause: count for cause, count in engines.stalls.items() if count}, ahead))
        start += cycles
        rest, room, length = engines.rest(), list(each["room"]), cycles
    return found


def test_a_load_that_finds_no_room_leaves_it_to_the_next():
    loads = [FirstLoad(tensor="input", cycles=3, level=1, room_bytes=9)]
    loads += [FirstLoad(tensor="weight", cycles=cycles, level=1, room_bytes=4) for cycles in (5, 7, 11)]
    each = SimpleNamespace(plan=SimpleNamespace(first_loads=loads), made_before={"input", "weight"})
    given = SimpleNamespace(capacity=np.array([-1, 8]))
    assert _prefetchable(each, np.array([0, 0]), given) == 5 + 7
    assert _prefetchable(each, np.array([0, 1]), given) == 5
    each.made_before = {"input"}
    assert _prefetchable(each, np.array([0, 0]), given) == 0


def placed(step, machine, capacities, overlap):
    return list(place_passes(scheduled(step), hierarchy(machine, capacities, overlap)))


@given(machines(levels=len(LEVELS)), steps(), CAPACITIES, st.sampled_from(["none", "prefetch"]))
def test_place_passes(machine, step, capacities, overlap):
    passes = placed(step, machine, capacities, overlap)
    expected = plain_places(step, machine, capacities, overlap == "prefetch")
    assert len(passes) == len(expected)
    for each, (start, cycles, stalls, ahead) in zip(passes, expected, strict=True):
        assert (each.start_cycle, each.cycles, each.ahead) == (start, cycles, ahead)
        assert each.stalls == {NAMES.get(cause, cause): count for cause, count in stalls.items()}
    check_timeline(passes, duplex="full" if machine["full_duplex"] else "half")


@given(machines(levels=len(LEVELS)), steps(), CAPACITIES)
def test_prefetch_never_costs_cycles(machine, step, capacities):
    apart, ahead = (placed(step, machine, capacities, overlap) for overlap in ("none", "prefetch"))
    assert [each.cycles for each in apart] == [Engines(each["blocks"], machine).run() for each in step]
    assert all(each.ahead == (0, 0) and each.prefetched_cycles == 0 for each in apart)
    for without, with_it in zip(apart, ahead, strict=True):
        assert with_it.cycles <= without.cycles
        if not any(pause for level in machine["levels"] for pause in level["refresh"]):
            # No more is gained than was done before.
            assert without.cycles - with_it.cycles <= with_it.prefetched_cycles + machine["latency"]["load"]
        assert with_it.compute_cycles == without.compute_cycles


@given(machines(levels=len(LEVELS)), works(len(LEVELS)))
def test_bound_by_what_is_occupied_longest(machine, blocks):
    (each,) = placed([{"blocks": blocks, "loads": [], "made": set(), "room": [0] * 5}], machine, [None] * 5, "none")
    loads, stores = (sum(block[kind] for block in blocks for kind in kinds) for kinds in (("own", "ahead"), ("store",)))
    occupied = {
        "compute": sum(block["compute"] for block in blocks),
        "dram": max(loads, stores) if machine["full_duplex"] else loads + stores,
    }
    for number, name in enumerate(LEVELS[1:]):
        occupied[name] = sum(serve(machine["levels"][number + 1], block["busy"][number])[0] for block in blocks)
    assert occupied[each.bound_by] == max(occupied.values())


def test_a_first_load_under_the_pass_before():
    """Computation of 20 cycles hides a load of 8 but for what the channel still has to do, and room must be there."""
    machine = {
        "levels": [{"width": 0, "fill_width": 0, "banks": 1, "bank_cycles": 1, "refresh": (0, 0)}] * 5,
        "latency": {"load": 2, "start": 0, "store": 0}, "full_duplex": False,
    }  # fmt: skip
    block = {"own": 8, "own_level": 0, "ahead": 0, "waits": True, "compute": 20, "store": 5, "busy": [(0, 0, 0)] * 4}
    one = {"blocks": [block], "loads": [("weight", 8, 2, 6)], "made": {"weight"}, "room": [0, 0, 6, 0, 0]}
    cycles = 8 + 2 + 20 + 5 + 2
    first, second = placed([one, one], machine, (None, 1, 12, 1, 1), "prefetch")
    assert (first.cycles, second.cycles) == (cycles, cycles - 8 - 2)
    assert (second.start_cycle, second.ahead) == (cycles, (8 - cycles, 16 - cycles))
    for changed, capacity in ((one | {"made": {"input"}}, 12), (one, 11)):
        assert placed([one, changed], machine, (None, 1, capacity, 1, 1), "prefetch")[1].cycles == cycles


@pytest.mark.parametrize("overlap", ["none", "prefetch"])
@pytest.mark.parametrize("machine", swatsim.shipped_architectures())
def test_the_timeline_of_a_real_step(machine, overlap):
    architecture = swatsim.load_architecture(machine, overrides={"mapping.overlap": overlap})
    report = swatsim.simulate(architecture, swatsim.load_trace(TRACE), keep_timeline=True)
    levels = architecture.memory.levels
    check_timeline(report.timeline, duplex=levels[architecture.memory.outermost].duplex)
    assert any(each.prefetched_cycles for each in report.timeline) == (overlap == "prefetch")
    rows = {(row.layer, row.pass_name): row for row in report.records}
    for each in report.timeline:
        row = rows[each.layer, each.pass_name]
        assert (row.cycles, row.compute_cycles) == (each.cycles, each.compute_cycles)
        assert row.stall_cycles == sum(each.stalls.values())
        assert each.stalls.keys() <= {*levels, "conflict", "refresh", "latency"}
