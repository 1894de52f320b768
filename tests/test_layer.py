"""Layers and their bits: what is accepted, what is refused and how, and the shapes underneath."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swatsim import BitTensor, Layer, LayerSpec
from swatsim.errors import LayerError
from swatsim.layer import PassOperands


def spec(**changes):
    plain = {
        "name": "a",
        "kind": "conv2d",
        "input_shape": (1, 4, 8, 8),
        "weight_shape": (6, 4, 3, 3),
        "output_shape": (1, 6, 6, 6),
    }
    return LayerSpec(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "layer name: got '', expected a name without control characters, and not 'total'"),
        ({"name": "total"}, "layer name: got 'total', expected a name without control characters, and not 'total'"),
        ({"name": "a\nb"}, r"layer name: got 'a\nb', expected a name without control characters, and not 'total'"),
        ({"kind": "conv3d"}, "a: kind: got 'conv3d', expected one of conv1d, conv2d, conv_transpose1d, "),
        ({"stride": (0, 1)}, "a: stride: got (0, 1), expected integers from 1 to 2147483647"),
        ({"padding": (0, 0, 0, -1)}, "a: padding: got (0, 0, 0, -1), expected integers from 0"),
        ({"groups": 0}, "a: groups: got 0, expected an integer from 1"),
        ({"groups": 2}, "a: channels: got input (1, 4, 8, 8), weight (6, 4, 3, 3), output (1, 6, 6, 6), expected "),
        ({"output_shape": (1, 6, 7, 6)}, "a: output_shape: got (7, 6) positions, expected (6, 6)"),
        ({"output_shape": (2, 6, 6, 6)}, "a: output_shape: got 2 images, expected 1"),
        ({"weight_shape": (6, 4, 3)}, "a: weight_shape: got (6, 4, 3), expected 4 dimensions"),
        ({"kind": "linear"}, "a: weight_shape: got (6, 4, 3, 3), expected (outputs, inputs)"),
        (
            {"kind": "linear", "input_shape": (5, 3), "weight_shape": (7, 4), "output_shape": (5, 7)},
            "a: input_shape: got (5, 3), expected 4 features last",
        ),
        (
            {"kind": "linear", "input_shape": (5, 4), "weight_shape": (7, 4), "output_shape": (4, 7)},
            "a: output_shape: got (4, 7), expected (5, 7)",
        ),
        (
            {
                "kind": "linear", "input_shape": (5, 4), "weight_shape": (7, 4), "output_shape": (5, 7),
                "stride": (2, 2),
            },
            "a: stride, padding, dilation, groups: got ((2, 2), (0, 0, 0, 0), (1, 1), 1), expected none of them in a ",
        ),
        (
            {
                "kind": "conv1d", "input_shape": (1, 4, 8), "weight_shape": (6, 4, 3), "output_shape": (1, 6, 6),
                "padding": (1, 1, 0, 0),
            },
            "a: stride, dilation, padding: got ((1, 1), (1, 1), (1, 1, 0, 0)), expected (1, s), (1, d), ",
        ),
    ],
)  # fmt: skip
def test_contradictions_are_told(changes, message):
    with pytest.raises(LayerError) as caught:
        spec(**changes)
    assert str(caught.value).startswith(message)


def test_every_kind_is_a_convolution_underneath():
    linear = LayerSpec(
        name="l", kind="linear", input_shape=(2, 5, 4), weight_shape=(7, 4), output_shape=(2, 5, 7)
    ).convolution
    assert (linear.images, linear.channels, linear.height, linear.width, linear.filters) == (1, 4, 1, 10, 7)
    transposed = LayerSpec(
        name="t", kind="conv_transpose2d", input_shape=(1, 6, 3, 3), weight_shape=(6, 4, 3, 3),
        output_shape=(1, 4, 7, 7), stride=(2, 2),
    )  # fmt: skip
    underneath = transposed.convolution
    assert (underneath.channels, underneath.height, underneath.filters, underneath.output_height) == (4, 7, 6, 3)
    assert underneath.macs == 6 * 4 * 9 * 9
    assert underneath.dilated_input_grad_macs == 6 * 4 * 9 * 49


def test_resnet_first_convolution_counts_as_in_the_paper():
    """118.0 MMAC: reference of the SWAT paper's count."""
    first = LayerSpec(
        name="conv1", kind="conv2d", input_shape=(1, 3, 224, 224), weight_shape=(64, 3, 7, 7),
        output_shape=(1, 64, 112, 112), stride=(2, 2), padding=(3, 3, 3, 3),
    ).convolution  # fmt: skip
    assert first.macs == 118_013_952
    assert first.dilated_input_grad_macs == 4 * first.macs


def arrays(**changes):
    return {"input": np.ones((1, 4, 8, 8)), "weight": np.ones((6, 4, 3, 3)), "output_grad": np.ones((1, 6, 6, 6))} | {
        **changes
    }


def test_arrays_of_any_dtype_mark_non_zeros():
    weight = np.zeros((6, 4, 3, 3), dtype=np.float16)
    weight[2, 1] = [[0.5, 0, -1], [np.nan, 0, 0], [0, 0, -0.0]]
    layer = Layer.from_arrays("a", **arrays(weight=weight))
    bits = layer.passes["forward"].operands["weight"].bits
    assert bits.nonzeros == 3
    assert np.array_equal(bits.to_bool(), weight != 0)
    assert layer.passes["forward"].operands["input"].bits.packed is None


def test_operands_and_budgets_of_single_passes():
    top = np.zeros((1, 4, 8, 8), dtype=bool)
    layer = Layer.from_arrays(
        "a",
        **arrays(),
        operands={"weight_grad": {"input": top}},
        sparsity={"weight_grad": {"input": 0.8}},
    )
    assert layer.passes["weight_grad"].operands["input"].bits.nonzeros == 0
    assert layer.passes["weight_grad"].operands["input"].sparsity == Fraction(4, 5)
    assert layer.passes["forward"].operands["input"].bits.nonzeros == 256
    assert layer.passes["forward"].operands["input"].sparsity is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operands": {"backward": {}}}, "a: got pass 'backward', expected one of forward, input_grad, weight_grad"),
        (
            {"operands": {"forward": {"output_grad": 1}}},
            "a: forward: got operand 'output_grad', expected input and weight",
        ),
        ({"stride": 1.5}, "a: stride: got 1.5, expected an integer"),
        ({"stride": True}, "a: stride: got True, expected an integer"),
        ({"padding": "same"}, "a: padding: got 'same', expected an integer"),
        ({"groups": 1.0}, "a: groups: got 1.0, expected an integer"),
        ({"weight": [[1], [1, 2]]}, "a: weight: got rows of different lengths, expected an array"),
        ({"weight": np.full((6, 4, 3, 3), None)}, "a: weight: got an array of object, expected numbers"),
        ({"sparsity": {"forward": {"weight": 1.5}}}, "a: forward.weight: got 1.5, expected a number from 0 to 1"),
        ({"sparsity": {"forward": {"weight": "1/0"}}}, "a: forward.weight: got '1/0', expected a number from 0 to 1"),
        (
            {"needs_input_grad": False, "sparsity": {"input_grad": {"weight": 0.5}}},
            "a: got input_grad, expected none of it where needs_input_grad is false",
        ),
        ({"stride": (1, 1, 1)}, "a: stride: got (1, 1, 1), expected one integer or two"),
        ({"padding": (1, 1, 1)}, "a: padding: got (1, 1, 1), expected one, two or four integers"),
        (
            {"operands": {"forward": {"weight": np.ones((6, 4, 3, 2))}}},
            "a: forward.weight: got shape (6, 4, 3, 2), expected (6, 4, 3, 3)",
        ),
        ({"weight": np.ones(3)}, "a: kind: got 'unknown', expected one of conv1d,"),
    ],
)
def test_wrong_arguments_are_told(changes, message):
    with pytest.raises(LayerError) as caught:
        Layer.from_arrays("a", **arrays(**changes))
    assert str(caught.value).startswith(message)


def test_a_layer_has_the_operands_of_its_passes():
    whole = Layer.from_arrays("a", **arrays())
    without = {name: operands for name, operands in whole.passes.items() if name != "weight_grad"}
    with pytest.raises(LayerError, match=r"^a: weight_grad: got no operands, expected \('output_grad', 'input'\)"):
        Layer(spec=whole.spec, passes=without)
    half = PassOperands(operands={"input": whole.passes["forward"].operands["input"]})
    with pytest.raises(LayerError, match=r"^a: forward: got no weight, expected \("):
        Layer(spec=whole.spec, passes={**whole.passes, "forward": half})


def test_integers_of_numpy_are_integers():
    layer = Layer.from_arrays("a", **arrays(stride=np.int64(1), padding=np.array([0, 0]), groups=np.int32(1)))
    assert (layer.spec.stride, layer.spec.padding, layer.spec.groups) == ((1, 1), (0, 0, 0, 0), 1)


def test_one_dimension_has_one_stride():
    with pytest.raises(LayerError, match=r"got \(\(3, 1\), .* expected \(1, s\)"):
        Layer.from_arrays(
            "b", input=np.ones((1, 4, 8)), weight=np.ones((6, 4, 3)), output_grad=np.ones((1, 6, 6)), stride=(3, 1)
        )


def test_paddings_in_every_form():
    for padding in (1, (1, 1), (1, 1, 1, 1)):
        layer = Layer.from_arrays("a", **arrays(output_grad=np.ones((1, 6, 8, 8)), padding=padding))
        assert layer.spec.padding == (1, 1, 1, 1)
    one = Layer.from_arrays(
        "b", input=np.ones((1, 4, 8)), weight=np.ones((6, 4, 3)), output_grad=np.ones((1, 6, 9)), padding=(2, 1)
    )
    assert (one.spec.kind, one.spec.padding) == ("conv1d", (0, 0, 2, 1))


@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 5)), seed=st.integers(0, 50))
def test_bits_in_words_and_parts(shape, seed):
    values = np.random.default_rng(seed).random(shape) < (0.5, 1)[seed % 2]
    bits = BitTensor.from_array(values)
    in_words = np.unpackbits(bits.words.view(np.uint8), bitorder="little")
    assert (in_words[: bits.size] == values.reshape(-1)).all() and not in_words[bits.size :].any()
    assert bits.words.size == -(-bits.size // 64) + 1
    assert (bits.nonzeros, bits.outside(BitTensor.from_array(~values))) == (values.sum(), values.sum())
    for first in range(shape[0]):
        for stop in range(first + 1, shape[0] + 1):
            part = bits.part(slice(first, stop))
            assert part == BitTensor.from_array(values[first:stop])
            assert (part.packed is None) == values[first:stop].all()


def test_bits_know_their_size_and_equality():
    bits = BitTensor.from_array(np.eye(3))
    assert bits.packed is not None and bits.packed.tolist() == [0b00010001, 0b1]
    assert bits == BitTensor.from_array(np.eye(3, dtype=int) * 7)
    assert bits != BitTensor.from_array(np.ones((3, 3)))
    assert BitTensor(shape=(8,), packed=np.array([255], dtype=np.uint8)) == BitTensor.from_array(np.ones(8))
    assert len({bits, BitTensor.from_array(np.eye(3)), BitTensor.from_array(np.ones((3, 3)))}) == 2
    with pytest.raises(LayerError, match=r"bits of \(3, 3\): got 1 bytes, expected 2"):
        BitTensor(shape=(3, 3), packed=np.array([1], dtype=np.uint8))


@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 7)), seed=st.integers(0, 50))
def test_elements_outside_another_tensor_are_counted(shape, seed):
    random = np.random.default_rng(seed)
    one, other = (random.random(shape) < random.choice([0.0, 0.5, 1.0]) for _ in range(2))
    assert BitTensor.from_array(one).outside(BitTensor.from_array(other)) == int((one & ~other).sum())
