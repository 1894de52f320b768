"""A layer's three passes as contractions: rows x columns x reduction (docs/model.md §1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from swatsim.errors import MappingError
from swatsim.layer import Convolution, Layer, Operand
from swatsim.layouts import Block, Tensor, Words, bordered_size
from swatsim.passes import OPERANDS, REVERSED
from swatsim.places import Places, image_shape, inner_last, input_windows, kernel_sizes, phases, shifts
from swatsim.reduction import WHOLE, Cut, Part, cut_reduction, reduction_parts
from swatsim.sides import Lines, Order, Reduction, Side, Windows, channel_lines, count_vectors, image_lines, runs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """Rows times columns, summed over the reduction; both sides have the same groups and elements.

    The segments of the reduction are taps (axes r, s) or, where `taps` is None, images. The columns are windows of
    `image` (without border), each value of which tap r of `windows` meets at position u if its coordinate
    is starts[r] + stride · u. In weight_grad u are positions of the rows' tensor, and r those of the result.
    """

    rows: Side
    columns: Side
    taps: tuple[int, int] | None
    image: Block
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
    spec, operands = layer.spec, layer.passes[pass_name].operands
    convolution, linear = spec.convolution, spec.kind == "linear"
    if spec.transposed:
        reverse = {"input": "output_grad", "output_grad": "input", "weight": "weight"}
        operands = {reverse[role]: operand for role, operand in operands.items()}
        pass_name = REVERSED[pass_name]
    first, second = (operand_tensor(convolution, role, operands[role], linear=linear) for role in OPERANDS[pass_name])
    cut = cut_reduction(convolution, pass_name, part)
    try:
        if pass_name == "weight_grad":
            contractions = _weight_grad(convolution, first, second, cut, order)
        else:
            contractions = _windowed(convolution, pass_name, (first, second), cut, order)
    except MappingError as error:
        raise MappingError(f"{spec.name}: {error}") from None
    return tuple(map(_reversed, contractions)) if spec.transposed else contractions


def parts_of(layer: Layer, pass_name: str, lanes: int, order: Order, count: int) -> tuple[Part, ...]:
    """Parts of the reduction of a pass, about `count` of them."""
    counted = REVERSED[pass_name] if layer.spec.transposed else pass_name
    return reduction_parts(layer.spec.convolution, counted, lanes, order.windows, count)


def operand_tensor(convolution: Convolution, role: str, operand: Operand, *, linear: bool) -> Tensor:
    """An operand of the convolution underneath a layer."""
    if role == "weight":
        channels = convolution.channels // convolution.groups
        return Tensor(bits=operand.bits, shape=(convolution.filters, channels, *kernel_sizes(convolution)))
    shape = image_shape(convolution, "forward" if role == "input" else "input_grad")
    return Tensor(bits=operand.bits, shape=shape, positions_first=linear)


def _reversed(contraction: Contraction) -> Contraction:
    """Name the sides' tensors as the transposed layer does."""
    names = {"input": "output", "output": "input", "weight": "weight"}
    rows, columns = (replace(side, role=names[side.role]) for side in (contraction.rows, contraction.columns))
    return replace(contraction, rows=rows, columns=columns)


def _windowed(
    convolution: Convolution, pass_name: str, tensors: tuple[Tensor, Tensor], cut: Cut, order: Order
) -> tuple[Contraction, ...]:
    """Forward, or the phases of an input gradient: filters, or input channels, times windows."""
    image, weight = tensors
    groups, elements = convolution.groups, cut.first[1]
    axis = inner_last(order)[0]
    block = Block(tensor=image, groups=groups, ranges=cut.first)
    role = "input" if pass_name == "forward" else "output"
    contractions = []
    for phase in phases(convolution, pass_name, order.windows):
        positions = bordered_size(block.shape, phase.span)
        lines = image_lines(image, groups, phase.border, elements, axis)
        places = phase.columns
        columns = Side(
            role=role, words=lines.words, base=places.base, reduction=places.part(range(len(places.offset)), elements),
            positions=positions, full=lines.total == lines.values, lines=lines, touched_by=places.touched_by,
        )  # fmt: skip
        rows = _filter_side(phase.rows, weight, groups, elements, channels_are_rows=pass_name == "input_grad")
        contractions.append(
            Contraction(rows=rows, columns=columns, taps=phase.taps, image=block, windows=phase.windows)
        )
    return tuple(contractions)


def _filter_side(places: Places, weight: Tensor, groups: int, elements: range, *, channels_are_rows: bool) -> Side:
    """Weights with one vector per filter, or per input channel; the taps and elements that the contraction has."""
    words = weight.by_channel(groups) if channels_are_rows else weight.by_filter()
    segments, taps = len(places.offset), weight.shape[2] * weight.shape[3]
    reduction = places.part(range(segments), elements)
    lines = Lines(shape=(segments, len(elements)), words=words, start=places.base, runs=reduction.runs)
    full = lines.total == lines.values
    if full and segments < taps and weight.bits.nonzeros < weight.bits.size:
        # Whether the tensor has zeros is asked of those taps too that no window of this phase meets.
        every = np.arange(taps) * (weight.bits.size // (places.base.size * taps)) + elements.start
        full = bool((count_vectors(words, places.base, runs_of(every, len(elements))) == taps * len(elements)).all())
    return Side(
        role="weight", words=words, base=places.base, reduction=reduction, positions=lines.values, full=full,
        lines=lines, touched_by=places.touched_by, by_line=True,
    )  # fmt: skip


def _weight_grad(
    convolution: Convolution, output_grad: Tensor, image: Tensor, cut: Cut, order: Order
) -> tuple[Contraction, ...]:
    part, places = cut.convolution, shifts(convolution, order)
    outer, inner = inner_last(order)
    gradient, block = (
        Block(tensor=tensor, groups=convolution.groups, ranges=ranges)
        for tensor, ranges in ((output_grad, cut.first), (image, cut.second))
    )
    positions = bordered_size(block.shape, part.padding)
    # A part has all positions of the outer axis, or the outer axis is a single one long.
    width = output_grad.shape[2 + inner]
    along, across = cut.first[2 + outer], cut.first[2 + inner]
    elements = range(along.start * width + across.start, (along.stop - 1) * width + across.stop)
    turned = inner == 0
    rows = _channel_side(
        "output", gradient, output_grad.planes(turned=turned), places.rows, places.rows.part(cut.first[0], elements)
    )
    columns = _channel_side(
        "input", block, image.bordered_planes(convolution.padding, convolution.stride[inner], turned=turned),
        places.columns, places.columns.part(cut.first[0], elements),
    )  # fmt: skip
    rows = replace(rows, by_line=True)
    columns = replace(columns, positions=positions)
    return (Contraction(rows=rows, columns=columns, taps=None, image=block, windows=input_windows(part)),)


def _channel_side(role: str, block: Block, words: Words, places: Places, reduction: Reduction) -> Side:
    """Vectors that are within a channel each."""
    lines = channel_lines(block)
    return Side(
        role=role, words=words, base=places.base, reduction=reduction, positions=lines.values,
        full=lines.total == lines.values, lines=lines, touched_by=places.touched_by,
    )  # fmt: skip
