"""swatsim's counts are those of the oracle, which computes the convolution and its gradients to get them.

Memory costs nothing here, so that the mapper has no reason to take anything but the fewest compute cycles.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle import Machine, run_layer
from oracle_cases import FEATURES, close_calls, contested, layers, machines, overrides, uneven_work
from oracle_vectors import PASS_OPERANDS, OracleLayer

import swatsim

# A case is a whole simulation, and an execution of all of its multiplications.
FEWER = settings(max_examples=settings().max_examples // 3)
COUNTS = ("compute_cycles", "dense_compute_cycles", "ideal_cycles", "macs", "effectual_macs")


def product_layer(layer: OracleLayer) -> swatsim.Layer:
    return swatsim.Layer.from_arrays(
        "layer", kind=layer.kind, input=layer.input, weight=layer.weight, output_grad=layer.output_grad,
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
        needs_input_grad=layer.needs_input_grad, operands=layer.operands,
    )  # fmt: skip


def rows_of(layer: OracleLayer, architecture: swatsim.Architecture) -> dict[str, Any]:
    """The product's row of each pass of the layer."""
    report = swatsim.simulate(architecture, swatsim.Trace("t", [product_layer(layer)]))
    return {row.pass_name: row.as_dict() for row in report.layer_records}


def architecture_of(machine: Machine) -> swatsim.Architecture:
    return load_with_free_memory("dadiannao", overrides(machine))


def machine_of(architecture: swatsim.Architecture) -> Machine:
    """What of a shipped architecture decides its cycles."""
    datapath, mapping = architecture.datapath, architecture.mapping
    keys = (
        "skip", "reach", "moves", "order", "lane_order", "chunk_steps", "empty_chunk_cycles", "n", "m", "lockstep",
        "barrier", "barrier_tiles", "decouple_depth", "balance",
    )  # fmt: skip
    return Machine(
        tiles=architecture.tiles,
        **{key: getattr(architecture.tile, key) for key in ("rows", "columns", "lanes")},
        **{key: getattr(datapath, key) for key in keys},
        **{
            key: getattr(mapping, key)
            for key in ("tile_split", "flatten", "step_order", "window_order", "lane_channels")
        },
    )


def assert_counts_agree(rows: dict[str, Any], layer: OracleLayer, machine: Machine, *, multiply: bool = True) -> None:
    expected = run_layer(layer, machine, multiply=multiply)
    found = {name: {count: int(row[count]) for count in COUNTS} for name, row in rows.items()}
    assert found == {name: {count: getattr(each, count) for count in COUNTS} for name, each in expected.items()}
    for name, row in rows.items():
        lost = {key: int(row[key]) for key in row if key.startswith("lost_")}
        assert len(lost) == 5
        assert min(lost.values()) >= 0
        assert sum(lost.values()) == row["compute_cycles"] - row["ideal_cycles"], lost
        if multiply and row["compute_cycles"] < row["dense_compute_cycles"]:
            assert row["multiplications"] == expected[name].multiplications, name
    for name, row in found.items():
        assert row["ideal_cycles"] <= row["compute_cycles"] <= row["dense_compute_cycles"], name
    for name, row in rows.items():
        assert (row["cycles"], row["dense_cycles"]) == (row["compute_cycles"], row["dense_compute_cycles"]), name


@FEWER
@given(layer=layers(), machine=machines())
def test_counts_are_those_of_the_executed_schedule(layer, machine):
    event(f"{layer.kind}, {machine.skip}, {machine.reach}")
    assert_counts_agree(rows_of(layer, architecture_of(machine)), layer, machine)


@FEWER
@given(case=close_calls())
def test_operand_with_more_zeros_is_scheduled(case):
    layer, machine = case
    assert_counts_agree(rows_of(layer, architecture_of(machine)), layer, machine)


@FEWER
@given(case=contested())
def test_lanes_choose_as_in_the_oracle(case):
    layer, machine = case
    assert_counts_agree(rows_of(layer, architecture_of(machine)), layer, machine)


@pytest.mark.parametrize("feature", FEATURES)
@settings(max_examples=settings().max_examples // 10)
@given(data=st.data())
def test_counts_of_each_feature(feature, data):
    layer, machine = data.draw(uneven_work(feature))
    assert_counts_agree(rows_of(layer, architecture_of(machine)), layer, machine)


def test_two_moves_to_one_place_are_two_candidates():
    """With four lanes, -1 and 3 aside are the same lane; counted once, another lane would choose first: 4 cycles."""
    row = [letter == "x" for step in (".x.x", ".xx.", ".x.x", "x...", "...x", ".xx.") for letter in step]
    layer = OracleLayer(
        kind="linear", input=np.ones((1, 24), int), weight=np.array([row]).astype(int), output_grad=np.ones((1, 1), int)
    )
    machine = Machine(rows=1, columns=1, lanes=4, skip="rows", order="most_candidates")
    rows = rows_of(layer, architecture_of(machine))
    assert rows["forward"]["compute_cycles"] == 3
    assert_counts_agree(rows, layer, machine)


def test_a_set_without_a_unit_has_ended_its_segment_at_once():
    """Found by `python -m benchmarks.differential --seed 8`: the second tile has no column in a pass's last round."""
    layer = OracleLayer(
        kind="linear", input=np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1], [1, 0, 0], [1, 1, 1]]),
        weight=np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]),
        output_grad=np.array([[0, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]),
    )  # fmt: skip
    machine = Machine(
        tiles=2, rows=1, columns=2, lanes=1, skip="both", reach="crossbar", chunk_steps=1, lockstep="row",
        barrier="buffer", barrier_tiles=1, decouple_depth=1, tile_split="columns",
    )  # fmt: skip
    rows = rows_of(layer, architecture_of(machine))
    assert rows["input_grad"]["compute_cycles"] == 3
    assert_counts_agree(rows, layer, machine)


def sparse(seed: int, shape: tuple[int, ...], density: float) -> np.ndarray:
    """Values of both signs; channels (or filters) differ in how many are zero, as trained ones do."""
    random = np.random.default_rng(seed)
    by_channel = random.beta(2, 2, (1, shape[1], *(1,) * (len(shape) - 2))) * 2 * density
    return random.integers(1, 8, shape) * random.choice([-1, 1], shape) * (random.random(shape) < by_channel)


# Layers of the networks that people run, small: kind, input, weight, output, stride, padding, groups.
REAL_LAYERS = {
    "first 7x7": ("conv2d", (2, 3, 18, 18), (20, 3, 7, 7), (2, 20, 9, 9), (2, 2), (3, 3, 3, 3), 1),
    "3x3 stride 2": ("conv2d", (2, 24, 10, 10), (36, 24, 3, 3), (2, 36, 5, 5), (2, 2), (1, 1, 1, 1), 1),
    "1x1 stride 2": ("conv2d", (1, 40, 9, 9), (70, 40, 1, 1), (1, 70, 5, 5), (2, 2), (0, 0, 0, 0), 1),
    "depthwise": ("conv2d", (1, 19, 8, 8), (19, 1, 3, 3), (1, 19, 8, 8), (1, 1), (1, 1, 1, 1), 19),
    "grouped": ("conv2d", (1, 40, 7, 7), (40, 20, 3, 3), (1, 40, 7, 7), (1, 1), (1, 1, 1, 1), 2),
    "linear": ("linear", (8, 130), (50, 130), (8, 50), (1, 1), (0, 0, 0, 0), 1),
    "upsampling": ("conv_transpose2d", (1, 20, 5, 5), (20, 18, 4, 4), (1, 18, 10, 10), (2, 2), (1, 1, 1, 1), 1),
}


INNER_PRODUCTS = [
    name for name in swatsim.shipped_architectures() if swatsim.load_architecture(name).datapath.kind == "lanes"
]


@pytest.mark.parametrize("name", REAL_LAYERS)
@pytest.mark.parametrize("shipped", INNER_PRODUCTS)
def test_shipped_architectures(shipped, name):
    kind, x, w, y, stride, padding, groups = REAL_LAYERS[name]
    layer = OracleLayer(
        kind=kind, input=sparse(1, x, 0.5), weight=sparse(2, w, 0.2), output_grad=sparse(3, y, 0.4),
        stride=stride, padding=padding, groups=groups,
    )  # fmt: skip
    architecture = load_with_free_memory(shipped)
    assert_counts_agree(rows_of(layer, architecture), layer, machine_of(architecture), multiply=False)


# ---------------------------------------------------------------------------------------------------- closed forms

FULL = {
    "kind": "conv2d", "input": np.ones((2, 32, 9, 9), int), "weight": np.ones((24, 32, 2, 2), int),
    "output_grad": np.ones((2, 24, 8, 8), int),
}  # fmt: skip


@pytest.mark.parametrize("skip", ["rows", "columns", "sparser"])
@pytest.mark.parametrize("reach", ["moves", "crossbar"])
def test_all_ones_take_the_dense_cycles(skip, reach):
    """Without padding, with full lanes: forward has 2·8·8 windows, 24 filters and 2·2·2 steps of 16 channels."""
    machine = Machine(tiles=2, skip=skip, reach=reach)
    if reach == "crossbar":
        machine = Machine(tiles=2, skip=skip, reach=reach, moves=(), lockstep="row", barrier="chunk", chunk_steps=3)
    row = rows_of(OracleLayer(**FULL), architecture_of(machine))["forward"]
    cycles = math.ceil(128 / 4) * math.ceil(24 / (4 * 2)) * 8
    assert (row["compute_cycles"], row["dense_compute_cycles"], row["ideal_cycles"]) == (cycles, cycles, cycles)


@pytest.mark.parametrize("lookahead", [1, 2, 3])
def test_all_zeros_take_the_steps_that_cannot_be_dropped(lookahead):
    """Each tile has 3 rounds of its rows against 32 of the columns, 8 steps each; one in lookahead + 1 is kept."""
    machine = Machine(tiles=2, skip="rows", moves=((lookahead, 0),))
    layer = OracleLayer(**FULL | {"weight": np.zeros((24, 32, 2, 2), int)})
    row = rows_of(layer, architecture_of(machine))["forward"]
    assert row["compute_cycles"] == 3 * 32 * 8 // (lookahead + 1)
    assert row["ideal_cycles"] == row["effectual_macs"] == 0


def test_all_zeros_cost_a_crossbar_nothing():
    machine = Machine(skip="rows", reach="crossbar", lockstep="row", barrier="chunk", chunk_steps=3)
    layer = OracleLayer(**FULL | {"weight": np.zeros((24, 32, 2, 2), int)})
    assert rows_of(layer, architecture_of(machine))["forward"]["compute_cycles"] == 0


def test_totals_are_sums():
    """Two layers, one without an input gradient."""
    first = swatsim.Layer.from_arrays(
        "first", **{key: FULL[key] for key in ("input", "weight", "output_grad")}, needs_input_grad=False
    )
    second = swatsim.Layer.from_arrays("second", **{key: FULL[key] for key in ("input", "weight", "output_grad")})
    rows = swatsim.simulate(architecture_of(Machine()), swatsim.Trace("t", [first, second])).rows
    own, totals = (
        rows[rows["pass"].isin(PASS_OPERANDS) & (rows["layer"] != "total")],
        rows[rows["layer"] == "total"].set_index("pass"),
    )
    assert list(zip(own["layer"], own["pass"], strict=True)) == [
        ("first", "forward"), ("first", "weight_grad"),
        ("second", "forward"), ("second", "input_grad"), ("second", "weight_grad"),
    ]  # fmt: skip
    for name in ("compute_cycles", "dense_compute_cycles", "macs", "effectual_macs"):
        for pass_name, sums in own.groupby("pass")[name]:
            assert totals.loc[pass_name, name] == sums.sum()
        assert totals.loc["backward", name] == own[own["pass"] != "forward"][name].sum()
