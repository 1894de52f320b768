"""One operand of a contraction: how its vectors are read out of a tensor with its border."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.errors import MappingError

BoolTensor = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Border = tuple[int, int, int, int]  # top, bottom, left, right

# A tensor with its border is held as a byte a value: 1 GiB.
LARGEST_BORDERED_VALUES = 1 << 30


class Order(NamedTuple):
    """The order of steps (a permutation of "rsc") and of windows ("npq" or "nqp"), outermost first."""

    steps: str
    windows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One operand of a contraction: vectors read out of a tensor with its border.

    Element (segment, e) of vector v of group g is present[base[g, v] + offset[segment, e]].
    """

    role: str  # which of the layer's tensors: input, weight or output
    present: NDArray[np.uint8]  # the tensor with its border, flat: 1 where a value is present
    base: IntArray  # [group, vector]
    offset: IntArray  # [segment, element]
    nonzeros: int  # of the tensor with its border, over which `skip: sparser` compares densities
    positions: int
    full: bool  # the tensor has no zeros, its border apart
    lines: Lines

    @property
    def groups(self) -> int:
        """Groups of the convolution."""
        return int(self.base.shape[0])

    @property
    def vectors(self) -> int:
        """Vectors in each group."""
        return int(self.base.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The pieces in which a side's tensor is fetched from memory: image rows, filters or channels."""

    first: IntArray  # [vector]: first line that the vector touches
    last: IntArray  # [vector]: last one; before the first where it touches only padding
    shape: tuple[int, int]  # rows and columns of each line of one group, as it is stored
    nonzeros: IntArray  # [group, line]
    bits: Callable[[], NDArray[np.uint8]]  # [group · line, value in the order of storage]; made when asked for


def bordered_size(tensor: BoolTensor, border: Border) -> int:
    """Values of a tensor with its border; raises MappingError where that is too large to hold."""
    images, channels, height, width = tensor.shape
    size = images * channels * (height + border[0] + border[1]) * (width + border[2] + border[3])
    if size > LARGEST_BORDERED_VALUES:
        got = f"{size} values in a tensor of shape {tensor.shape} with border {border}"
        raise MappingError(f"got {got}, expected at most {LARGEST_BORDERED_VALUES}")
    return int(size)


def ordered_grid(sizes: tuple[int, ...], axes: tuple[int, ...]) -> list[IntArray]:
    """Coordinates of a grid (one array per axis of `sizes`) with `axes` from outermost to innermost."""
    grid = np.meshgrid(*(np.arange(sizes[axis]) for axis in axes), indexing="ij")
    return [grid[axes.index(axis)] for axis in range(len(sizes))]


class Padded(NamedTuple):
    """A tensor with its border, flat, and how coordinates (image, channel, y, x) become addresses."""

    flat: NDArray[np.uint8]
    strides: tuple[int, int, int, int]

    @staticmethod
    def of(tensor: BoolTensor, border: Border, *, channels_last: bool) -> Padded:
        """Surround a tensor with zeros."""
        bordered_size(tensor, border)
        images, channels, height, width = tensor.shape
        padded_height, padded_width = height + border[0] + border[1], width + border[2] + border[3]
        image = channels * padded_height * padded_width
        inside = (slice(border[0], border[0] + height), slice(border[2], border[2] + width))
        if channels_last:
            padded = np.zeros((images, padded_height, padded_width, channels), dtype=np.uint8)
            padded[:, *inside, :] = tensor.transpose(0, 2, 3, 1)
            strides = (image, 1, padded_width * channels, channels)
        else:
            padded = np.zeros((images, channels, padded_height, padded_width), dtype=np.uint8)
            padded[:, :, *inside] = tensor
            strides = (image, padded_height * padded_width, padded_width, 1)
        return Padded(padded.reshape(-1), strides)

    def address(self, image: object, channel: object, y: object, x: object) -> IntArray:
        """Address in `flat` of coordinates with the border (numbers or arrays, broadcast)."""
        parts = (np.asarray(part) * stride for part, stride in zip((image, channel, y, x), self.strides, strict=True))
        return np.asarray(sum(parts), dtype=np.int64)


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


def window_side(role: str, tensor: BoolTensor, windows: Windows, groups: int, order: Order) -> Side:
    """Windows of a tensor, one vector each; the reduction's segments are their taps, its elements channels."""
    images, channels, height, width = tensor.shape
    border = (*windows.span(0, height), *windows.span(1, width))
    padded = Padded.of(tensor, border, channels_last=True)
    axes = (0, 1, 2) if order.windows == "npq" else (0, 2, 1)
    image, u, v = (axis.reshape(-1) for axis in ordered_grid((images, *windows.counts), axes))
    # Offsets count from the first tap, so that none is negative: that would mean a lane without operand.
    lowest = tuple(int(starts.min()) for starts in windows.starts)
    y = u * windows.stride[0] + border[0] + lowest[0]
    x = v * windows.stride[1] + border[2] + lowest[1]
    group_channels = channels // groups
    tap_y, tap_x = (grid.reshape(-1, 1) for grid in np.meshgrid(*windows.starts, indexing="ij"))
    line_axis = 0 if order.windows == "npq" else 1
    return Side(
        role=role,
        present=padded.flat,
        base=padded.address(image, np.arange(groups)[:, None] * group_channels, y, x),
        offset=padded.address(0, np.arange(group_channels), tap_y - lowest[0], tap_x - lowest[1]),
        nonzeros=int(np.count_nonzero(tensor)),
        positions=bordered_size(tensor, border),
        full=bool(tensor.all()),
        lines=_window_lines(tensor, groups, windows, line_axis, image, (u, v)[line_axis]),
    )


def _window_lines(
    tensor: BoolTensor, groups: int, windows: Windows, axis: int, image: IntArray, window: IntArray
) -> Lines:
    images, channels, *sizes = tensor.shape
    starts = windows.starts[axis]
    first = np.maximum(window * windows.stride[axis] + starts.min(), 0)
    last = np.minimum(window * windows.stride[axis] + starts.max(), sizes[axis] - 1)
    grouped = tensor.reshape(images, groups, channels // groups, *sizes)
    nonzeros = np.count_nonzero(grouped, axis=(2, 4 - axis)).transpose(1, 0, 2).reshape(groups, -1)
    shape = (sizes[1 - axis], channels // groups)

    def bits() -> NDArray[np.uint8]:
        stored = grouped.transpose(1, 0, 3 + axis, 4 - axis, 2)  # group, image, line, position, channel
        return np.ascontiguousarray(stored).reshape(nonzeros.size, -1).view(np.uint8)

    return Lines(
        first=image * sizes[axis] + first,
        last=image * sizes[axis] + last,
        shape=shape,
        nonzeros=np.ascontiguousarray(nonzeros),
        bits=bits,
    )


def channel_lines(tensor: BoolTensor, groups: int, channel_of_vector: IntArray) -> Lines:
    """Lines of vectors that each read one channel of a tensor."""
    images, channels, height, width = tensor.shape
    nonzeros = np.count_nonzero(tensor, axis=(0, 2, 3)).reshape(groups, channels // groups)

    def bits() -> NDArray[np.uint8]:
        return np.ascontiguousarray(tensor.transpose(1, 0, 2, 3)).reshape(channels, -1).view(np.uint8)

    return Lines(
        first=channel_of_vector, last=channel_of_vector, shape=(images * height, width), nonzeros=nonzeros, bits=bits
    )


def filter_side(weight: BoolTensor, groups: int, taps: Iterable[tuple[int, ...]], *, channels_are_rows: bool) -> Side:
    """Weights with one vector per filter, or per input channel; only the given (r, s) taps."""
    filters, channels, kernel_height, kernel_width = weight.shape
    grouped = weight.reshape(groups, filters // groups, channels, kernel_height, kernel_width)
    chosen = np.stack([grouped[..., r, s] for r, s in taps], axis=-1)
    if channels_are_rows:
        chosen = chosen.transpose(0, 2, 1, 3)
    chosen = np.ascontiguousarray(chosen.transpose(0, 1, 3, 2))  # [group, vector, tap, element]
    _, vectors, tap_count, elements = chosen.shape
    nonzeros = np.count_nonzero(chosen, axis=(2, 3))
    return Side(
        role="weight",
        present=chosen.reshape(-1).view(np.uint8),
        base=np.arange(groups * vectors, dtype=np.int64).reshape(groups, vectors) * (tap_count * elements),
        offset=np.arange(tap_count * elements, dtype=np.int64).reshape(tap_count, elements),
        nonzeros=int(nonzeros.sum()),
        positions=chosen.size,
        full=bool(weight.all()),
        lines=Lines(
            first=np.arange(vectors),
            last=np.arange(vectors),
            shape=(tap_count, elements),
            nonzeros=nonzeros,
            bits=lambda: chosen.reshape(groups * vectors, -1).view(np.uint8),
        ),
    )
