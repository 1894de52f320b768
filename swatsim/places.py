"""Where the vectors of each side of a pass lie: what follows from shapes alone, kept for the layers that share them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from swatsim.caches import bounded_cache
from swatsim.layer import Convolution
from swatsim.layouts import NO_BORDER, Border, channels_last_strides
from swatsim.sides import IntArray, Order, Reduction, TouchedBy, Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """As in `Side`, of a whole reduction."""

    base: IntArray  # [group, vector]
    offset: IntArray  # [segment, element]
    touched_by: TouchedBy

    def part(self, segments: range, elements: range) -> Reduction:
        """A part of the reduction, the same each time that it is asked for."""
        key = (segments, elements)
        if key not in self._parts:
            self._parts[key] = Reduction(self.offset[segments.start : segments.stop, elements.start : elements.stop])
        return self._parts[key]

    @cached_property
    def _parts(self) -> dict[tuple[range, range], Reduction]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phase:
    """One contraction of forward or input_grad: filters (or input channels) times windows."""

    rows: Places
    columns: Places
    taps: tuple[int, int]
    windows: Windows
    span: Border  # that the windows touch
    border: Border  # of the windows' tensor, as it is laid out for all phases


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shifts:
    """The contraction of weight_grad: channels of the output gradient times shifted channels of the input."""

    rows: Places
    columns: Places


def image_shape(convolution: Convolution, pass_name: str) -> tuple[int, int, int, int]:
    """Shape of the tensor that the windows of forward or input_grad are on."""
    if pass_name == "forward":
        return convolution.images, convolution.channels, convolution.height, convolution.width
    return convolution.images, convolution.filters, convolution.output_height, convolution.output_width


@bounded_cache
def phases(convolution: Convolution, pass_name: str, window_order: str) -> tuple[Phase, ...]:
    """The contractions of forward (one) or input_grad (one for each phase of its stride that has windows)."""
    shape = image_shape(convolution, pass_name)
    _, channels, height, width = shape
    found = list(_phase_windows(convolution)) if pass_name == "input_grad" else [_forward_windows(convolution)]
    spans = [(*windows.span(0, height), *windows.span(1, width)) for _, windows in found]
    border = NO_BORDER
    for span in spans:
        border = (max(border[0], span[0]), max(border[1], span[1]), max(border[2], span[2]), max(border[3], span[3]))
    elements = channels // convolution.groups
    vectors = (convolution.filters if pass_name == "forward" else convolution.channels) // convolution.groups
    return tuple(
        Phase(
            rows=_filter_places(convolution, vectors, taps, elements),
            columns=_window_places(shape, convolution.groups, windows, border, window_order),
            taps=(windows.starts[0].size, windows.starts[1].size), windows=windows, span=span, border=border,
        )
        for (taps, windows), span in zip(found, spans, strict=True)
    )  # fmt: skip


@bounded_cache
def shifts(convolution: Convolution, order: Order) -> Shifts:
    """Of the output gradient's planes, and of the input's with their border and strides apart (`layouts`)."""
    groups, images = convolution.groups, np.arange(convolution.images)[:, None]
    filters, channels = convolution.filters // groups, convolution.channels // groups
    outer, inner = inner_last(order)
    sizes = (convolution.output_height, convolution.output_width)
    plane, group = sizes[0] * sizes[1], np.arange(groups)[:, None]
    rows = Places(
        base=(group * filters + np.arange(filters)) * plane,
        offset=images * (convolution.filters * plane) + np.arange(plane),
        touched_by=TouchedBy(first=np.arange(filters), last=np.arange(filters)),
    )
    tap_axes = tuple("rsc".index(letter) for letter in order.steps)
    *taps, c = (axis.reshape(-1) for axis in ordered_grid((*kernel_sizes(convolution), channels), tap_axes))
    bordered = [
        size + sum(convolution.padding[2 * axis : 2 * axis + 2])
        for axis, size in enumerate((convolution.height, convolution.width))
    ]
    strides, shifted = convolution.stride, [tap * convolution.dilation[axis] for axis, tap in enumerate(taps)]
    apart = min(strides[inner], bordered[inner])  # as in the layout
    part = -(-bordered[inner] // apart)
    line = part * apart
    channel = bordered[outer] * line
    inside = shifted[inner] % apart * part + shifted[inner] // apart
    positions = np.arange(sizes[outer])[:, None] * (strides[outer] * line) + np.arange(sizes[inner])
    columns = Places(
        base=(group * channels + c) * channel + shifted[outer] * line + inside,
        offset=images * (convolution.channels * channel) + positions.reshape(-1),
        touched_by=TouchedBy(first=c, last=c),
    )
    return Shifts(rows=rows, columns=columns)


def inner_last(order: Order) -> tuple[int, int]:
    """The outer and the inner axis of an image (0: height) in an order of windows."""
    return (0, 1) if order.windows == "npq" else (1, 0)


def ordered_grid(sizes: tuple[int, ...], axes: tuple[int, ...]) -> list[IntArray]:
    """Coordinates of a grid (one array per axis of `sizes`) with `axes` from outermost to innermost."""
    grid = np.meshgrid(*(np.arange(sizes[axis]) for axis in axes), indexing="ij")
    return [grid[axes.index(axis)] for axis in range(len(sizes))]


def kernel_sizes(convolution: Convolution) -> tuple[int, int]:
    """Kernel height and width."""
    return (convolution.kernel_height, convolution.kernel_width)


def input_windows(convolution: Convolution) -> Windows:
    """Those of a convolution's input."""
    return Windows(
        starts=tuple(
            -convolution.padding[2 * axis] + convolution.dilation[axis] * np.arange(taps)
            for axis, taps in enumerate(kernel_sizes(convolution))
        ),
        stride=convolution.stride,
        counts=(convolution.output_height, convolution.output_width),
        border=convolution.padding,
    )


def _forward_windows(convolution: Convolution) -> tuple[Sequence[int], Windows]:
    return range(convolution.kernel_height * convolution.kernel_width), input_windows(convolution)


def _phase_windows(convolution: Convolution) -> Sequence[tuple[Sequence[int], Windows]]:
    """Taps of each phase, numbered row by row, and its windows of the output gradient."""
    found = []
    # A phase beyond the tensor has no windows.
    for phase in np.ndindex(*map(min, convolution.stride, (convolution.height, convolution.width))):
        axes = [_phase_taps(convolution, axis, phase[axis]) for axis in (0, 1)]
        if any(axis.taps.size == 0 or axis.windows == 0 for axis in axes):
            continue
        taps = [int(r) * convolution.kernel_width + int(s) for r, s in itertools.product(axes[0].taps, axes[1].taps)]
        found.append((taps, Windows(
            starts=(axes[0].offsets, axes[1].offsets), stride=(1, 1), counts=(axes[0].windows, axes[1].windows),
            border=NO_BORDER,
        )))  # fmt: skip
    return found


class _PhaseTaps(NamedTuple):
    taps: IntArray  # kernel coordinates, by increasing coordinate of the output gradient
    offsets: IntArray  # for each: output coordinate minus window number
    windows: int


def _phase_taps(convolution: Convolution, axis: int, phase: int) -> _PhaseTaps:
    kernel, size = kernel_sizes(convolution)[axis], (convolution.height, convolution.width)[axis]
    outputs = (convolution.output_height, convolution.output_width)[axis]
    stride, dilation = convolution.stride[axis], convolution.dilation[axis]
    windows = len(range(phase, size, stride))
    taps = np.arange(kernel - 1, -1, -1)
    distance = phase + convolution.padding[2 * axis] - taps * dilation
    offsets = distance // stride
    meets = (distance % stride == 0) & (offsets < outputs) & (offsets + windows > 0)
    return _PhaseTaps(taps[meets], offsets[meets], windows)


def _filter_places(convolution: Convolution, vectors: int, taps: Sequence[int], elements: int) -> Places:
    """Weights with one vector per filter, or per input channel: vector, tap, element."""
    length = convolution.kernel_height * convolution.kernel_width * elements
    numbers = np.arange(vectors)
    return Places(
        base=np.arange(convolution.groups * vectors).reshape(convolution.groups, vectors) * length,
        offset=np.array(taps)[:, None] * elements + np.arange(elements),
        touched_by=TouchedBy(first=numbers, last=numbers),
    )


def _window_places(
    shape: tuple[int, int, int, int], groups: int, windows: Windows, border: Border, window_order: str
) -> Places:
    """Windows of an image with channels last, one vector each; segments are their taps, elements channels."""
    images, channels, *sizes = shape
    strides = channels_last_strides(shape, border)
    outer, inner = (0, 1) if window_order == "npq" else (1, 0)
    # Offsets count from the first tap, so that none is negative: that would mean a lane without operand.
    lowest = tuple(int(starts.min()) for starts in windows.starts)
    image = np.arange(images)[:, None]
    window = [np.arange(count) * stride for count, stride in zip(windows.counts, windows.stride, strict=True)]
    place = [(window[axis] + border[2 * axis] + lowest[axis]) * strides[2 + axis] for axis in (0, 1)]
    group = np.arange(groups)[:, None] * (channels // groups)
    tap_y, tap_x = (grid.reshape(-1, 1) for grid in np.meshgrid(*windows.starts, indexing="ij"))
    size = sizes[outer]
    # Taps whose lines follow one another are one stretch.
    taps = np.sort(windows.starts[outer])
    ends = np.flatnonzero(np.append(taps[1:] - taps[:-1] > 1, True))
    low, high = taps[np.append(0, ends[:-1] + 1)], taps[ends]
    first = image * size + np.maximum(window[outer] + low[:, None, None], 0)
    last = image * size + np.minimum(window[outer] + high[:, None, None], size - 1)
    lines = (image * strides[0] + place[outer]).reshape(-1, 1)
    return Places(
        base=(group[:, :, None] + lines + place[inner]).reshape(groups, -1),
        offset=(tap_y - lowest[0]) * strides[2] + (tap_x - lowest[1]) * strides[3] + np.arange(channels // groups),
        touched_by=TouchedBy(
            first=first.reshape(low.size, -1), last=last.reshape(low.size, -1), vectors=windows.counts[inner]
        ),
    )
