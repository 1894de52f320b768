"""Streams as they run: blocks by plain loops, cycles by events, and the block size that docs/training_step.md takes."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_cases import plain_blocks, plain_machine
from twins import Engines

import swatsim
from swatsim.errors import MappingError
from swatsim.hierarchy import hierarchy_of
from swatsim.stream_plan import _cycles, plan_stream
from swatsim.streaming import StreamOperation

SIZES = [size << 10 for size in (256, 64, 16, 4, 1)]
PER_CYCLE = 16
# Where columns and results are kept: one level, or each its own.
TOGETHER, APART = "dadiannao-dense", "apart"


@cache
def machine_of(width=40, latency=60, duplex="half", capacity=None, name=TOGETHER, inner_latency=4):
    overrides = {
        "memory.dram.standard": None, "memory.dram.width_bytes_per_cycle": width,
        "memory.dram.latency_cycles": latency, "memory.dram.duplex": duplex,
        "memory.central.capacity_bytes": capacity, "memory.central.width_bytes_per_cycle": 64,
        "memory.central.refresh_cycles": 0, "memory.central.refresh_period_cycles": None,
        "streaming.values_per_cycle": PER_CYCLE,
    }  # fmt: skip
    overrides |= {f"memory.{level}.latency_cycles": inner_latency for level in ("central", "sb", "nbin", "nbout")}
    if name == APART:
        overrides["memory.central.holds"] = ["columns"]
    return hierarchy_of(swatsim.load_architecture(TOGETHER, overrides=overrides), {})


def operation(read=0, written=0, values=0):
    read, written = ({"input": read} if read else {}), ({"output": written} if written else {})
    return StreamOperation(
        name="bn", pass_name="update", nodes=(), values=values, read=read, write=written,
        dense_values=values, dense_read=read, dense_write=written,
    )  # fmt: skip


def shares(total, count):
    return [total * (place + 1) // count - total * place // count for place in range(count)]


def channel(parts, width):
    """One run: each block until its share of all cycles is done."""
    total, done, found = sum(parts), 0, []
    for part in parts:
        before, done = done, done + part
        cycles = -(-total // width)
        found.append(cycles * done // total - cycles * before // total if total else 0)
    return found


def cut(read, written, values, size, width, levels):
    """Blocks of about `size` bytes, as `twins.Engines` takes them."""
    count = min(-(-(read + written) // size), 4096)
    loads, stores = shares(read, count), shares(written, count)
    columns, results = levels
    found = []
    for load, store, own, out, work in zip(
        loads, stores, channel(loads, width), channel(stores, width), shares(values, count), strict=True
    ):
        busy = [[0, 0, 0] for _ in range(4)]
        for level, passing in ((columns, load), (results, store)):
            busy[level - 1][0] += passing
            busy[level - 1][1] += passing
        found.append({
            "own": own, "own_level": 0, "ahead": 0, "waits": own > 0, "compute": -(-work // PER_CYCLE), "store": out,
            "busy": [tuple(row) for row in busy],
        })  # fmt: skip
    return found, max(loads, default=0), max(stores, default=0)


def all_cuts(stream, hierarchy, capacity):
    """[(cycles, blocks)] of the sizes that fit, longest first."""
    width = hierarchy.levels["dram"].width_bytes_per_cycle
    levels = hierarchy.resident("columns"), hierarchy.resident("results")
    found = []
    for size in SIZES:
        blocks, load, store = cut(
            sum(stream.read.values()), sum(stream.write.values()), stream.values, size, width, levels
        )  # fmt: skip
        times = 2 if len(blocks) > 1 else 1
        need = times * (load + store if levels[0] == levels[1] else load)
        if capacity is None or need <= capacity:
            found.append((Engines(blocks, plain_machine(hierarchy.timing)).run(), blocks))
    return found


STREAMS = st.builds(
    operation,
    read=st.one_of(st.just(0), st.integers(0, 30_000), st.integers(0, 150_000)),
    written=st.one_of(st.just(0), st.integers(0, 30_000), st.integers(0, 150_000)),
    values=st.integers(0, 80_000),
).filter(lambda stream: stream.read or stream.write)
MACHINES = {
    "width": st.sampled_from([7, 400]), "latency": st.sampled_from([0, 60, 2000]),
    "duplex": st.sampled_from(["half", "full"]), "capacity": st.sampled_from([None, 1 << 20, 40_000, 2500]),
}  # fmt: skip


@given(STREAMS, st.fixed_dictionaries(MACHINES))
def test_plan_stream(stream, keys):
    """The longest blocks that fit, or shorter ones as long as more blocks save cycles."""
    hierarchy = machine_of(**keys)
    cuts = all_cuts(stream, hierarchy, keys["capacity"])
    blocks = plain_blocks(plan_stream(stream, hierarchy, dense=False).blocks)
    best = cuts[0]
    for cycles, shorter in cuts[1:]:
        if len(shorter) == len(best[1]):
            continue  # the same blocks
        if cycles >= best[0]:
            break
        best = (cycles, shorter)
    assert blocks == best[1]
    assert Engines(blocks, plain_machine(hierarchy.timing)).run() == best[0]


@given(STREAMS, st.sampled_from([7, 400]))
def test_nothing_is_lost(stream, width):
    plan = plan_stream(stream, machine_of(width=width), dense=False)
    read, written = sum(stream.read.values()), sum(stream.write.values())
    assert plan.blocks.own.sum() == -(-read // width)
    assert plan.blocks.store.sum() == -(-written // width)
    assert plan.compute_cycles >= -(-stream.values // PER_CYCLE)
    assert plan.compulsory_bytes == read + written
    assert plan.blocks.busy[:, 0, 0].sum() == plan.blocks.busy[:, 0, 1].sum() == read + written
    assert not plan.first_loads


@pytest.mark.parametrize("name", [TOGETHER, APART])
def test_what_fits_nowhere_is_refused_in_one_line(name):
    """As many bytes as the message asks for are enough, and one less is not."""
    stream = operation(read=50_000, written=20_000, values=1000)
    with pytest.raises(MappingError) as caught:
        plan_stream(stream, machine_of(capacity=1000, name=name), dense=False)
    message = str(caught.value)
    found = re.fullmatch(
        r"bn: update: memory\.central\.capacity_bytes: got 1000, expected at least (\d+) for the shortest blocks, "
        "the next ones beside them",
        message,
    )
    assert found, message
    enough = int(found[1])
    blocks = -(-70_000 // 1024)
    largest = max(shares(50_000, blocks)) + (max(shares(20_000, blocks)) if name == TOGETHER else 0)
    assert enough == 2 * largest
    assert plan_stream(stream, machine_of(capacity=enough, name=name), dense=False).blocks.own.size == blocks
    with pytest.raises(MappingError):
        plan_stream(stream, machine_of(capacity=enough - 1, name=name), dense=False)


def test_a_stream_of_one_block_needs_no_second_buffer():
    stream = operation(read=600, written=400, values=500)
    assert plan_stream(stream, machine_of(capacity=1000), dense=False).blocks.own.size == 1
    with pytest.raises(MappingError, match="got 999, expected at least 1000"):
        plan_stream(stream, machine_of(capacity=999), dense=False)


def test_a_short_stream_is_cut_where_that_is_faster():
    """8192 bytes a cycle each, one way: in 8 blocks only the first load and the last computation are not hidden."""
    stream = operation(read=8192, values=8192 * PER_CYCLE)
    one, eight = 8192 + 8192, 8192 + 1024
    hierarchy = machine_of(width=1, latency=0, inner_latency=0)
    assert [cycles for cycles, _ in all_cuts(stream, hierarchy, None)] == [one, one, one, 8192 + 4096, eight]
    assert plan_stream(stream, hierarchy, dense=False).blocks.own.size == 8


@pytest.mark.parametrize("name", [TOGETHER, APART])
@pytest.mark.parametrize("blocks", [1, 3])
def test_room_beside_the_last_block_is_taken(name, blocks):
    """While its last block is worked on, it is there, and results of two blocks may still have to leave."""
    hierarchy = machine_of(name=name, latency=0, capacity=3000 if blocks > 1 else None)
    plan = plan_stream(operation(read=600 * blocks, written=400 * blocks, values=1), hierarchy, dense=False)
    assert plan.blocks.own.size == blocks
    expected = [0] * 5
    expected[hierarchy.resident("columns")] += 600
    expected[hierarchy.resident("results")] += 400 * min(blocks, 2)
    assert plan.room_bytes.tolist() == expected


@pytest.mark.parametrize("cycles", [0, 7, (1 << 42) - 1])
def test_cycles_are_shared_out_by_bytes_to_the_last_one(cycles):
    """Also where bytes times cycles do not fit 64 bits."""
    block_bytes = [1 << 40, 3 << 39, 1 << 39]
    done = [cycles * sum(block_bytes[:number]) // sum(block_bytes) for number in range(4)]
    assert _cycles(np.array(block_bytes), cycles).tolist() == [b - a for a, b in pairwise(done)]
