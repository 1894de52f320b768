"""One-dimensional convolutions against elements that walk through the rows value by value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import between
from oracle_row_convolution import Elements, run_pass, runs
from oracle_vectors import OracleLayer
from small_layers import small_layers
from test_schedule_oracle import product_layer, rows_of

import swatsim
from swatsim.contraction import contract
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.way import waiting

FEWER = settings(max_examples=settings().max_examples // 4)


@st.composite
def machines(draw: st.DrawFn) -> Elements:
    return Elements(
        tiles=draw(st.sampled_from((1, 1, 2, 4))), rows=draw(between(1, 3)), columns=draw(between(1, 3)),
        lanes=draw(between(1, 3)), barrier=draw(st.sampled_from(("round", "pass"))),
        tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
        step_order=draw(st.sampled_from(("crs", "rcs"))),
    )  # fmt: skip


@FEWER
@given(layer=small_layers(), machine=machines())
def test_counts_are_those_of_the_walking_elements(layer, machine):
    """All three passes; `run_pass` compares the values with the definition."""
    architecture = load_with_free_memory("sparsetrain", machine.overrides())
    for name, row in rows_of(layer, architecture).items():
        expected = run_pass(layer, name, machine)
        found = (int(row["compute_cycles"]), int(row["dense_compute_cycles"]), int(row["effectual_macs"]))
        assert found == (expected.cycles, expected.dense_cycles, expected.met), name
        assert row["ideal_cycles"] <= row["compute_cycles"] <= row["dense_compute_cycles"]
    event(f"{layer.kind}, barrier {machine.barrier}")


@FEWER
@given(layer=small_layers(), machine=machines(), split=st.sampled_from(("rows", "columns")))
def test_losses_are_those_of_the_walking_elements(layer, machine, split):
    machine = replace(machine, tile_split=split)
    architecture = load_with_free_memory("sparsetrain", machine.overrides())
    for name in ("forward", "input_grad", "weight_grad"):
        contractions = contract(product_layer(layer), name, Order(machine.step_order, "npq"))
        for skip in (True, False):
            expected = [losses_of(run, machine) for run in runs(layer, name, machine, skip=skip)]
            schedules = [schedule(contraction, architecture) for contraction in contractions]
            found = [next(s for s in (*each.actual, *each.dense) if bool(s.way.skips) == skip) for each in schedules]
            assert [each.losses()._asdict() for each in found] == expected, (name, skip)


def losses_of(run, machine):
    """The multipliers that an element at work leaves idle, and what `waiting` says of elements tile by tile."""
    height, width = (count // own for count, own in zip(run.busy.shape, (machine.rows, machine.columns), strict=True))
    tiles = [
        (slice(y * machine.rows, (y + 1) * machine.rows), slice(x * machine.columns, (x + 1) * machine.columns))
        for y in range(height) for x in range(width)
    ]  # fmt: skip
    busy, tasks = (np.array([each[tile].reshape(-1) for tile in tiles]) for each in (run.busy, run.tasks))
    rows, between, barriers = waiting(busy, tasks, run.cycles)
    idle = int(run.busy.sum()) * machine.lanes - run.multiplied
    return {"reach": idle // machine.multipliers, "rows": rows, "tiles": between, "barriers": barriers, "edges": 0}


def test_rows_longer_than_a_word():
    """Rows of 70 values are two words of bits, of which the second one is mostly empty."""
    random = np.random.default_rng(5)
    shapes = ((1, 2, 2, 70), (3, 2, 1, 4), (1, 3, 2, 67))
    tensors = [random.integers(1, 5, shape) * (random.random(shape) < 0.4) for shape in shapes]
    layer = OracleLayer(kind="conv2d", input=tensors[0], weight=tensors[1], output_grad=tensors[2])
    machine = Elements(rows=2, columns=2)
    for name, row in rows_of(layer, load_with_free_memory("sparsetrain", machine.overrides())).items():
        assert int(row["compute_cycles"]) == run_pass(layer, name, machine).cycles


def test_order_of_kernel_rows_and_channels():
    """Elements get other kernel rows with the other order, and the slowest one has other cycles."""
    random = np.random.default_rng(6)
    full = np.array([0.9, 0.1, 0.5])[None, :, None, None] * np.array([1, 0.2, 0.9, 0.3, 1])[:, None]
    x = (random.random((1, 3, 5, 5)) < full).astype(np.int64)
    weight, gradient = np.ones((1, 3, 3, 3), np.int64), np.ones((1, 1, 3, 3), np.int64)
    layer = OracleLayer(kind="conv2d", input=x, weight=weight, output_grad=gradient)
    cycles = {}
    for order in ("crs", "rcs"):
        machine = Elements(columns=2, step_order=order, lanes=1)
        rows = rows_of(layer, load_with_free_memory("sparsetrain", machine.overrides()))
        cycles[order] = int(rows["weight_grad"]["compute_cycles"])
        assert cycles[order] == run_pass(layer, "weight_grad", machine).cycles
    assert cycles["crs"] != cycles["rcs"]


def layer_of(image: list[str], gradient: list[str], kernel: int) -> OracleLayer:
    x, g = (
        np.array([[letter != "." for letter in row] for row in rows]).astype(np.int64) for rows in (image, gradient)
    )
    weight = np.ones((1, 1, 1, kernel), np.int64)
    return OracleLayer(kind="conv2d", input=x[None, None], weight=weight, output_grad=g[None, None])


@pytest.mark.parametrize(
    ("keys", "cycles"),
    [
        # forward: 4 values and 1; input_grad: 2 and 1; weight_grad: 2 gradients, as the last one meets only zeros.
        ({}, {"forward": 5, "input_grad": 3, "weight_grad": 2}),
        # Two of three taps at a time; the first gradient meets three values, the second one two.
        ({"lanes": 2}, {"forward": 10, "input_grad": 6, "weight_grad": 3}),
        ({"columns": 2}, {"forward": 4, "input_grad": 2, "weight_grad": 2}),
    ],
)
def test_cycles_by_hand(keys, cycles):
    layer = layer_of(["xxx.x", "x...."], ["x.x", "..x"], 3)
    machine = load_with_free_memory("sparsetrain", Elements(**keys).overrides())
    assert {name: int(row["compute_cycles"]) for name, row in rows_of(layer, machine).items()} == cycles


@pytest.mark.parametrize(
    ("key", "value"), [("mapping.window_order", "nqp"), ("mapping.step_order", "src"), ("mapping.step_order", "csr")]
)
def test_other_orders_are_refused(key, value):
    with pytest.raises(swatsim.SwatsimError, match=rf"{key}: got '{value}', expected .*side by side"):
        swatsim.load_architecture("sparsetrain", overrides={key: value})
