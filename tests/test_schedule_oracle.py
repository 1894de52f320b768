"""swatsim's counts are those of the oracle, which computes the convolution and its gradients to get them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import swatsim
from hypothesis import event, example, given
from oracle import Machine, run_layer
from oracle_cases import layers, machines, overrides
from oracle_vectors import OracleLayer

COUNTS = ("compute_cycles", "dense_compute_cycles", "ideal_cycles", "macs", "effectual_macs")


def rows_of(layer: OracleLayer, machine: Machine) -> dict[str, Any]:
    """The product's row of each pass of the layer."""
    architecture = swatsim.load_architecture("dadiannao", overrides=overrides(machine))
    spec = swatsim.Layer.from_arrays(
        "layer", kind=layer.kind, input=layer.input, weight=layer.weight, output_grad=layer.output_grad,
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
        needs_input_grad=layer.needs_input_grad, operands=layer.operands,
    )  # fmt: skip
    rows = swatsim.simulate(architecture, swatsim.Trace("t", [spec])).rows
    return {row["pass"]: row for _, row in rows[rows["layer"] == "layer"].iterrows()}


def assert_counts_agree(layer: OracleLayer, machine: Machine) -> None:
    rows = rows_of(layer, machine)
    expected = run_layer(layer, machine)
    assert list(rows) == list(expected)
    found = {name: {count: int(row[count]) for count in COUNTS} for name, row in rows.items()}
    assert found == {name: {count: getattr(each, count) for count in COUNTS} for name, each in expected.items()}
    for name, row in found.items():
        assert row["ideal_cycles"] <= row["compute_cycles"] <= row["dense_compute_cycles"], name


@given(layer=layers(), machine=machines())
def test_counts_are_those_of_the_executed_schedule(layer, machine):
    event(f"{layer.kind}, {machine.skip}, {machine.reach}")
    assert_counts_agree(layer, machine)
