"""The systolic array against an array of registers that is stepped cycle by cycle, and SCALE-Sim's published counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import between
from oracle_systolic import Array, run_array, run_pass
from oracle_vectors import OracleLayer
from small_layers import small_layers
from test_schedule_oracle import rows_of

import swatsim

FEWER = settings(max_examples=settings().max_examples // 6)


def load(array: Array) -> swatsim.Architecture:
    return load_with_free_memory("systolic", array.overrides())


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    return Array(
        rows=draw(between(1, 5)), columns=draw(between(1, 5)),
        dataflow=draw(st.sampled_from(("weight_stationary", "output_stationary", "input_stationary"))),
        overlap=draw(st.booleans()), stream_vectors=draw(st.none() | between(1, 20)),
        tiles=draw(st.sampled_from((1, 1, 2, 4))), tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
    )  # fmt: skip


@FEWER
@given(layer=small_layers(), array=arrays())
def test_counts_are_those_of_the_stepped_array(layer, array):
    """All three passes; `run_pass` compares the values that leave the array with the definition."""
    for name, row in rows_of(layer, load(array)).items():
        expected = run_pass(layer, name, array)
        assert int(row["compute_cycles"]) == int(row["dense_compute_cycles"]) == expected.cycles, name
        assert int(row["macs"]) == expected.macs
        assert row["ideal_cycles"] == math.ceil(expected.macs / (array.tiles * array.rows * array.columns))
        assert row["ideal_cycles"] <= row["compute_cycles"]
    event(array.dataflow)


def convolution(
    channels: int, size: int, filters: int, kernel: int, stride: int, padding: tuple[int, ...]
) -> OracleLayer:
    outputs = (size + padding[0] + padding[1] - kernel) // stride + 1
    shapes = ((1, channels, size, size), (filters, channels, kernel, kernel), (1, filters, outputs, outputs))
    values = (np.ones(shape, np.int64) for shape in shapes)
    return OracleLayer(
        kind="conv2d", **dict(zip(("input", "weight", "output_grad"), values, strict=True)),
        stride=(stride, stride), padding=padding, needs_input_grad=False,
    )  # fmt: skip


# SCALE-Sim prints the number of the last cycle, counted from 0. Its conv1 has outputs of 113 x 113: it pads 224 to 230
# and rounds (230 - 7 + 2) / 2 up.
SCALE_SIM = {
    "conv1": (convolution(3, 224, 64, 7, 2, (3, 4, 3, 4)), 38_876),
    "res3": (convolution(128, 28, 128, 3, 1, (1, 1, 1, 1)), 35_063),
    "res4": (convolution(1024, 14, 256, 1, 1, (0, 0, 0, 0)), 24_703),
}


@pytest.mark.parametrize("name", SCALE_SIM)
def test_cycles_of_scale_sim(name):
    layer, published = SCALE_SIM[name]
    row = rows_of(layer, load(Array(rows=64, columns=64)))["forward"]
    assert int(row["compute_cycles"]) - 1 == published


def linear(rows: int, columns: int, elements: int) -> OracleLayer:
    return OracleLayer(
        kind="linear", input=np.ones((columns, elements), np.int64), weight=np.ones((rows, elements), np.int64),
        output_grad=np.ones((columns, rows), np.int64),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "cycles"),
    [
        # Two folds of 3 elements and 2 filters: 3 to load, 7 to stream, 3 + 2 - 2 of skew.
        ({}, 2 * (3 + 7 + 3)),
        ({"overlap": True}, 3 + 2 * 7 + 3),
        ({"overlap": True, "stream_vectors": 2}, 3 + 2 + 5 * (1 + 2) + (1 + 1) + (2 + 1) + 3),
        ({"stream_vectors": 4}, 2 * (3 + 4 + 3) + 2 * (3 + 3 + 3)),
        # One fold of 2 windows at a time: 4 of them, and 2 filters stream.
        ({"dataflow": "input_stationary"}, 4 * 2 * (3 + 2 + 3)),
        # Filters on the 3 rows, 2 of 7 windows on the columns; 6 elements, 3 + 2 - 2 of skew, 3 to leave.
        ({"dataflow": "output_stationary"}, 4 * (6 + 3 + 3)),
        ({"dataflow": "output_stationary", "overlap": True}, 4 * 6 + 3 + 3),
        ({"tiles": 2, "tile_split": "columns"}, 2 * (3 + 4 + 3)),
        ({"tiles": 2, "tile_split": "rows"}, 2 * (3 + 7 + 3)),
    ],
)
def test_cycles_by_hand(keys, cycles):
    array = Array(rows=3, columns=2, **keys)
    assert int(rows_of(linear(2, 7, 6), load(array))["forward"]["compute_cycles"]) == cycles


def test_lanes_are_refused():
    with pytest.raises(swatsim.SwatsimError, match=r"tile\.lanes: got 2, expected 1 .*one multiplier"):
        swatsim.load_architecture("systolic", overrides={"tile.lanes": 2})


# ---------------------------------------------------------------------------------------------------- it can fail


@pytest.mark.parametrize("broken", ["load", "skew", "weight"])
def test_oracle_notices(broken: str, monkeypatch: Any):
    """A value that comes a cycle early, or to the wrong neighbour, makes another result or is caught in the act."""
    rows, columns = np.arange(1, 13).reshape(1, 2, 6), np.arange(1, 31).reshape(1, 5, 6)
    array = Array(rows=3, columns=2, broken=broken)
    with pytest.raises(AssertionError):
        run_array(rows, columns, array, (1, 1))
