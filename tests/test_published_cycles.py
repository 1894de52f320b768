"""Cycle counts that an independent simulator gives for exactly described layers, by the shipped architectures.

It models no memory: here memory costs no time, so that the mapper has nothing but compute cycles to choose by.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from free_memory import load_with_free_memory
from oracle_cases import (
    BIT_TACTICAL_FORWARD,
    DADIANNAO_FORWARD,
    DEPARTURES,
    PUBLISHED_LAYERS,
    PUBLISHED_NONZEROS,
    TENSORDASH_PASSES,
    TENSORDASH_WIDE_PASSES,
)

import swatsim

PASSES = ("forward", "input_grad", "weight_grad")
AS_PUBLISHED = {"mapping.tile_split": "rows", "mapping.flatten": "never"}


@functools.cache
def layer(name: str) -> swatsim.Layer:
    published = PUBLISHED_LAYERS[name]
    values, weight, gradient = published.tensors()
    return swatsim.Layer.from_arrays(
        name, input=values, weight=weight, output_grad=gradient, stride=published.stride, padding=published.padding
    )


def simulated(architecture: str, name: str, **overrides: Any) -> dict[str, Any]:
    """The row of each pass."""
    keys = AS_PUBLISHED | {key.replace("__", "."): value for key, value in overrides.items()}
    machine = load_with_free_memory(architecture, keys)
    rows = swatsim.simulate(machine, swatsim.Trace("published", [layer(name)])).rows
    return {row["pass"]: row for _, row in rows[rows["layer"] == name].iterrows()}


def ours_and_published(tile: str, name: str, pass_name: str, published: int) -> int:
    """What swatsim must count: the published number, or its own where it departs with a reason."""
    departure = DEPARTURES.get((tile, name, pass_name))
    if departure is None:
        return published
    assert departure.published == published
    assert departure.ours < published, departure.reason
    return departure.ours


@pytest.mark.parametrize(("name", "nonzeros"), PUBLISHED_NONZEROS.items())
def test_layers_are_the_published_ones(name, nonzeros):
    assert tuple(np.count_nonzero(tensor) for tensor in PUBLISHED_LAYERS[name].tensors()) == nonzeros
    operands = layer(name).passes
    found = (
        operands["forward"].operands["input"].bits.nonzeros,
        operands["forward"].operands["weight"].bits.nonzeros,
        operands["weight_grad"].operands["output_grad"].bits.nonzeros,
    )
    assert found == nonzeros


@pytest.mark.parametrize(("name", "cycles"), DADIANNAO_FORWARD.items())
def test_dadiannao(name, cycles):
    forward = simulated("dadiannao-dense", name)["forward"]
    assert (forward["compute_cycles"], forward["dense_compute_cycles"]) == (cycles, cycles)


@pytest.mark.parametrize(("name", "cycles"), BIT_TACTICAL_FORWARD.items())
def test_bit_tactical(name, cycles):
    forward = simulated("bit-tactical", name)["forward"]
    assert (forward["compute_cycles"], forward["dense_compute_cycles"]) == (cycles, DADIANNAO_FORWARD[name])


@pytest.mark.parametrize(("name", "published"), TENSORDASH_PASSES.items())
def test_tensordash(name, published):
    rows = simulated("tensordash", name, tiles=1)
    for pass_name, (cycles, dense) in zip(PASSES, published, strict=True):
        found = (rows[pass_name]["compute_cycles"], rows[pass_name]["dense_compute_cycles"])
        assert found == (ours_and_published("4x4", name, pass_name, cycles), dense), pass_name


def better_orientation(name: str, pass_name: str, rows: int, columns: int) -> int:
    """Dense cycles on one tile that may swap its sides, where rows, columns and reduction follow from the shapes."""
    shape = PUBLISHED_LAYERS[name]
    outputs = (shape.size + 2 * shape.padding - shape.kernel) // shape.stride + 1
    taps = shape.kernel**2
    sides = {
        "forward": (shape.filters, outputs**2, taps * math.ceil(shape.channels / 16)),
        "weight_grad": (shape.filters, taps * shape.channels, math.ceil(outputs**2 / 16)),
        # Each tap belongs to one phase, and the positions of each phase are as many here as the outputs.
        "input_grad": (shape.channels, outputs**2, taps * math.ceil(shape.filters / 16)),
    }
    high, wide, steps = sides[pass_name]
    orientations = ((high, wide), (wide, high))
    return min(math.ceil(first / rows) * math.ceil(second / columns) for first, second in orientations) * steps


@pytest.mark.parametrize(("name", "published"), TENSORDASH_WIDE_PASSES.items())
def test_tensordash_with_16_columns(name, published):
    rows = simulated("tensordash", name, tiles=1, tile__columns=16)
    for pass_name, cycles in zip(PASSES, published, strict=True):
        found = (rows[pass_name]["compute_cycles"], rows[pass_name]["dense_compute_cycles"])
        expected = ours_and_published("4x16", name, pass_name, cycles)
        assert found == (expected, better_orientation(name, pass_name, 4, 16)), pass_name


@pytest.mark.parametrize(("tile", "columns"), [("4x4", 4), ("4x16", 16)])
def test_departure_is_the_weights_that_the_reference_leaves_unscheduled(tile, columns):
    """The published number is the dense machine's: swatsim gives it too, as soon as it may not schedule anything."""
    departure = DEPARTURES[tile, "S2", "input_grad"]
    ours = simulated("tensordash", "S2", tiles=1, tile__columns=columns)["input_grad"]
    assert ours["compute_cycles"] == departure.ours, departure.reason
    assert ours["dense_compute_cycles"] == departure.published, departure.reason
    nonzeros = dict(zip(("input", "weight", "output_grad"), PUBLISHED_NONZEROS["S2"], strict=True))
    shape = PUBLISHED_LAYERS["S2"]
    sizes = {"weight": shape.filters * shape.channels * shape.kernel**2, "output_grad": shape.filters * 8 * 8}
    assert nonzeros["weight"] / sizes["weight"] < nonzeros["output_grad"] / sizes["output_grad"], departure.reason
