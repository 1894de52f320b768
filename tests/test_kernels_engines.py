"""The kernels of the load, compute and store engines, against a simulation by events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_cases import blocks_of, machines, timing_of, works
from twins import Engines

from swatsim.kernels.engines import Spans, occupied_cycles, run_blocks, served, surely_within

CAUSES = ("conflict", "refresh", "latency")
MACHINE = {
    "levels": [{"width": 0, "fill_width": 0, "banks": 1, "bank_cycles": 1, "refresh": (0, 0)}] * 2,
    "latency": {"load": 0, "start": 0, "store": 0},
    "full_duplex": False,
}


def run(blocks, machine, credit=0):
    """What the kernel finds: (cycles, rest), spans and stalls by cause."""
    levels = len(machine["levels"])
    spans, stalls = Spans.empty(len(blocks)), np.zeros(levels + 3, dtype=np.int64)
    spans.table[:] = 10**6 + np.arange(spans.table.size).reshape(spans.table.shape)  # what was there is nobody's
    cycles, *rest = run_blocks(blocks_of(blocks, levels - 1).table, credit, timing_of(machine), spans.table, stalls)
    named = dict(zip((*range(levels), *CAUSES), stalls.tolist(), strict=True))
    return int(cycles), tuple(map(int, rest)), spans, {cause: count for cause, count in named.items() if count}


def block(own=0, compute=0, store=0, **changes):
    """A block on a machine of two levels that waits for what it loads."""
    found = {"own": own, "own_level": 0, "ahead": 0, "waits": own > 0, "compute": compute, "store": store}
    return found | {"busy": [(0, 0, 0)]} | changes


@given(machines(), st.data())
def test_run_blocks(machine, data):
    """Cycles, rest, every span and arrival, and every cause of a stall."""
    blocks = data.draw(works(len(machine["levels"])))
    credit = data.draw(st.integers(0, blocks[0]["own"])) if blocks else 0
    twin = Engines(blocks, machine, credit)
    expected = twin.run()
    cycles, rest, spans, stalls = run(blocks, machine, credit)
    assert cycles == expected
    assert stalls == {cause: count for cause, count in twin.stalls.items() if count}
    assert sum(stalls.values()) == cycles - sum(each["compute"] for each in blocks)
    assert rest[0] <= rest[1]
    assert twin.rest() == rest or (rest[0] == rest[1] and twin.rest()[0] >= twin.rest()[1])
    for number in range(len(blocks)):
        assert spans.arrived[number] == twin.happened.get(("arrived", number), 0)
        assert tuple(spans.compute[number]) == twin.spans["compute", number]
        loads = [twin.spans[job] for job in (("own", number), ("ahead", number - 1)) if job in twin.spans]
        assert tuple(spans.load[number]) == (loads[0][0], loads[-1][1])
        if blocks[number]["store"]:
            assert tuple(spans.store[number]) == twin.spans["store", number]
        else:
            assert spans.store[number, 0] == spans.store[number, 1]


@given(machines(), st.data())
def test_less_work_and_wider_memory_never_cost_cycles(machine, data):
    blocks = data.draw(works(len(machine["levels"])))
    faster, lighter = data.draw(machines_no_slower(machine)), data.draw(works_no_longer(blocks))
    most = run(blocks, machine)[0]
    assert run(blocks, faster)[0] <= most
    assert run(lighter, machine)[0] <= most
    assert run(blocks, machine | {"full_duplex": True})[0] <= run(blocks, machine | {"full_duplex": False})[0]
    if blocks:
        credit = data.draw(st.integers(0, blocks[0]["own"]))
        assert run(blocks, machine, credit)[0] <= most


@st.composite
def machines_no_slower(draw, machine):
    """The same machine, with some things faster."""
    levels = []
    for level in machine["levels"]:
        period, pause = level["refresh"]
        levels.append({
            "width": level["width"] and draw(st.sampled_from([0, level["width"], level["width"] + 3])),
            "fill_width": level["fill_width"] and draw(st.sampled_from([0, level["fill_width"] + 2])),
            "banks": level["banks"] + draw(st.integers(0, 2)),
            "bank_cycles": draw(st.integers(1, level["bank_cycles"])),
            "refresh": (period, draw(st.integers(0, pause))),
        })  # fmt: skip
    latency = {name: draw(st.integers(0, cycles)) for name, cycles in machine["latency"].items()}
    return {"levels": levels, "latency": latency, "full_duplex": machine["full_duplex"]}


@st.composite
def works_no_longer(draw, blocks):
    """The same blocks, with less of some work."""
    return [
        each
        | {kind: draw(st.sampled_from([each[kind], each[kind] // 2])) for kind in ("own", "ahead", "compute", "store")}
        | {"busy": [tuple(draw(st.integers(0, count)) for count in level) for level in each["busy"]]}
        for each in blocks
    ]


@given(machines(), st.data())
def test_what_is_occupied(machine, data):
    """Each level for the cycles in which it serves alone, the channel for its transfers, the multipliers computing."""
    blocks = data.draw(works(len(machine["levels"])))
    found = np.zeros(len(machine["levels"]) + 1, dtype=np.int64)
    occupied_cycles(blocks_of(blocks, len(machine["levels"]) - 1).table, timing_of(machine), found)
    loads = sum(each["own"] + each["ahead"] for each in blocks)
    stores = sum(each["store"] for each in blocks)
    assert found[0] == (max(loads, stores) if machine["full_duplex"] else loads + stores)
    assert found[-1] == sum(each["compute"] for each in blocks)
    for number, level in enumerate(machine["levels"][1:], start=1):
        alone = machine | {"levels": [MACHINE["levels"][0], level | {"refresh": (0, 0)}], "latency": MACHINE["latency"]}
        only = [block(busy=[each["busy"][number - 1]]) for each in blocks]
        assert found[number] == Engines(only, alone).run()


@pytest.mark.parametrize(
    ("blocks", "expected", "stalls"),
    [
        ([], 0, {}),
        ([block(4, 5, 6)], 4 + 3 + 2 + 5 + 1 + 6 + 3, {0: 10, "latency": 9}),
        # Computation hides every transfer but the first load and the last store.
        ([block(2, 9, 1)] * 3, 2 + 3 + 2 + 27 + 1 + 1 + 3, {0: 3, "latency": 9}),
        # Transfers hide every computation: the channel never rests, but before the last store.
        ([block(9, 1, 9)] * 3, 54 + 3, {0: 35, "latency": 19}),
        # What comes from nowhere still passes the chip.
        ([block(0, 5, 0)] * 2, 2 + 10, {"latency": 2}),
        # A block's share of what a later one needs is loaded behind the next block's own.
        ([block(4, 5), block(4, 5, ahead=0), block(0, 5, waits=True)], 4 + 3 + 2 + 15 + 0, {0: 4, "latency": 5}),
    ],
)
def test_closed_forms(blocks, expected, stalls):
    machine = MACHINE | {"latency": {"load": 3, "start": 2, "store": 1}}
    cycles, _, _, found = run(blocks, machine)
    assert (cycles, found) == (expected, stalls)


def test_products_that_do_not_fit_64_bits_decide_nothing():
    """Four cycles an access, of 2^42: four times its bytes would be 2^64."""
    levels = [MACHINE["levels"][0], MACHINE["levels"][1] | {"width": 1 << 20, "bank_cycles": 4}]
    blocks = [block(compute=1 << 42, busy=[(1 << 62, 0, 0)])]
    assert run(blocks, MACHINE | {"levels": levels})[0] == 1 << 44


@pytest.mark.parametrize(
    ("start", "work", "expected"),
    [(0, 0, 0), (9, 0, 9), (0, 8, 8), (0, 9, 11), (8, 1, 11), (9, 1, 11), (7, 1, 8), (7, 2, 11), (0, 80, 98)],
)
def test_refresh_takes_the_end_of_each_period(start, work, expected):
    assert served(start, work, 10, 2) == expected


@pytest.mark.parametrize(
    ("busy", "changes", "cycles", "expected"),
    [
        # Of 9 cycles 5 are left: a period and two refreshes of 2 may be in them.
        ((20, 0, 0), {}, 9, True),
        ((21, 0, 0), {}, 9, False),
        ((0, 20, 0), {}, 9, True),
        ((0, 21, 0), {}, 9, False),
        ((0, 0, 15), {}, 9, True),
        ((0, 0, 16), {}, 9, False),
        ((21, 0, 99), {"fill_width": 0}, 9, False),
        ((20, 0, 99), {"fill_width": 0}, 9, True),
        ((16, 0, 0), {}, 10, True),  # a refresh more
        ((17, 0, 0), {}, 10, False),
        ((1, 0, 0), {}, 4, False),
        ((4, 0, 0), {"banks": 3}, 5, True),
        ((40, 0, 0), {"refresh": (0, 0)}, 10, True),
        # What is read and written shares the banks, each count rounded up.
        ((6, 6, 0), {"banks": 1}, 9, True),
        ((6, 7, 0), {"banks": 1}, 9, False),
        ((6, 6, 0), {"banks": 3, "bank_cycles": 3}, 9, True),
        ((7, 6, 0), {"banks": 3, "bank_cycles": 3}, 9, False),
        ((99, 99, 99), {"width": 0}, 0, True),
        # Of more cycles products may not fit 64 bits.
        ((1, 0, 0), {"refresh": (0, 0)}, 1 << 40, True),
        ((1, 0, 0), {"refresh": (0, 0)}, (1 << 40) + 1, False),
    ],
)
def test_what_a_level_surely_does_in_time(busy, changes, cycles, expected):
    level = {"width": 4, "fill_width": 3, "banks": 2, "bank_cycles": 1, "refresh": (10, 2)} | changes
    timing = timing_of(MACHINE | {"levels": [MACHINE["levels"][0], level | {"width": 1}, level]})
    table = blocks_of([block(busy=[(10**6, 10**6, 10**6), busy])], 2).table
    assert surely_within(timing.levels, 2, table, 0, cycles) == expected
