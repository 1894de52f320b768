"""A layer's three passes as contractions: rows x columns x reduction (docs/model.md §1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.layer import Convolution, Layer, Operand
from swatsim.passes import OPERANDS

BoolTensor = NDArray[np.bool_]
IntArray = NDArray[np.int64]


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
    values: int  # values in each line of one group
    nonzeros: IntArray  # [group, line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """Rows times columns, summed over the reduction; both sides have the same groups and elements.

    The segments of the reduction are taps (axes r, s) or, where `taps` is None, images.
    """

    rows: Side
    columns: Side
    taps: tuple[int, int] | None

    @property
    def macs(self) -> int:
        """Multiply positions, those with padding included."""
        return self.rows.base.size * self.columns.vectors * self.rows.offset.size


def contract(layer: Layer, pass_name: str, order: Order) -> tuple[Contraction, ...]:
    """Write one pass of a layer as contractions: one, or one per phase of a strided input gradient.

    A transposed convolution is the reverse of the convolution underneath: its forward pass is that one's input
    gradient, and its input is that one's output gradient.
    """
    convolution = layer.spec.convolution
    operands = layer.passes[pass_name].operands
    if layer.spec.transposed:
        reverse = {"input": "output_grad", "output_grad": "input", "weight": "weight"}
        operands = {reverse[role]: operand for role, operand in operands.items()}
        pass_name = {"forward": "input_grad", "input_grad": "forward"}.get(pass_name, pass_name)
    first, second = (
        _four_dimensional(convolution, role, operands[role], layer.spec.kind) for role in OPERANDS[pass_name]
    )
    contractors: dict[str, Callable[..., tuple[Contraction, ...]]] = {
        "forward": _forward, "input_grad": _input_grad, "weight_grad": _weight_grad,
    }  # fmt: skip
    contractions = contractors[pass_name](convolution, first, second, order)
    return tuple(map(_reversed, contractions)) if layer.spec.transposed else contractions


def _reversed(contraction: Contraction) -> Contraction:
    """Name the sides' tensors as the transposed layer does."""
    names = {"input": "output", "output": "input", "weight": "weight"}
    rows, columns = (replace(side, role=names[side.role]) for side in (contraction.rows, contraction.columns))
    return replace(contraction, rows=rows, columns=columns)


def _four_dimensional(convolution: Convolution, role: str, operand: Operand, kind: str) -> BoolTensor:
    present = operand.bits.to_bool()
    if role == "weight":
        shape = (convolution.filters, -1, convolution.kernel_height, convolution.kernel_width)
        return present.reshape(shape)
    if kind == "linear":
        return np.ascontiguousarray(present.reshape(-1, present.shape[-1]).T)[None, :, None, :]
    return present if present.ndim == 4 else present[:, :, None, :]


def _forward(convolution: Convolution, input: BoolTensor, weight: BoolTensor, order: Order) -> tuple[Contraction, ...]:
    taps = (convolution.kernel_height, convolution.kernel_width)
    filters = _filter_side(weight, convolution.groups, np.ndindex(taps), channels_are_rows=False)
    windows = _Windows(
        starts=tuple(
            -convolution.padding[2 * axis] + convolution.dilation[axis] * np.arange(taps[axis]) for axis in (0, 1)
        ),
        stride=convolution.stride,
        counts=(convolution.output_height, convolution.output_width),
        border=convolution.padding,
    )
    return (
        Contraction(rows=filters, columns=_window_side("input", input, windows, convolution.groups, order), taps=taps),
    )


def _input_grad(
    convolution: Convolution, output_grad: BoolTensor, weight: BoolTensor, order: Order
) -> tuple[Contraction, ...]:
    contractions = []
    for phase in np.ndindex(convolution.stride):
        axes = [_phase_taps(convolution, axis, phase[axis]) for axis in (0, 1)]
        if any(axis.taps.size == 0 or axis.windows == 0 for axis in axes):
            continue
        taps = list(itertools.product(axes[0].taps, axes[1].taps))
        windows = _Windows(
            starts=(axes[0].offsets, axes[1].offsets), stride=(1, 1), counts=(axes[0].windows, axes[1].windows),
            border=(0, 0, 0, 0),
        )  # fmt: skip
        contractions.append(Contraction(
            rows=_filter_side(weight, convolution.groups, taps, channels_are_rows=True),
            columns=_window_side("output", output_grad, windows, convolution.groups, order),
            taps=(axes[0].taps.size, axes[1].taps.size),
        ))  # fmt: skip
    return tuple(contractions)


def _weight_grad(
    convolution: Convolution, output_grad: BoolTensor, input: BoolTensor, order: Order
) -> tuple[Contraction, ...]:
    images, filters = output_grad.shape[:2]
    channels, groups = convolution.channels // convolution.groups, convolution.groups
    stride, dilation = convolution.stride, convolution.dilation
    padded = _Padded.of(input, convolution.padding, channels_last=False)
    window_axes = (0, 1) if order.windows == "npq" else (1, 0)
    sizes = (convolution.output_height, convolution.output_width)
    p, q = (axis.reshape(-1) for axis in _ordered_grid(sizes, window_axes))
    tap_axes = tuple("rsc".index(letter) for letter in order.steps)
    r, s, c = (axis.reshape(-1) for axis in _ordered_grid((*_kernel(convolution), channels), tap_axes))
    image = np.arange(images)[:, None]
    plane = output_grad.shape[2] * output_grad.shape[3]
    group = np.arange(groups)[:, None]
    gradient_rows = Side(
        role="output",
        present=output_grad.reshape(-1).view(np.uint8),
        base=(group * (filters // groups) + np.arange(filters // groups)) * plane,
        offset=image * filters * plane + p * output_grad.shape[3] + q,
        nonzeros=int(np.count_nonzero(output_grad)),
        positions=output_grad.size,
        lines=_channel_lines(output_grad, groups, np.arange(filters // groups)),
    )
    shifted_columns = Side(
        role="input",
        present=padded.flat,
        base=padded.address(0, group * channels + c, r * dilation[0], s * dilation[1]),
        offset=padded.address(image, 0, p * stride[0], q * stride[1]),
        nonzeros=int(np.count_nonzero(input)),
        positions=_bordered_size(input, convolution.padding),
        lines=_channel_lines(input, groups, c),
    )
    return (Contraction(rows=gradient_rows, columns=shifted_columns, taps=None),)


class _PhaseTaps(NamedTuple):
    taps: IntArray  # kernel coordinates, by increasing coordinate of the output gradient
    offsets: IntArray  # for each: output coordinate minus window number
    windows: int


def _phase_taps(convolution: Convolution, axis: int, phase: int) -> _PhaseTaps:
    kernel, size = _kernel(convolution)[axis], (convolution.height, convolution.width)[axis]
    outputs = (convolution.output_height, convolution.output_width)[axis]
    stride, dilation = convolution.stride[axis], convolution.dilation[axis]
    windows = len(range(phase, size, stride))
    taps = np.arange(kernel - 1, -1, -1)
    distance = phase + convolution.padding[2 * axis] - taps * dilation
    offsets = distance // stride
    meets = (distance % stride == 0) & (offsets < outputs) & (offsets + windows > 0)
    return _PhaseTaps(taps[meets], offsets[meets], windows)


def _kernel(convolution: Convolution) -> tuple[int, int]:
    return (convolution.kernel_height, convolution.kernel_width)


def _bordered_size(tensor: BoolTensor, border: tuple[int, int, int, int]) -> int:
    images, channels, height, width = tensor.shape
    return int(images * channels * (height + border[0] + border[1]) * (width + border[2] + border[3]))


def _ordered_grid(sizes: tuple[int, ...], axes: tuple[int, ...]) -> list[IntArray]:
    """Coordinates of a grid (one array per axis of `sizes`) with `axes` from outermost to innermost."""
    grid = np.meshgrid(*(np.arange(sizes[axis]) for axis in axes), indexing="ij")
    return [grid[axes.index(axis)] for axis in range(len(sizes))]


class _Padded(NamedTuple):
    """A tensor with its border, flat, and how coordinates (image, channel, y, x) become addresses."""

    flat: NDArray[np.uint8]
    strides: tuple[int, int, int, int]

    @staticmethod
    def of(tensor: BoolTensor, border: tuple[int, int, int, int], *, channels_last: bool) -> _Padded:
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
        return _Padded(padded.reshape(-1), strides)

    def address(self, image: object, channel: object, y: object, x: object) -> IntArray:
        parts = (np.asarray(part) * stride for part, stride in zip((image, channel, y, x), self.strides, strict=True))
        return np.asarray(sum(parts), dtype=np.int64)


class _Windows(NamedTuple):
    """Windows (u, v) of a tensor: coordinate starts[axis][tap] + stride·u, `counts` of them along each axis."""

    starts: tuple[IntArray, ...]
    stride: tuple[int, int]
    counts: tuple[int, int]
    border: tuple[int, int, int, int]  # what belongs to the tensor even where no window touches it

    def span(self, axis: int, size: int) -> tuple[int, int]:
        """Border before and after a tensor of `size` that the windows touch."""
        low = int(self.starts[axis].min())
        high = int(self.starts[axis].max()) + self.stride[axis] * (self.counts[axis] - 1)
        before, after = self.border[2 * axis : 2 * axis + 2]
        return max(before, -low, 0), max(after, high - size + 1, 0)


def _window_side(role: str, tensor: BoolTensor, windows: _Windows, groups: int, order: Order) -> Side:
    images, channels, height, width = tensor.shape
    border = (*windows.span(0, height), *windows.span(1, width))
    padded = _Padded.of(tensor, border, channels_last=True)
    axes = (0, 1, 2) if order.windows == "npq" else (0, 2, 1)
    image, u, v = (axis.reshape(-1) for axis in _ordered_grid((images, *windows.counts), axes))
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
        positions=_bordered_size(tensor, border),
        lines=_window_lines(tensor, groups, windows, line_axis, image, (u, v)[line_axis]),
    )


def _window_lines(
    tensor: BoolTensor, groups: int, windows: _Windows, axis: int, image: IntArray, window: IntArray
) -> Lines:
    images, channels, *sizes = tensor.shape
    starts = windows.starts[axis]
    first = np.maximum(window * windows.stride[axis] + starts.min(), 0)
    last = np.minimum(window * windows.stride[axis] + starts.max(), sizes[axis] - 1)
    grouped = tensor.reshape(images, groups, channels // groups, *sizes)
    nonzeros = np.count_nonzero(grouped, axis=(2, 4 - axis)).transpose(1, 0, 2).reshape(groups, -1)
    return Lines(
        first=image * sizes[axis] + first,
        last=image * sizes[axis] + last,
        values=(channels // groups) * sizes[1 - axis],
        nonzeros=np.ascontiguousarray(nonzeros),
    )


def _channel_lines(tensor: BoolTensor, groups: int, channel_of_vector: IntArray) -> Lines:
    images, channels, height, width = tensor.shape
    nonzeros = np.count_nonzero(tensor, axis=(0, 2, 3)).reshape(groups, channels // groups)
    return Lines(first=channel_of_vector, last=channel_of_vector, values=images * height * width, nonzeros=nonzeros)


def _filter_side(weight: BoolTensor, groups: int, taps: object, *, channels_are_rows: bool) -> Side:
    """Weights with one vector per filter, or per input channel; only the given (r, s) taps."""
    filters, channels, kernel_height, kernel_width = weight.shape
    grouped = weight.reshape(groups, filters // groups, channels, kernel_height, kernel_width)
    chosen = np.stack([grouped[..., r, s] for r, s in taps], axis=-1)  # type: ignore[attr-defined]
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
        lines=Lines(first=np.arange(vectors), last=np.arange(vectors), values=tap_count * elements, nonzeros=nonzeros),
    )
