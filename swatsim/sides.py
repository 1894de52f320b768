"""One operand of a contraction: how its vectors are read out of the words of a tensor."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.formats import RUN_BITS, Pieces, needs_fillers
from swatsim.kernels.formats import count_fillers
from swatsim.kernels.gather import count_by_element, count_in_parts, list_runs
from swatsim.layouts import Block, Border, Ranges, Tensor, Words, channels_last_strides

IntArray = NDArray[np.int64]


class Order(NamedTuple):
    """The order of steps (a permutation of "rsc") and of windows ("npq" or "nqp"), outermost first."""

    steps: str
    windows: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One operand of a contraction: vectors read out of the words of a tensor.

    Element (segment, e) of vector v of group g is bit base[g, v] + offset[segment, e] (`kernels.bits`).
    """

    role: str  # which of the layer's tensors: input, weight or output
    words: Words
    base: IntArray  # [group, vector]
    reduction: Reduction
    positions: int  # of the tensor with its border, over which `skip: sparser` compares densities
    full: bool  # the tensor has no zeros, its border apart
    lines: Lines
    touched_by: TouchedBy
    by_line: bool = False  # vector v has the values of line v and no others

    @property
    def groups(self) -> int:
        """Groups of the convolution."""
        return int(self.base.shape[0])

    @property
    def vectors(self) -> int:
        """Vectors in each group."""
        return int(self.base.shape[1])

    @property
    def nonzeros(self) -> int:
        """Values present in the tensor."""
        return self.lines.total

    @property
    def offset(self) -> IntArray:
        """[segment, element]."""
        return self.reduction.offset

    @cached_property
    def by_vector(self) -> IntArray:
        """Elements present in each vector: [group, vector]."""
        return self.lines.nonzeros if self.by_line else count_vectors(self.words, self.base, self.reduction.runs)

    @cached_property
    def values(self) -> int:
        """Elements present in all vectors, each as often as it is in one."""
        return int(self.by_vector.sum())

    @cached_property
    def met(self) -> MutableMapping[Side, int]:
        """How many values are present together with those of another side, where that was counted (`presence`)."""
        return WeakKeyDictionary()

    @property
    def by_element(self) -> IntArray:
        """Vectors in which each element of the reduction is present: [group, element]; counted anew each time."""
        counts = np.empty((self.groups, self.offset.size), dtype=np.int64)
        for group in range(self.groups):
            count_by_element(self.words, self.base[group], self.reduction.runs, self.vectors, counts[group : group + 1])
        return counts


@dataclass(frozen=True, eq=False)
class Reduction:
    """Where the elements of a vector lie; sides that share it share what is found out about it."""

    offset: IntArray  # [segment, element]

    @cached_property
    def runs(self) -> IntArray:
        """The elements, in order, as runs of one part (`kernels.gather`)."""
        return list_runs(self.offset.reshape(-1), np.array([0, self.offset.size]))[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """The pieces in which a tensor is fetched from memory: image rows, filters or channels."""

    shape: tuple[int, int]  # rows and columns of each line, as it is stored
    words: Words
    start: IntArray  # [group, line]: its first bit
    runs: IntArray  # of its values in the order of storage (`kernels.gather`)

    @cached_property
    def nonzeros(self) -> IntArray:
        """Values present in each line: [group, line]."""
        return count_vectors(self.words, self.start, self.runs)

    @cached_property
    def total(self) -> int:
        """Values present in all lines."""
        return int(self.nonzeros.sum())

    @property
    def values(self) -> int:
        """Values of all lines, absent ones too."""
        return self.start.size * self.shape[0] * self.shape[1]

    def pieces(self, format_name: str) -> Pieces:
        """The lines, group by group, as the named format needs to know them."""
        fillers = fillers_of(self.words, self.start, self.runs).reshape(-1) if needs_fillers(format_name) else None
        return Pieces(rows=self.shape[0], columns=self.shape[1], nonzeros=self.nonzeros.reshape(-1), fillers=fillers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TouchedBy:
    """The lines of a group that its vectors touch; so many consecutive `vectors` touch the same ones.

    Where dilation leaves lines out, a window touches several stretches of them: first and last of windows have an axis
    before the other for these.
    """

    first: IntArray  # [vector // vectors]: first line that the vector touches
    last: IntArray  # [vector // vectors]: last one; before the first where it touches only padding
    vectors: int = 1

    @property
    def stretches(self) -> int:
        """How many stretches of lines each vector touches."""
        return self.first.shape[0] if self.first.ndim > 1 else 1


def count_vectors(words: Words, base: IntArray, runs: IntArray) -> IntArray:
    """Values present in each vector, [group, vector] as `base`."""
    counts = np.empty((base.size, 1), dtype=np.int64)
    count_in_parts(words, base.reshape(-1), runs, np.array([0, len(runs)]), counts)
    return counts.reshape(base.shape)


def fillers_of(words: Words, base: IntArray, runs: IntArray) -> IntArray:
    """Fillers of each vector in run-length storage, [group, vector] as `base`."""
    fillers = np.empty(base.size, dtype=np.int64)
    count_fillers(words, base.reshape(-1), runs, RUN_BITS, fillers)
    return fillers.reshape(base.shape)


def runs_of(start: IntArray, length: int) -> IntArray:
    """Runs of one length, one after another; those that touch are one."""
    if start.size > 1 and (start[1:] - start[:-1] == length).all():
        start, length = start[:1], length * start.size
    runs = np.empty((start.size, 3), dtype=np.int64)
    runs[:, 0], runs[:, 1], runs[:, 2] = start, length, np.arange(start.size) * length
    return runs


def image_lines(tensor: Tensor, groups: int, border: Border, channels: range, axis: int) -> Lines:
    """Lines along the height (`axis` 0) or the width, one of each image and group; `channels` of each group.

    They are read with the border that windows need, so that both share a layout.
    """
    start, runs = _image_line_places(tensor.shape, groups, border, channels, axis)
    shape = (tensor.shape[3 - axis], len(channels))
    return Lines(shape=shape, words=tensor.channels_last(border), start=start, runs=runs)


@bounded_cache
def _image_line_places(
    shape: tuple[int, int, int, int], groups: int, border: Border, channels: range, axis: int
) -> tuple[IntArray, IntArray]:
    images, _, *sizes = shape
    strides = channels_last_strides(shape, border)
    first = border[0] * strides[2] + border[2] * strides[3] + channels.start
    group = np.arange(groups)[:, None, None] * (shape[1] // groups)
    start = first + group + np.arange(images)[:, None] * strides[0] + np.arange(sizes[axis]) * strides[2 + axis]
    runs = runs_of(np.arange(sizes[1 - axis]) * strides[3 - axis], len(channels))
    return start.reshape(groups, -1), runs


def channel_lines(block: Block) -> Lines:
    """One line for each channel: all images, rows and columns of a block."""
    images, _, height, width = block.shape
    start, runs = _channel_line_places(block.tensor.shape, block.groups, block.ranges)
    return Lines(shape=(images * height, width), words=block.tensor.planes(), start=start, runs=runs)


@bounded_cache
def _channel_line_places(shape: tuple[int, int, int, int], groups: int, ranges: Ranges) -> tuple[IntArray, IntArray]:
    (images, _, rows, columns), (_, channels, height, width) = ranges, shape
    start = np.arange(channels).reshape(groups, -1) * (height * width)
    first = np.array(images)[:, None] * (channels * height * width) + np.array(rows) * width + columns.start
    return start, runs_of(first.reshape(-1).astype(np.int64), len(columns))


def filter_lines(words: Words, groups: int, count: int, shape: tuple[int, int]) -> Lines:
    """Lines that lie one after another, each whole: `count` filters or input channels of each group."""
    length = shape[0] * shape[1]
    start = np.arange(groups * count).reshape(groups, count) * length
    return Lines(shape=shape, words=words, start=start, runs=runs_of(np.zeros(1, dtype=np.int64), length))


class Windows(NamedTuple):
    """Windows (u, v) of a tensor: coordinate starts[axis][tap] + stride·u, `counts` of them along each axis."""

    starts: tuple[IntArray, ...]
    stride: tuple[int, int]
    counts: tuple[int, int]
    border: Border  # what belongs to the tensor even where no window touches it

    def span(self, axis: int, size: int) -> tuple[int, int]:
        """Border before and after a tensor of `size` that the windows touch."""
        low = int(self.starts[axis].min())
        high = int(self.starts[axis].max()) + self.stride[axis] * (self.counts[axis] - 1)
        before, after = self.border[2 * axis : 2 * axis + 2]
        return max(before, -low, 0), max(after, high - size + 1, 0)
