"""The plans of a layer's passes: what layers share, what a report says was skipped, and the ends of an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swatsim import Layer, load_architecture
from swatsim.kernels.blocks import COMPUTE, Blocks
from swatsim.layer_plans import LayerPlans, Node, plan_layer
from swatsim.passes import OPERANDS
from swatsim.sampling import Estimate

PASSES = tuple(OPERANDS)


def layer(name: str, *, filters: int = 4, channels: int = 20, stride: int = 1, seed: int = 0) -> Layer:
    random = np.random.default_rng(seed)
    side = 6 // stride
    input, weight, output_grad = (
        random.random(shape) < density
        for shape, density in (
            ((2, channels, 6, 6), 0.6), ((filters, channels, 3, 3), 0.3), ((2, filters, side, side), 0.5),
        )
    )  # fmt: skip
    return Layer.from_arrays(
        name, input=input, weight=weight, output_grad=output_grad, stride=stride, padding=(1, 2 - stride) * 2
    )


def planned(machine: str, layers: list[Layer], **overrides: object) -> list[LayerPlans]:
    node = Node.of(load_architecture(machine, overrides=overrides), {}, "cycles")
    return [plan_layer(node, each, PASSES) for each in layers]


def test_layers_share_the_dense_plans_of_their_shape_alone():
    layers = [
        layer("a"), layer("b", filters=40), layer("c", channels=90), layer("d", stride=2), layer("a again", seed=1),
    ]  # fmt: skip
    together = planned("dadiannao", layers)
    for found, each in zip(together, layers, strict=True):
        (alone,) = planned("dadiannao", [each])
        for of_both, of_one in zip(found.passes, alone.passes, strict=True):
            assert of_both.dense.mapping == of_one.dense.mapping
            assert np.array_equal(of_both.dense.table, of_one.dense.table)
    for first, last in zip(together[0].passes, together[-1].passes, strict=True):
        assert first.dense is last.dense
        assert not np.array_equal(first.actual.table, last.actual.table)


# At eight filters and twenty channels neither operand is so dense that the machine turns to its dense schedule.
@pytest.mark.parametrize(("machine", "skipped"), [
    ("dadiannao-dense", ["none", "none", "none"]),
    ("cnvlutin", ["input", "output_grad", "input"]),
    ("cambricon-x", ["weight", "weight", "output_grad"]),
    ("sparten", ["input+weight", "output_grad+weight", "input+output_grad"]),
])  # fmt: skip
def test_what_is_skipped_is_said(machine, skipped):
    (plans,) = planned(machine, [layer("layer", filters=64, channels=64)])
    assert [each.scheduled for each in plans.passes] == skipped


@pytest.fixture(scope="module")
def plans() -> LayerPlans:
    return planned("dadiannao", [layer("layer")])[0]


@given(cycles=st.lists(st.integers(0, 1000), min_size=1, max_size=9), relative=st.floats(0, 3))
def test_the_ends_of_an_interval_are_spread_over_the_blocks(plans, cycles, relative):
    table = np.zeros((len(cycles), 8), dtype=np.int64)
    table[:, COMPUTE] = cycles
    half_width = relative * sum(cycles)
    whole = replace(
        plans.passes[0], actual=replace(plans.passes[0].actual, blocks=Blocks(table)),
        error=Estimate(bias=half_width),
    )  # fmt: skip
    assert whole.bound(0) is whole.actual
    for end in (-1, 1):
        found = whole.bound(end).table[:, COMPUTE]
        assert found.min() >= 0
        assert abs(found.sum() - max(0, sum(cycles) + end * half_width)) <= 0.5
        assert np.all(np.abs(np.cumsum(found) - np.cumsum(cycles) * max(0, 1 + end * relative)) <= 0.5 + 1e-6)
