"""A layer's three passes as contractions: rows x columns x reduction (docs/model.md §1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from swatsim.errors import MappingError
from swatsim.layer import Convolution, Layer, Operand
from swatsim.passes import OPERANDS, REVERSED
from swatsim.reduction import WHOLE, Part, cut_operands, reduction_parts
from swatsim.sides import (
    BoolTensor,
    IntArray,
    Order,
    Padded,
    Side,
    Windows,
    bordered_size,
    channel_lines,
    filter_side,
    ordered_grid,
    window_side,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """Rows times columns, summed over the reduction; both sides have the same groups and elements.

    The segments of the reduction are taps (axes r, s) or, where `taps` is None, images. The columns are windows of
    `image` (N, C, H, W, without border), each value of which tap r of `windows` meets at position u if its coordinate
    is starts[r] + stride · u. In weight_grad u are positions of the rows' tensor, and r those of the result.
    """

    rows: Side
    columns: Side
    taps: tuple[int, int] | None
    image: BoolTensor
    windows: Windows

    @property
    def macs(self) -> int:
        """Multiply positions, those with padding included."""
        return self.rows.base.size * self.columns.vectors * self.rows.offset.size


def contract(layer: Layer, pass_name: str, order: Order, part: Part = WHOLE) -> tuple[Contraction, ...]:
    """Write one pass of a layer, or a part of its reduction, as contractions: one a phase of a strided input gradient.

    A transposed convolution is the reverse of the convolution underneath: its forward pass is that one's input
    gradient, and its input is that one's output gradient.

    Raises MappingError where a tensor with its border is too large to hold.
    """
    convolution = layer.spec.convolution
    operands = layer.passes[pass_name].operands
    if layer.spec.transposed:
        reverse = {"input": "output_grad", "output_grad": "input", "weight": "weight"}
        operands = {reverse[role]: operand for role, operand in operands.items()}
        pass_name = REVERSED[pass_name]
    first, second = (
        _four_dimensional(convolution, role, operands[role], layer.spec.kind) for role in OPERANDS[pass_name]
    )
    contractors: dict[str, Callable[..., tuple[Contraction, ...]]] = {
        "forward": _forward, "input_grad": _input_grad, "weight_grad": _weight_grad,
    }  # fmt: skip
    try:
        contractions = contractors[pass_name](*cut_operands(convolution, pass_name, first, second, part), order)
    except MappingError as error:
        raise MappingError(f"{layer.spec.name}: {error}") from None
    return tuple(map(_reversed, contractions)) if layer.spec.transposed else contractions


def parts_of(layer: Layer, pass_name: str, lanes: int, order: Order, count: int) -> tuple[Part, ...]:
    """Parts of the reduction of a pass, about `count` of them."""
    counted = REVERSED[pass_name] if layer.spec.transposed else pass_name
    return reduction_parts(layer.spec.convolution, counted, lanes, order.windows, count)


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
    filters = filter_side(weight, convolution.groups, np.ndindex(taps), channels_are_rows=False)
    windows = _windows(convolution)
    columns = window_side("input", input, windows, convolution.groups, order)
    return (Contraction(rows=filters, columns=columns, taps=taps, image=input, windows=windows),)


def _input_grad(
    convolution: Convolution, output_grad: BoolTensor, weight: BoolTensor, order: Order
) -> tuple[Contraction, ...]:
    contractions = []
    sizes = (convolution.height, convolution.width)
    # A phase beyond the tensor has no windows.
    for phase in np.ndindex(*map(min, convolution.stride, sizes)):
        axes = [_phase_taps(convolution, axis, phase[axis]) for axis in (0, 1)]
        if any(axis.taps.size == 0 or axis.windows == 0 for axis in axes):
            continue
        taps = list(itertools.product(axes[0].taps, axes[1].taps))
        windows = Windows(
            starts=(axes[0].offsets, axes[1].offsets), stride=(1, 1), counts=(axes[0].windows, axes[1].windows),
            border=(0, 0, 0, 0),
        )  # fmt: skip
        contractions.append(Contraction(
            rows=filter_side(weight, convolution.groups, taps, channels_are_rows=True),
            columns=window_side("output", output_grad, windows, convolution.groups, order),
            taps=(axes[0].taps.size, axes[1].taps.size), image=output_grad, windows=windows,
        ))  # fmt: skip
    return tuple(contractions)


def _weight_grad(
    convolution: Convolution, output_grad: BoolTensor, input: BoolTensor, order: Order
) -> tuple[Contraction, ...]:
    images, filters = output_grad.shape[:2]
    channels, groups = convolution.channels // convolution.groups, convolution.groups
    stride, dilation = convolution.stride, convolution.dilation
    padded = Padded.of(input, convolution.padding, channels_last=False)
    window_axes = (0, 1) if order.windows == "npq" else (1, 0)
    sizes = (convolution.output_height, convolution.output_width)
    p, q = (axis.reshape(-1) for axis in ordered_grid(sizes, window_axes))
    tap_axes = tuple("rsc".index(letter) for letter in order.steps)
    r, s, c = (axis.reshape(-1) for axis in ordered_grid((*_kernel(convolution), channels), tap_axes))
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
        full=bool(output_grad.all()),
        lines=channel_lines(output_grad, groups, np.arange(filters // groups)),
    )
    shifted_columns = Side(
        role="input",
        present=padded.flat,
        base=padded.address(0, group * channels + c, r * dilation[0], s * dilation[1]),
        offset=padded.address(image, 0, p * stride[0], q * stride[1]),
        nonzeros=int(np.count_nonzero(input)),
        positions=bordered_size(input, convolution.padding),
        full=bool(input.all()),
        lines=channel_lines(input, groups, c),
    )
    return (
        Contraction(
            rows=gradient_rows, columns=shifted_columns, taps=None, image=input, windows=_windows(convolution)
        ),
    )  # fmt: skip


def _windows(convolution: Convolution) -> Windows:
    """Those of a convolution's input."""
    return Windows(
        starts=tuple(
            -convolution.padding[2 * axis] + convolution.dilation[axis] * np.arange(taps)
            for axis, taps in enumerate(_kernel(convolution))
        ),
        stride=convolution.stride,
        counts=(convolution.output_height, convolution.output_width),
        border=convolution.padding,
    )


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
