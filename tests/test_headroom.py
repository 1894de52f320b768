"""The largest layers that the format admits: counted right in 64 bits, or refused."""

from __future__ import annotations

import re
from math import isqrt, prod

import numpy as np
import pytest

import swatsim
from swatsim.bits import BitTensor
from swatsim.headroom import LARGEST_COUNT, check_energy, check_layer
from swatsim.hierarchy import hierarchy_of
from swatsim.layer import LARGEST_DIMENSION, Layer, LayerSpec, Operand, PassOperands
from swatsim.moves import Move
from swatsim.passes import OPERANDS
from swatsim.plan import Plan
from swatsim.trace.records import LARGEST_LAYER_ELEMENTS, LARGEST_TENSOR_ELEMENTS

SIDE = isqrt(LARGEST_LAYER_ELEMENTS // 3)


def linear(positions, channels, filters):
    """The shapes of a linear layer."""
    return LayerSpec(
        name="large", kind="linear", input_shape=(positions, channels), weight_shape=(filters, channels),
        output_shape=(positions, filters),
    )  # fmt: skip


def full(spec):
    """The layer without zeros: its tensors take no memory."""
    ones = {role: BitTensor(shape=spec.shape_of(role), packed=None) for role in ("input", "weight", "output_grad")}
    passes = {
        name: PassOperands(operands={role: Operand(bits=ones[role]) for role in OPERANDS[name]}) for name in spec.passes
    }
    return Layer(spec=spec, passes=passes)


# A kernel that is as large as the image, in both of which every element is admitted.
WIDEST = LayerSpec(
    name="widest", kind="conv2d", input_shape=(1, 1, 1 << 15, 1 << 15), output_shape=(1, 1, 1 << 15, 1 << 15),
    weight_shape=(1, 1, (1 << 15) - 1, (1 << 15) - 1), padding=((1 << 14) - 1,) * 4,
)  # fmt: skip


def test_the_largest_linear_layer_is_not_refused():
    """43 bits of multiplications: every shipped machine counts them."""
    spec = linear(SIDE, SIDE, SIDE)
    assert 3 * prod(spec.input_shape) <= LARGEST_LAYER_ELEMENTS
    assert prod(spec.input_shape) <= LARGEST_TENSOR_ELEMENTS
    for name in swatsim.shipped_architectures():
        check_layer(spec, hierarchy_of(swatsim.load_architecture(name), None))


def test_the_largest_convolution_is_refused():
    with pytest.raises(swatsim.SwatsimError) as raised:
        swatsim.simulate(swatsim.load_architecture("dadiannao"), swatsim.Trace("t", [full(WIDEST)]), workers=1)
    assert re.match(r"widest: got \d{19} multiplications, expected at most \d+, of which cycles on", str(raised.value))


def test_an_input_gradient_may_have_more_multiplications_than_its_forward_pass():
    """A kernel as large as the image, without padding: one window, but as many in the gradient as the image has."""
    spec = LayerSpec(
        name="one window", kind="conv2d", input_shape=(1, 1, 1024, 1024), output_shape=(1, 1, 1, 1),
        weight_shape=(1, 1, 1024, 1024),
    )  # fmt: skip
    energy = {"energy.mac_pj": 1e6, "energy.mac_low_pj": 1e6, "energy.mac_high_pj": 1e6}
    architecture = swatsim.load_architecture("dadiannao", overrides=energy)
    with pytest.raises(swatsim.SwatsimError, match=rf"^one window: got {1 << 40} multiplications, expected at most"):
        check_layer(spec, hierarchy_of(architecture, None))


def test_a_large_layer_takes_the_cycles_of_the_closed_form():
    """Cycles and bytes of a product of 2^36 multiplications."""
    spec = linear(1 << 12, 1 << 12, 1 << 12)
    report = swatsim.simulate(
        swatsim.load_architecture("dadiannao-dense"), swatsim.Trace("t", [full(spec)]), passes=["forward"], workers=1
    )
    (row,) = report.layer_records
    assert row.macs == 1 << 36
    assert row.dense_compute_cycles == row.compute_cycles == (1 << 36) // 4096
    moved = {name: count for name, count in row.as_dict().items() if name.endswith("_bytes")}
    assert moved
    assert all(count >= 0 for count in moved.values())
    assert row.cycles >= row.compute_cycles > 0


def test_energy_that_does_not_fit_is_refused():
    machine = swatsim.load_architecture("dadiannao", overrides={"energy.mac_pj": 1e6, "energy.mac_high_pj": 1e6})
    with pytest.raises(swatsim.SwatsimError, match="multiplications, expected at most"):
        check_layer(linear(SIDE, SIDE, SIDE), hierarchy_of(machine, None))


def test_the_energy_of_a_mapping_is_counted_without_end(monkeypatch):
    hierarchy = hierarchy_of(swatsim.load_architecture("dadiannao"), None)
    outermost = hierarchy.names[0]
    most = LARGEST_COUNT // (8 * int(hierarchy.bit_energy[0]))
    plan = object.__new__(Plan)
    for name, value in (("multiplications", 0), ("moved", {Move(outermost, "read", "input"): most})):
        object.__setattr__(plan, name, value)
    check_energy("layer: forward", plan, hierarchy)
    plan.moved[Move(outermost, "read", "weight")] = np.int64(most)
    with pytest.raises(swatsim.SwatsimError, match=r"^layer: forward: got \d{19} femtojoules, expected at most"):
        check_energy("layer: forward", plan, hierarchy)


def test_dimensions_fit_32_bits():
    with pytest.raises(swatsim.SwatsimError, match=rf"expected integers from 1 to {LARGEST_DIMENSION - 1}"):
        linear(10**12, 1, 1)
