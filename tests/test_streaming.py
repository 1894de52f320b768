"""Streams: they are cut without loss, and every byte passes the chip once each way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

import swatsim
from swatsim.moves import Move
from swatsim.streaming import BLOCK_BYTES, MOST_BLOCKS, Flow, StreamOperation, stream_blocks, stream_moves, stream_sizes

COUNTS = st.one_of(st.integers(0, 50), st.integers(0, 1 << 45))


def operation(**changes):
    fields = {name: {} for name in ("read", "write", "dense_read", "dense_write")}
    return StreamOperation(**{
        "name": "bn", "pass_name": "update", "nodes": (), "values": 0, "dense_values": 0, **fields, **changes,
    })  # fmt: skip


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(BLOCK_BYTES))
def test_blocks_sum_to_the_whole(read, state, write, values, block_bytes):
    whole = operation(values=values, read={"input": read, "state": state}, write={"output": write})
    blocks = stream_blocks(stream_sizes(whole, dense=False), block_bytes)
    parts = (blocks.load_bytes, blocks.values, blocks.store_bytes)
    total = read + state + write
    number = min(-(-total // block_bytes), MOST_BLOCKS)
    for part, count in zip(parts, (read + state, values, write), strict=True):
        assert len(part) == number
        assert sum(part.tolist()) == (count if number else 0)
        if number:
            assert 0 <= min(part.tolist()) <= max(part.tolist()) <= min(part.tolist()) + 1
    if number < MOST_BLOCKS:
        assert all(load + store <= block_bytes + 1 for load, store in zip(parts[0], parts[2], strict=True))


def test_the_dense_machine_has_blocks_and_moves_of_its_own():
    both = operation(values=1, read={"input": 10}, dense_values=9, dense_read={"input": 90}, dense_write={"output": 7})
    turned = replace(both, values=9, read=both.dense_read, write=both.dense_write)
    assert stream_blocks(stream_sizes(both, dense=True), BLOCK_BYTES[0]).values.tolist() == [9]
    assert stream_blocks(stream_sizes(both, dense=True), BLOCK_BYTES[0]).store_bytes.tolist() == [7]
    assert stream_blocks(stream_sizes(both, dense=False), BLOCK_BYTES[0]).load_bytes.tolist() == [10]
    architecture = swatsim.load_architecture("dadiannao")
    assert stream_moves(both, architecture, dense=True) == stream_moves(turned, architecture, dense=False)


def test_bytes_pass_through_the_chip():
    architecture = swatsim.load_architecture("dadiannao")
    stream = operation(read={"input": 3, "state": 4}, write={"output": 5, "state": 6})
    assert stream_moves(stream, architecture, dense=False) == {
        Move("dram", "read", "input"): 3, Move("dram", "read", "state"): 4,
        Move("dram", "write", "output"): 5, Move("dram", "write", "state"): 6,
        Move("central", "write", "input"): 3, Move("central", "read", "input"): 3,
        Move("central", "write", "state"): 10, Move("central", "read", "state"): 10,
        Move("central", "write", "output"): 5, Move("central", "read", "output"): 5,
    }  # fmt: skip


def test_a_flow_adds_up():
    flow = Flow(name="bn", pass_name="update")
    assert flow.operation() is None
    flow.add("read", "state", 0, 0)
    assert flow.operation() is None
    flow.add("read", "input", 3, 12)
    flow.add("read", "input", 4, 16, machines=("dense",))
    flow.add("write", "output", 5, 20, machines=("actual",))
    assert flow.operation() == operation(
        values=5, read={"input": 12}, write={"output": 20}, dense_values=7, dense_read={"input": 28}
    )
