"""Tensors laid out for the passes that read them, against numpy's own transpositions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.bits import BitTensor
from swatsim.errors import MappingError
from swatsim.layouts import LARGEST_BORDERED_VALUES, Block, Tensor, bordered_size, channels_last_strides

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 70))
BORDERS = st.tuples(*[st.integers(0, 3)] * 4)


def unpacked(words, shape):
    flat = np.unpackbits(words.view(np.uint8), bitorder="little")
    size = int(np.prod(shape))
    assert not flat[size:].any()
    return flat[:size].reshape(shape)


def drawn(random, shape, density):
    values = random.random(shape) < density
    return values, Tensor(bits=BitTensor.from_array(values), shape=shape)


def linear(values):
    """The same values as those of a linear layer: positions, then channels."""
    return Tensor(bits=BitTensor.from_array(values[0, :, 0].T), shape=values.shape, positions_first=True)


def bordered(values, border):
    return np.pad(values, [(0, 0), (0, 0), border[:2], border[2:]])


@given(randoms(), SHAPES, DENSITIES, BORDERS)
def test_channels_last(random, shape, density, border):
    values, tensor = drawn(random, shape, density)
    expected = bordered(values, border).transpose(0, 2, 3, 1)
    words = tensor.channels_last(border)
    assert (unpacked(words, expected.shape) == expected).all()
    assert tensor.channels_last(border) is words
    _, height, width, channels = expected.shape
    assert channels_last_strides(shape, border) == (height * width * channels, 1, width * channels, channels)


@given(randoms(), SHAPES, DENSITIES, BORDERS, st.integers(1, 3) | st.integers(4, 1 << 40), st.booleans())
def test_bordered_planes(random, shape, density, border, stride, turned):
    """Of each line the values 0, stride, 2 · stride … and then those after each of them."""
    values, tensor = drawn(random, shape, density)
    expected = bordered(values, border)
    expected = expected.swapaxes(2, 3) if turned else expected
    step = min(stride, expected.shape[3])
    expected = np.pad(expected, [(0, 0), (0, 0), (0, 0), (0, -expected.shape[3] % step)])
    parts = [expected[..., first::step] for first in range(step)]
    words = tensor.bordered_planes(border, stride, turned=turned)
    assert (unpacked(words, expected.shape) == np.concatenate(parts, axis=3)).all()


@given(randoms(), SHAPES, DENSITIES)
def test_planes(random, shape, density):
    values, tensor = drawn(random, shape, density)
    assert tensor.planes() is tensor.bits.words
    assert (unpacked(tensor.planes(), shape) == values).all()
    assert (unpacked(tensor.planes(turned=True), (*shape[:2], shape[3], shape[2])) == values.swapaxes(2, 3)).all()
    of_linear = linear(values[:1, :, :1])
    assert of_linear.channels_last((0, 0, 0, 0)) is of_linear.bits.words
    for turned in (False, True):
        found = of_linear.planes(turned=turned)
        assert (unpacked(found, (shape[1], shape[3])) == values[0, :, 0]).all()


@given(randoms(), st.integers(1, 3), SHAPES, DENSITIES)
def test_weights(random, groups, shape, density):
    filters, channels, height, width = shape[0] * groups, *shape[1:]
    values, tensor = drawn(random, (filters, channels, height, width), density)
    by_filter = values.transpose(0, 2, 3, 1)
    assert (unpacked(tensor.by_filter(), by_filter.shape) == by_filter).all()
    by_channel = values.reshape(groups, -1, channels, height, width).transpose(0, 2, 3, 4, 1)
    assert (unpacked(tensor.by_channel(groups), by_channel.shape) == by_channel).all()


def test_what_lies_in_order_is_not_copied():
    values = np.arange(24).reshape(4, 6, 1, 1) % 5 != 0
    tensor = Tensor(bits=BitTensor.from_array(values), shape=values.shape)
    assert tensor.by_filter() is tensor.by_channel(4) is tensor.planes(turned=True) is tensor.bits.words
    assert tensor.bordered_planes((0, 0, 0, 0), 1, turned=False) is tensor.bits.words
    assert not tensor.bits.laid_out


@given(randoms(), SHAPES, st.integers(1, 3), st.data())
def test_blocks(random, shape, groups, data):
    images, channels, height, width = shape
    values, tensor = drawn(random, (images, channels * groups, height, width), 0.5)
    ends = [sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size)))) for size in shape]
    block = Block(tensor=tensor, groups=groups, ranges=tuple(range(*pair) for pair in ends))
    grouped = values.reshape(images, groups, *shape[1:])
    chosen = grouped[ends[0][0] : ends[0][1]][(slice(None), slice(None), *(slice(*pair) for pair in ends[1:]))]
    sizes = [max(1, stop - start) for start, stop in ends]
    assert block.shape == block.values.shape == (sizes[0], sizes[1] * groups, *sizes[2:])
    assert (block.values == (chosen.reshape(block.shape) if chosen.size else False)).all()
    ranges = (range(1), block.ranges[1], range(1), block.ranges[3])
    first, of_linear = values[:1, :, :1], linear(values[:1, :, :1])
    like = Tensor(bits=BitTensor.from_array(first), shape=first.shape)
    found, expected = (Block(tensor=each, groups=groups, ranges=ranges).values for each in (of_linear, like))
    assert (found == expected).all()


def test_a_tensor_of_ones():
    tensor = Tensor(bits=BitTensor(shape=(1, 3, 5, 7), packed=None), shape=(1, 3, 5, 7))
    assert unpacked(tensor.planes(), (1, 3, 5, 7)).all()
    assert unpacked(tensor.channels_last((1, 0, 2, 0)), (1, 6, 9, 3)).sum() == 105


def test_a_border_may_be_too_large():
    shape, border = (1, 2, 3, 1 << 28), (0, 1, 0, 0)
    assert bordered_size((1, 1, 2, 3), (1, 0, 1, 1)) == 15
    with pytest.raises(MappingError) as error:
        bordered_size(shape, border)
    assert str(error.value) == (
        f"got {1 << 31} values in a tensor of shape {shape} with border {border}, "
        f"expected at most {LARGEST_BORDERED_VALUES}"
    )
