"""The bits of a tensor as a pass reads them: in place, or laid out once for all that read them so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor, empty_words
from swatsim.errors import MappingError
from swatsim.kernels.bits import border_rows, transpose_bits

Words = NDArray[np.uint64]
Border = tuple[int, int, int, int]  # top, bottom, left, right
Ranges = tuple[range, range, range, range]  # of images, channels of each group, rows and columns
NO_BORDER = (0, 0, 0, 0)

# A tensor with its border is held as a bit a value: 128 MiB.
LARGEST_BORDERED_VALUES = 1 << 30


def bordered_size(shape: tuple[int, int, int, int], border: Border) -> int:
    """Values of a tensor with its border; raises MappingError where that is too large to hold."""
    images, channels, height, width = shape
    size = images * channels * (height + border[0] + border[1]) * (width + border[2] + border[3])
    if size > LARGEST_BORDERED_VALUES:
        got = f"{size} values in a tensor of shape {shape} with border {border}"
        raise MappingError(f"got {got}, expected at most {LARGEST_BORDERED_VALUES}")
    return size


def channels_last_strides(shape: tuple[int, int, int, int], border: Border) -> tuple[int, int, int, int]:
    """Bits from one image, channel, y and x to the next one in `Tensor.channels_last`."""
    _, channels, height, width = shape
    line = (border[2] + width + border[3]) * channels
    return (border[0] + height + border[1]) * line, 1, line, channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An operand of a convolution: images or filters, channels, height and width."""

    bits: BitTensor
    shape: tuple[int, int, int, int]
    positions_first: bool = False  # a linear layer's: positions, along the width, are outside the channels

    def planes(self, *, turned: bool = False) -> Words:
        """Image, channel, y, x; `turned`: image, channel, x, y."""
        images, channels, height, width = self.shape
        if self.positions_first:
            return _transposed(self.bits, (1, width, channels))
        return _transposed(self.bits, (images * channels, height, width)) if turned else self.bits.words

    def channels_last(self, border: Border) -> Words:
        """Image, y, x, channel, with a border of zeros."""
        images, channels, height, width = self.shape
        image, _, line, column = channels_last_strides(self.shape, border)
        if self.positions_first:
            return self.bits.words

        def make() -> Words:
            target = empty_words(images * image)
            place = (np.arange(height)[:, None] + border[0]) * line + (np.arange(width) + border[2]) * column
            transpose_bits(self.bits.words, (images, channels, height * width), place.reshape(-1), image, target)
            return target

        return _kept(self.bits, ("channels last", self.shape, border), make)

    def bordered_planes(self, border: Border, stride: int, *, turned: bool) -> Words:
        """As `planes`, with a border of zeros; of each line those that are a stride apart are side by side.

        Those at 0, stride, 2 · stride … come first, then those at 1, 1 + stride …
        """
        images, channels, *sizes = self.shape
        if border == NO_BORDER and stride == 1:
            return self.planes(turned=turned)
        if turned:
            sizes, border = sizes[::-1], (*border[2:], *border[:2])
        shape = (images * channels, sizes[0], sizes[1])
        stride = min(stride, border[2] + sizes[1] + border[3])  # beyond, no two of a line are a stride apart

        def make() -> Words:
            source = self.planes(turned=turned)
            return _bordered(source, shape, border) if stride == 1 else _strided(source, shape, border, stride)

        return _kept(self.bits, ("bordered planes", self.shape, border, stride, turned), make)

    def by_channel(self, groups: int) -> Words:
        """Weights: group, channel, tap, filter of the group."""
        filters, channels, height, width = self.shape
        return _transposed(self.bits, (groups, filters // groups, channels * height * width))

    def by_filter(self) -> Words:
        """Weights: filter, tap, channel."""
        filters, channels, height, width = self.shape
        return _transposed(self.bits, (filters, channels, height * width))


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Consecutive images, channels of each group, rows and columns of a tensor; zeros, where one of them is empty."""

    tensor: Tensor
    groups: int
    ranges: Ranges

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, channels of all groups, height and width, of which none is 0: zeros are one wide."""
        images, channels, height, width = (max(1, len(each)) for each in self.ranges)
        return images, channels * self.groups, height, width

    @cached_property
    def values(self) -> NDArray[np.bool_]:
        """Unpacked."""
        images, channels, height, width = self.tensor.shape
        if not all(self.ranges):
            return np.zeros(self.shape, dtype=np.bool_)
        present = self.tensor.bits.to_bool().reshape(images, self.groups, channels // self.groups, height, width)
        if self.tensor.positions_first:
            present = present.reshape(width, channels).T.reshape(images, self.groups, -1, height, width)
        across, within, rows, columns = (slice(each.start, each.stop) for each in self.ranges)
        return np.ascontiguousarray(present[across, :, within, rows, columns]).reshape(self.shape)


def _kept(bits: BitTensor, key: tuple[object, ...], make: Callable[[], Words]) -> Words:
    found = bits.laid_out.get(key)
    if found is None:
        # Another thread may clear what is kept at any time.
        found = bits.laid_out[key] = make()
    return found


def _transposed(bits: BitTensor, shape: tuple[int, int, int]) -> Words:
    """Matrices, shape (matrices, rows, columns), column by column."""
    if 1 in shape[1:]:
        return bits.words
    return _kept(bits, ("transposed", shape), lambda: _turned(bits.words, shape))


def _turned(source: Words, shape: tuple[int, int, int]) -> Words:
    matrices, rows, columns = shape
    target = empty_words(matrices * rows * columns)
    transpose_bits(source, shape, np.arange(columns) * rows, rows * columns, target)
    return target


def _bordered(source: Words, shape: tuple[int, int, int], border: Border) -> Words:
    planes, height, width = shape
    target = empty_words(planes * (height + border[0] + border[1]) * (width + border[2] + border[3]))
    border_rows(source, shape, border, target)
    return target


def _strided(source: Words, shape: tuple[int, int, int], border: Border, stride: int) -> Words:
    """Transposed, which brings whole lines to their places, and back."""
    planes, height, width = shape
    lines, part = border[0] + height + border[1], -(-(border[2] + width + border[3]) // stride)
    apart = empty_words(planes * lines * part * stride)
    first, rest = np.divmod(np.arange(width) + border[2], stride)
    place = (rest * part + first) * lines + border[0]
    transpose_bits(source, shape, place, lines * part * stride, apart)
    return _turned(apart, (planes, part * stride, lines))
