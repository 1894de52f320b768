"""Sizes of operands in the outermost memory: those of encodings, in the order in which each pass reads."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
import twins_step
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms
from stored_layers import stored_sizes

import swatsim
from swatsim.contraction import contract
from swatsim.hierarchy import hierarchy_of
from swatsim.layer import Layer
from swatsim.sides import Order
from swatsim.stored import DENSE_COPY

FORMATS = ("dense", "bitmap", "csr", "csc", "run_length", "zfnaf")
OWN = st.dictionaries(st.sampled_from(("input", "weight", "output")), st.sampled_from(FORMATS))
# kind, shapes of input, weight and output, and the rest.
SHAPES = (
    ("conv2d", (2, 4, 3, 5), (6, 4, 3, 2), (2, 6, 3, 4), {"padding": (1, 1, 0, 0)}),
    ("conv2d", (1, 4, 4, 3), (6, 2, 1, 1), (1, 6, 2, 2), {"stride": 2, "groups": 2}),
    ("conv2d", (2, 20, 2, 3), (20, 1, 1, 1), (2, 20, 2, 3), {"groups": 20}),
    ("conv1d", (3, 2, 7), (5, 2, 3), (3, 5, 5), {}),
    ("linear", (3, 2, 18), (4, 18), (3, 2, 4), {}),
    ("linear", (5,), (3, 5), (3,), {}),
    ("conv_transpose2d", (2, 4, 2, 3), (4, 3, 2, 2), (2, 6, 4, 6), {"stride": 2, "groups": 2}),
    ("conv_transpose1d", (2, 3, 4), (3, 5, 2), (2, 5, 5), {}),
)


@st.composite
def layers(draw):
    """A layer of any kind, each operand of each pass with bits of its own; some are all ones."""
    random = draw(randoms())
    kind, before, weight, after, options = draw(st.sampled_from(SHAPES))
    shapes = {"input": before, "weight": weight, "output_grad": after}

    def bits(role):
        return random.random(shapes[role]) < draw(st.one_of(DENSITIES, st.just(1.0)))

    passes = {"forward": ("input", "weight"), "input_grad": ("output_grad", "weight")}
    passes["weight_grad"] = ("output_grad", "input")
    operands = {name: {role: bits(role) for role in roles} for name, roles in passes.items()}
    needs = draw(st.booleans())
    return Layer.from_arrays(
        "a", **{role: np.ones(shape) for role, shape in shapes.items()}, kind=kind, needs_input_grad=needs,
        operands={name: given for name, given in operands.items() if needs or name != "input_grad"}, **options,
    )  # fmt: skip


@functools.cache
def machine(format_name="bitmap", window_order="npq", value_bytes=2):
    return swatsim.load_architecture("dadiannao", overrides={
        "memory.dram.format": format_name, "mapping.window_order": window_order, "datapath.value_bytes": value_bytes,
    })  # fmt: skip


@pytest.mark.parametrize("window_order", ["npq", "nqp"])
@pytest.mark.parametrize("format_name", FORMATS)
@given(layers(), st.one_of(st.just({}), OWN))
@settings(max_examples=30)
def test_sizes_are_those_of_encodings(format_name, window_order, layer, own):
    architecture = machine(format_name, window_order)
    options = {"format": format_name, "formats": own, "window_order": window_order, "value_bytes": 2}
    sizes = stored_sizes(layer, architecture, own)
    assert set(sizes.copies) == {(name, role) for name in layer.spec.passes for role in layer.passes[name].operands}
    expected = {}
    for (pass_name, role), copy in sizes.copies.items():
        bits = layer.passes[pass_name].operands[role].bits.to_bool()
        expected[pass_name, role] = twins_step.encoded(layer, pass_name, role, (bits, None), options)
        assert copy.stored_bytes == expected[pass_name, role].size
        assert (copy.values, copy.dense_bytes) == (bits.size, 2 * bits.size)
    # The same bytes are one copy, and only those.
    for tensor, readers in twins_step.ROLES.items():
        found = [expected[reader].key for reader in readers if reader in expected]
        assert [copy.stored_bytes for copy in sizes.of(tensor)] == [
            expected[reader].size for number, reader in enumerate(r for r in readers if r in expected)
            if found[number] not in found[:number]
        ]  # fmt: skip
        assert (sizes.second(tensor) is not None) == (len(set(found)) == 2)


FULL = Layer.from_arrays("a", input=np.ones((4, 4)), weight=np.ones((3, 4)), output_grad=np.ones((4, 3)))


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_tensor_without_zeros_is_one_dense_copy_unless_a_format_is_asked_for(format_name):
    sizes = stored_sizes(FULL, machine(format_name), {})
    assert {copy.format for copy in sizes.copies.values()} == {"dense"}
    assert [len(sizes.of(tensor)) for tensor in ("input", "weight", "output")] == [1, 1, 1]
    assert [copy.stored_bytes for copy in sizes.of("output")] == [2 * 12]
    # Of the others nobody has asked for anything; a bitmap of 12 values is one piece of 12 bits, or 3 of 4.
    asked = stored_sizes(FULL, machine(format_name), {"output": "bitmap"})
    assert [copy.stored_bytes for copy in asked.of("output")] == [2 * 12 + 2, 2 * 12 + 3]
    assert [copy.key for tensor in ("input", "weight") for copy in asked.of(tensor)] == [DENSE_COPY, DENSE_COPY]


def test_one_zero_is_stored_in_the_format_of_the_level():
    bits = np.arange(12).reshape(4, 3) != 7
    layer = Layer.from_arrays("a", input=np.ones((4, 4)), weight=np.ones((3, 4)), output_grad=bits)
    sizes = stored_sizes(layer, machine(), {})
    assert [copy.stored_bytes for copy in sizes.of("output")] == [2 * 11 + 2, 2 * 11 + 3]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("kind", "before", "weight", "after", "options"), SHAPES)
def test_no_format_makes_a_tensor_without_zeros_smaller(format_name, kind, before, weight, after, options):
    arrays = {"input": np.ones(before), "weight": np.ones(weight), "output_grad": np.ones(after)}
    layer = Layer.from_arrays("a", **arrays, kind=kind, **options)
    sizes = stored_sizes(layer, machine(), dict.fromkeys(("input", "weight", "output"), format_name))
    assert {copy.format for copy in sizes.copies.values()} == {format_name}
    assert all(copy.stored_bytes >= copy.dense_bytes for copy in sizes.copies.values())


@pytest.mark.parametrize("window_order", ["npq", "nqp"])
@given(layers(), st.sampled_from(FORMATS), OWN)
@settings(max_examples=50)
def test_passes_read_the_formats_that_are_stored(window_order, layer, format_name, own):
    """What the mapper loads is what these sizes are of: no tensor is dense for one and packed for the other."""
    architecture = machine(format_name, window_order)
    hierarchy = hierarchy_of(architecture, own)
    sizes = stored_sizes(layer, architecture, own)
    for (pass_name, role), copy in sizes.copies.items():
        tensor = role.removesuffix("_grad")
        for contraction in contract(layer, pass_name, Order(steps="rsc", windows=window_order)):
            sides = {"rows": contraction.rows, "columns": contraction.columns}
            operand = next(name for name, side in sides.items() if side.role == tensor)
            found = hierarchy.tensor_format(operand, tensor, full=sides[operand].full)
            assert found[architecture.memory.outermost] == copy.format


def test_every_level_stores_a_tensor_without_zeros_dense():
    """A format of its own holds where blocks are kept: off chip, and where they are resident."""
    formats = {"dram": "bitmap", "central": "csc", "nbin": "zfnaf"}
    keys = {f"memory.{level}.format": name for level, name in formats.items()}
    hierarchy = hierarchy_of(swatsim.load_architecture("dadiannao", overrides=keys), {"output": "csr"})
    own = {"dram": "csr", "central": "csr"}
    for full, usual in ((False, formats), (True, dict.fromkeys(formats, "dense"))):
        assert hierarchy.tensor_format("columns", "input", full=full) == usual
        assert hierarchy.tensor_format("columns", "output", full=full) == usual | own
    stored_dense = hierarchy_of(hierarchy.architecture, None)
    assert stored_dense.tensor_format("columns", "output", full=False) == dict.fromkeys(formats, "dense")


def test_formats_of_tensors_and_a_selection():
    layer = Layer.from_arrays(
        "a", input=np.eye(4), weight=np.ones((3, 4)), output_grad=np.ones((4, 3)),
        sparsity={"forward": {"weight": "0.5"}, "weight_grad": {"input": 0}},
    )  # fmt: skip
    sizes = stored_sizes(layer, machine(value_bytes=3), {"weight": "dense"})
    forward, backward = sizes.copies["forward", "weight"], sizes.copies["input_grad", "weight"]
    assert forward.key == backward.key == DENSE_COPY
    assert forward.stored_bytes == forward.dense_bytes == 3 * 12
    assert sizes.second("weight") is None
    # Though both passes read the same bytes, one drops some of them; and a budget of 0 drops none.
    assert (forward.selected, backward.selected) == (True, False)
    assert forward.sparsity == Fraction(1, 2)
    assert (sizes.selected("weight"), sizes.selected("input"), sizes.selected("output")) == (True, False, False)
    # One piece of 16 bits; 4 pieces of 4.
    assert [copy.stored_bytes for copy in sizes.of("input")] == [3 * 4 + 2, 3 * 4 + 4]
    assert (sizes.values_of("input"), sizes.values_of("weight"), sizes.values_of("output")) == (16, 12, 12)


def test_layers_that_cut_a_tensor_differently_have_copies_of_their_own():
    tensor = np.arange(24).reshape(1, 4, 2, 3) % 2
    options = {"input": tensor, "output_grad": np.ones((1, 4, 2, 3))}
    whole = stored_sizes(Layer.from_arrays("a", weight=np.ones((4, 4, 1, 1)), **options), machine(), {})
    again = stored_sizes(Layer.from_arrays("b", weight=np.ones((4, 4, 1, 1)), **options), machine(), {})
    halves = stored_sizes(Layer.from_arrays("c", weight=np.ones((4, 2, 1, 1)), groups=2, **options), machine(), {})
    assert [copy.key for copy in whole.of("input")] == [copy.key for copy in again.of("input")]
    assert whole.of("input")[0].key != halves.of("input")[0].key
    assert whole.of("input")[1].key == halves.of("input")[1].key
