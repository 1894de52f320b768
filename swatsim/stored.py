"""What each tensor of a layer takes in the outermost memory, as each pass reads it (docs/model.md §3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from swatsim.architecture import Architecture
from swatsim.contraction import operand_tensor
from swatsim.formats import Pieces, stored_bytes
from swatsim.layer import Convolution, Layer, LayerSpec, Operand
from swatsim.layouts import NO_BORDER, Block, Tensor
from swatsim.passes import OPERANDS, REVERSED, called_layer
from swatsim.places import phases
from swatsim.sides import Lines, channel_lines, filter_lines, image_lines

# The two passes that read each tensor (an output gradient has the output's shape), in the order in which it is written.
READERS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "input": (("forward", "input"), ("weight_grad", "input")),
    "weight": (("forward", "weight"), ("input_grad", "weight")),
    "output": (("input_grad", "output_grad"), ("weight_grad", "output_grad")),
}
DENSE_COPY = ("dense",)

# The order in which a pass of a convolution reads each operand; "image_lines" are rows or columns by window order.
_ORDERS = {
    ("forward", "input"): "image_lines",
    ("forward", "weight"): "filters",
    ("input_grad", "output_grad"): "image_lines",
    ("input_grad", "weight"): "input_channels",
    ("weight_grad", "output_grad"): "channels",
    ("weight_grad", "input"): "channels",
}
# A transposed convolution is the reverse of another one: their inputs and output gradients are exchanged.
_REVERSED_ROLES = {"input": "output_grad", "output_grad": "input", "weight": "weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One operand of one pass in the outermost memory."""

    order: str  # of its pieces
    pieces: tuple[int, int, int]  # their number, and rows and columns of each; the same for all dense copies
    format: str
    bits: str  # equal where the same values are present
    sparsity: Fraction | None  # the budget at which it was selected
    values: int
    stored_bytes: int
    dense_bytes: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for copies of one tensor that are the same bytes.

        Any order can be read from a dense tensor, and what a selection drops can be dropped on the way.
        """
        return DENSE_COPY if self.dense else (self.order, self.pieces, self.format, self.bits)

    @property
    def dense(self) -> bool:
        """Whether all values are stored, zeros and what a selection drops too."""
        return self.format == "dense"

    @property
    def selected(self) -> bool:
        """Whether a selection has dropped values of the tensor."""
        return bool(self.sparsity)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSizes:
    """The operands of a layer's passes in the outermost memory, by pass and role; of the passes that are computed."""

    spec: LayerSpec
    copies: Mapping[tuple[str, str], Copy]

    @property
    def computed(self) -> frozenset[str]:
        """The passes that are computed."""
        return frozenset(pass_name for pass_name, _ in self.copies)

    def of(self, tensor: str) -> tuple[Copy, ...]:
        """The copies of a tensor (input, weight or output, its gradient) that the layer's passes read: different ones.

        The first is written where the tensor is made; a second one is what its format costs: the passes read in
        different orders, or different values are selected for them.
        """
        found: dict[tuple[object, ...], Copy] = {}
        for reader in READERS[tensor]:
            if reader in self.copies:
                found.setdefault(self.copies[reader].key, self.copies[reader])
        return tuple(found.values())

    def selected(self, tensor: str) -> bool:
        """Whether a pass of the layer reads a selection of a tensor, in whatever copy."""
        return any(reader in self.copies and self.copies[reader].selected for reader in READERS[tensor])

    def values_of(self, tensor: str) -> int:
        """Values of a tensor, absent ones too."""
        return math.prod(self.spec.shape_of(tensor))

    def second(self, tensor: str) -> Copy | None:
        """The copy that is needed besides the first one, or None."""
        copies = self.of(tensor)
        return copies[1] if len(copies) > 1 else None


def by_weight(sizes: Mapping[str, StoredSizes]) -> tuple[tuple[str, ...], ...]:
    """Layers by name, those together that are calls of one module and share its weight."""
    found: dict[str, list[str]] = {}
    for name, each in sizes.items():
        called = called_layer(name)
        shared = called in sizes and sizes[called].spec.weight_shape == each.spec.weight_shape
        found.setdefault(called if shared else name, []).append(name)
    return tuple(map(tuple, found.values()))


def stored_copies(
    layer: Layer, pass_name: str, architecture: Architecture, formats: Mapping[str, str]
) -> dict[tuple[str, str], Copy]:
    """Measure the operands of one pass, by pass and role, in the order in which it reads them.

    `formats` gives tensors (input, weight, output) a format in place of the outermost level's, which one without zeros
    does not have either: it is stored dense. Soon after the pass has been planned its layouts are still there.
    """
    level = architecture.memory.levels[architecture.memory.outermost]
    value_bytes = architecture.datapath.value_bytes
    axis = 0 if architecture.mapping.window_order == "npq" else 1
    copies: dict[tuple[str, str], Copy] = {}
    for role in OPERANDS[pass_name]:
        operand = layer.passes[pass_name].operands[role]
        bits = operand.bits
        # No format makes a tensor without zeros smaller.
        usual = "dense" if bits.nonzeros == bits.size else level.format
        name = formats.get(role.removesuffix("_grad"), usual)
        order, pieces = _pieces(layer.spec, pass_name, role, operand, (name, axis))
        copies[pass_name, role] = Copy(
            order=order, pieces=(pieces.nonzeros.size, pieces.rows, pieces.columns), format=name,
            bits=bits.digest, sparsity=operand.sparsity, values=bits.size,
            stored_bytes=int(stored_bytes(name, pieces, value_bytes).sum()), dense_bytes=bits.size * value_bytes,
        )  # fmt: skip
    return copies


def _pieces(
    spec: LayerSpec, pass_name: str, role: str, operand: Operand, stored: tuple[str, int]
) -> tuple[str, Pieces]:
    """The order of an operand's pieces, and the pieces; `stored`: the format, and the axis along which lines lie."""
    format_name, axis = stored
    if spec.transposed:
        pass_name, role = REVERSED[pass_name], _REVERSED_ROLES[role]
    order = _ORDERS[pass_name, role]
    if format_name == "dense":
        size = operand.bits.size
        return order, Pieces(rows=1, columns=size, nonzeros=np.array([size]))
    convolution = spec.convolution
    tensor = operand_tensor(convolution, role, operand, linear=spec.kind == "linear")
    lines = _lines(convolution, pass_name, tensor, order, axis)
    return order, lines.pieces(format_name)


def _lines(convolution: Convolution, pass_name: str, tensor: Tensor, order: str, axis: int) -> Lines:
    images, channels, *sizes = tensor.shape
    groups, filters = convolution.groups, convolution.filters // convolution.groups
    if order == "image_lines":
        found = phases(convolution, pass_name, ("npq", "nqp")[axis])
        border = found[0].border if found else NO_BORDER
        return image_lines(tensor, groups, border, range(channels // groups), axis)
    if order == "channels":
        ranges = (range(images), range(channels), range(sizes[0]), range(sizes[1]))
        return channel_lines(Block(tensor=tensor, groups=1, ranges=ranges))
    taps = convolution.kernel_height * convolution.kernel_width
    if order == "filters":
        return filter_lines(tensor.by_filter(), 1, images, (taps, channels))
    return filter_lines(tensor.by_channel(groups), groups, channels, (taps, filters))
