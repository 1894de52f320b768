"""Cut the reduction of a pass into parts, each a smaller convolution of parts of the tensors (docs/model.md §3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from swatsim.layer import Convolution
from swatsim.sides import BoolTensor

Range = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a reduction: channels of each group (filters, in input_grad), or images and output positions."""

    channels: Range | None = None
    images: Range | None = None
    rows: Range | None = None  # of the output, within one image
    columns: Range | None = None


WHOLE = Part()


def reduction_parts(convolution: Convolution, pass_name: str, lanes: int, windows: str, count: int) -> tuple[Part, ...]:
    """Cut a reduction into about `count` parts of about equal size, none of which ends within a step of `lanes`.

    Fewer come out where the reduction has fewer steps to cut between. Channels are cut in forward and input_grad; in
    weight_grad images, and where there are too few of them the output positions of each, along the outer axis of
    `windows` ("npq" or "nqp").
    """
    if pass_name != "weight_grad":
        elements = convolution.channels if pass_name == "forward" else convolution.filters
        elements //= convolution.groups
        return tuple(Part(channels=channels) for channels in _ranges(elements, lanes, count))
    if count <= convolution.images:
        return tuple(Part(images=images) for images in _ranges(convolution.images, 1, count))
    axis, granule = _position_axis(convolution, lanes, windows)
    size = (convolution.output_height, convolution.output_width)[axis]
    ranges = _ranges(size, granule, -(-count // convolution.images))
    return tuple(
        Part(images=(image, image + 1), **{("rows", "columns")[axis]: positions})
        for image in range(convolution.images)
        for positions in ranges
    )


def cut_operands(
    convolution: Convolution, pass_name: str, first: BoolTensor, second: BoolTensor, part: Part
) -> tuple[Convolution, BoolTensor, BoolTensor]:
    """The smaller convolution that a part is, and its operands (in the order of `OPERANDS`)."""
    if part.channels is not None:
        if pass_name == "forward":
            channels = (part.channels[1] - part.channels[0]) * convolution.groups
            smaller = replace(convolution, channels=channels)
            return smaller, _of_each_group(first, convolution.groups, part.channels), second[:, slice(*part.channels)]
        filters = (part.channels[1] - part.channels[0]) * convolution.groups
        first = _of_each_group(first, convolution.groups, part.channels)
        second = _of_each_group(second, convolution.groups, part.channels, 0)
        return replace(convolution, filters=filters), first, second
    if part.images is not None:
        images = slice(*part.images)
        convolution = replace(convolution, images=part.images[1] - part.images[0])
        first, second = first[images], second[images]
        for axis, positions in enumerate((part.rows, part.columns)):
            if positions is not None:
                convolution, first, second = _cut_positions(convolution, first, second, axis, positions)
    return convolution, np.ascontiguousarray(first), np.ascontiguousarray(second)


def _ranges(size: int, granule: int, count: int) -> tuple[Range, ...]:
    granules = -(-size // granule)
    count = min(count, granules)
    edges = [granules * number // count * granule for number in range(count)] + [size]
    return tuple(pairwise(edges))


def _position_axis(convolution: Convolution, lanes: int, windows: str) -> tuple[int, int]:
    """The axis along which an image's output positions are cut, and the smallest cut that fills its lanes."""
    sizes = (convolution.output_height, convolution.output_width)
    outer = 0 if windows == "npq" else 1
    if sizes[outer] == 1:
        return 1 - outer, lanes
    granule = lanes // math.gcd(sizes[1 - outer], lanes)
    return outer, granule


def _of_each_group(tensor: BoolTensor, groups: int, channels: Range, axis: int = 1) -> BoolTensor:
    shape = tensor.shape
    grouped = tensor.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    chosen = grouped.take(range(*channels), axis=axis + 1)
    return np.ascontiguousarray(chosen.reshape(*shape[:axis], -1, *shape[axis + 1 :]))


def _cut_positions(
    convolution: Convolution, output_grad: BoolTensor, input: BoolTensor, axis: int, positions: Range
) -> tuple[Convolution, BoolTensor, BoolTensor]:
    """Rows (axis 0) or columns of the output gradient, and what of the input their windows touch."""
    first, last = positions
    kernel = (convolution.kernel_height, convolution.kernel_width)[axis]
    size = (convolution.height, convolution.width)[axis]
    before = convolution.padding[2 * axis]
    low = first * convolution.stride[axis] - before
    high = (last - 1) * convolution.stride[axis] + (kernel - 1) * convolution.dilation[axis] + 1 - before
    names = (("output_height", "height"), ("output_width", "width"))[axis]
    inside = (min(max(low, 0), size), min(max(high, 0), size))
    gradient = output_grad.take(range(first, last), axis=2 + axis)
    if inside[0] < inside[1]:
        touched, border = input.take(range(*inside), axis=2 + axis), (inside[0] - low, high - inside[1])
    else:  # only padding is touched
        shape = [*input.shape]
        shape[2 + axis] = 1
        touched, border = np.zeros(shape, dtype=np.bool_), (0, high - low - 1)
    padding = list(convolution.padding)
    padding[2 * axis : 2 * axis + 2] = border
    smaller = replace(
        convolution,
        padding=(padding[0], padding[1], padding[2], padding[3]),
        **{names[0]: last - first, names[1]: touched.shape[2 + axis]},
    )
    return smaller, gradient, touched
