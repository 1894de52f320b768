"""Cut the reduction of a pass into parts, each a smaller convolution of parts of the tensors (docs/model.md §3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from swatsim.layer import Convolution
from swatsim.layouts import Ranges

Range = tuple[int, int]
Plane = tuple[range, range]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a reduction: channels of each group (filters, in input_grad), or images and output positions."""

    channels: Range | None = None
    images: Range | None = None
    rows: Range | None = None  # of the output, within one image
    columns: Range | None = None


WHOLE = Part()
# Of so many reductions, cut or to be cut: layers of one shape are cut alike.
PARTS_KEPT = 256


@lru_cache(maxsize=PARTS_KEPT)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The smaller convolution that a part is, and what it has of the operands (in the order of `OPERANDS`).

    Ranges are those of images, channels of each group, rows and columns; of a weight, of filters of each group,
    channels, kernel rows and kernel columns. Where an operand is only padding, one of them is empty.
    """

    convolution: Convolution
    first: Ranges
    second: Ranges


@lru_cache(maxsize=PARTS_KEPT)
def cut_reduction(convolution: Convolution, pass_name: str, part: Part) -> Cut:
    """Cut the part out of both operands."""
    groups = convolution.groups
    images, channels, filters = (range(n) for n in (
        convolution.images, convolution.channels // groups, convolution.filters // groups
    ))  # fmt: skip
    inputs = (range(convolution.height), range(convolution.width))
    outputs = (range(convolution.output_height), range(convolution.output_width))
    if pass_name == "weight_grad":
        if part.images is not None:
            images = range(*part.images)
            convolution = replace(convolution, images=len(images))
        for axis, positions in enumerate((part.rows, part.columns)):
            if positions is not None:
                convolution, outputs, inputs = _cut_positions(convolution, outputs, inputs, axis, range(*positions))
        return Cut(convolution=convolution, first=(images, filters, *outputs), second=(images, channels, *inputs))
    kernel = (range(convolution.kernel_height), range(convolution.kernel_width))
    elements = channels if pass_name == "forward" else filters
    if part.channels is not None:
        elements = range(*part.channels)
        kept = len(elements) * groups
        forward = pass_name == "forward"
        convolution = replace(convolution, channels=kept) if forward else replace(convolution, filters=kept)
    if pass_name == "forward":
        return Cut(convolution=convolution, first=(images, elements, *inputs), second=(filters, elements, *kernel))
    return Cut(convolution=convolution, first=(images, elements, *outputs), second=(elements, channels, *kernel))


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


def _cut_positions(
    convolution: Convolution, outputs: Plane, inputs: Plane, axis: int, positions: range
) -> tuple[Convolution, Plane, Plane]:
    """Rows (axis 0) or columns of the output gradient, and what of the input their windows touch."""
    kernel = (convolution.kernel_height, convolution.kernel_width)[axis]
    size = (convolution.height, convolution.width)[axis]
    before = convolution.padding[2 * axis]
    low = positions.start * convolution.stride[axis] - before
    high = (positions.stop - 1) * convolution.stride[axis] + (kernel - 1) * convolution.dilation[axis] + 1 - before
    touched = range(min(max(low, 0), size), min(max(high, 0), size))
    border = (touched.start - low, high - touched.stop) if touched else (0, high - low - 1)
    padding = list(convolution.padding)
    padding[2 * axis : 2 * axis + 2] = border
    smaller = replace(convolution, padding=(padding[0], padding[1], padding[2], padding[3]))
    outside, inside = len(positions), max(1, len(touched))
    if axis == 0:
        return replace(smaller, output_height=outside, height=inside), (positions, outputs[1]), (touched, inputs[1])
    return replace(smaller, output_width=outside, width=inside), (outputs[0], positions), (inputs[0], touched)
