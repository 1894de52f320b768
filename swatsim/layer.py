"""A layer's shapes and, for each of its three passes, the operands that are multiplied."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from swatsim.arguments import budget, by_operand, exact_integers, integer, numbers, pair, sides
from swatsim.bits import BitTensor
from swatsim.errors import LayerError
from swatsim.passes import OPERANDS, PASSES, RESULTS

KINDS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")
# Sizes above this cannot be counted in int64 cycles and bytes once multiplied together.
LARGEST_DIMENSION = 1 << 31
# Characters that could split or repaint a line of output, and halves of surrogate pairs.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """The two-dimensional convolution that a layer is, or for a transposed layer, is the reverse of.

    input (images, channels, height, width) * weight (filters, channels/groups, kernel_height, kernel_width)
    -> output (images, filters, output_height, output_width). `padding` is (top, bottom, left, right).
    """

    images: int
    channels: int
    height: int
    width: int
    filters: int
    kernel_height: int
    kernel_width: int
    output_height: int
    output_width: int
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def macs(self) -> int:
        """Multiplications of the forward pass, those with padding included (C·K·R·S·P·Q)."""
        taps = self.kernel_height * self.kernel_width
        per_position = self.filters * (self.channels // self.groups) * taps
        return self.images * self.output_height * self.output_width * per_position

    @property
    def dilated_input_grad_macs(self) -> int:
        """The paper's count of the input gradient: C·K·R·S·H·W, dilation's zeros not skipped."""
        taps = self.kernel_height * self.kernel_width
        per_position = self.filters * (self.channels // self.groups) * taps
        return self.images * self.height * self.width * per_position


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """Shapes and strides of one layer, without its tensors.

    Shapes are as PyTorch has them: conv2d (N, C, H, W) and (K, C/groups, R, S); conv1d without the height;
    linear (..., in) and (out, in); transposed convolutions have weight (C, K/groups, R, S).
    `padding` is (top, bottom, left, right); one-dimensional kinds use (1, s), (0, 0, left, right) and (1, d).

    Raises LayerError where the shapes contradict each other.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    needs_input_grad: bool = True

    def __post_init__(self) -> None:
        """Small integers of NumPy would overflow where these are multiplied: all become Python's own."""
        _check_names(self)
        for field, count in (
            ("input_shape", None), ("weight_shape", None), ("output_shape", None),
            ("stride", 2), ("padding", 4), ("dilation", 2),
        ):  # fmt: skip
            values = exact_integers(getattr(self, field), f"{self.name}: {field}", count)
            object.__setattr__(self, field, values)
        object.__setattr__(self, "groups", integer(self.groups, f"{self.name}: groups"))
        _check_numbers(self)
        if self.kind == "linear":
            _check_linear(self)
        else:
            _check_convolution(self)

    @property
    def transposed(self) -> bool:
        """Whether the layer is the reverse of the convolution that `convolution` describes."""
        return self.kind.startswith("conv_transpose")

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that a training step makes through this layer."""
        return PASSES if self.needs_input_grad else ("forward", "weight_grad")

    def shape_of(self, role: str) -> tuple[int, ...]:
        """Shape of the tensor in one role: input, weight, output or output_grad."""
        shapes = {"input": self.input_shape, "weight": self.weight_shape}
        return shapes.get(role, self.output_shape)

    @property
    def convolution(self) -> Convolution:
        """The convolution underneath; a linear layer is 1x1 with its positions along the width."""
        if self.kind == "linear":
            positions = math.prod(self.input_shape[:-1])
            inputs: tuple[int, ...] = (1, self.input_shape[-1], 1, positions)
            outputs: tuple[int, ...] = (1, self.output_shape[-1], 1, positions)
            kernel: tuple[int, ...] = (1, 1)
        else:
            inputs, outputs = _with_height(self.input_shape), _with_height(self.output_shape)
            kernel = _with_height(self.weight_shape)[2:]
        if self.transposed:
            inputs, outputs = outputs, inputs
        return Convolution(
            images=inputs[0], channels=inputs[1], height=inputs[2], width=inputs[3],
            filters=outputs[1], kernel_height=kernel[0], kernel_width=kernel[1],
            output_height=outputs[2], output_width=outputs[3],
            stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """What one pass multiplies; `sparsity` is the budget at which it was selected (None: natural zeros only)."""

    bits: BitTensor
    sparsity: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOperands:
    """The two operands of a pass by role, and which entries of the result are needed (None: all)."""

    operands: Mapping[str, Operand]
    result_mask: BitTensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a training step with the operands of its passes.

    Raises LayerError where an operand is missing or has another shape than the spec says.
    """

    spec: LayerSpec
    passes: Mapping[str, PassOperands]

    def __post_init__(self) -> None:
        for pass_name in self.spec.passes:
            if pass_name not in self.passes:
                raise LayerError(f"{self.spec.name}: {pass_name}: got no operands, expected {OPERANDS[pass_name]}")
            given = self.passes[pass_name]
            for role in OPERANDS[pass_name]:
                if role not in given.operands:
                    raise LayerError(f"{self.spec.name}: {pass_name}: got no {role}, expected {OPERANDS[pass_name]}")
                _check_shape(self.spec, f"{pass_name}.{role}", given.operands[role].bits.shape, role)
            if given.result_mask is not None:
                _check_shape(self.spec, f"{pass_name}.result_mask", given.result_mask.shape, RESULTS[pass_name])

    @property
    def computed(self) -> tuple[str, ...]:
        """The passes of whose result anything is needed: nobody computes the others."""
        masks = {name: self.passes[name].result_mask for name in self.spec.passes}
        return tuple(name for name, mask in masks.items() if mask is None or mask.nonzeros)

    @staticmethod
    def from_arrays(  # noqa: PLR0913  each argument is one of PyTorch's own
        name: str,
        *,
        input: Any,
        weight: Any,
        output_grad: Any,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        kind: str | None = None,
        needs_input_grad: bool = True,
        operands: Mapping[str, Mapping[str, Any]] | None = None,
        sparsity: Mapping[str, Mapping[str, float | str | Fraction]] | None = None,
    ) -> Layer:
        """Make a layer of arrays of any dtype, in which non-zero means present.

        Parameters
        ----------
        input, weight, output_grad : the operands of every pass that `operands` does not replace.
        stride, padding, dilation : as in PyTorch; four paddings are (top, bottom, left, right).
        kind : one of `KINDS`; by default from the weight's dimensions.
        operands : other operands of a pass, such as `{"weight_grad": {"input": top_k_of_input}}`.
        sparsity : the budget at which an operand was selected, such as `{"forward": {"weight": "0.8"}}`.
        """
        defaults = {
            role: numbers(array, f"{name}: {role}")
            for role, array in (("input", input), ("weight", weight), ("output_grad", output_grad))
        }
        if kind is None:
            kind = {2: "linear", 3: "conv1d", 4: "conv2d"}.get(defaults["weight"].ndim, "unknown")
        one_dimensional = str(kind).endswith("1d")
        spec = LayerSpec(
            name=name, kind=kind,
            input_shape=defaults["input"].shape, weight_shape=defaults["weight"].shape,
            output_shape=defaults["output_grad"].shape,
            stride=pair(stride, f"{name}: stride", one_dimensional=one_dimensional),
            padding=sides(padding, f"{name}: padding", one_dimensional=one_dimensional),
            dilation=pair(dilation, f"{name}: dilation", one_dimensional=one_dimensional),
            groups=integer(groups, f"{name}: groups"), needs_input_grad=needs_input_grad,
        )  # fmt: skip
        replaced = by_operand(operands, name, spec.passes)
        budgets = by_operand(sparsity, name, spec.passes)
        bits = {role: BitTensor.from_array(array) for role, array in defaults.items()}

        def operand(pass_name: str, role: str) -> Operand:
            where, own = f"{name}: {pass_name}.{role}", replaced.get(pass_name, {})
            chosen = budgets.get(pass_name, {})
            return Operand(
                bits=BitTensor.from_array(numbers(own[role], where)) if role in own else bits[role],
                sparsity=budget(chosen[role], where) if role in chosen else None,
            )

        return Layer(spec=spec, passes={
            pass_name: PassOperands(operands={role: operand(pass_name, role) for role in OPERANDS[pass_name]})
            for pass_name in spec.passes
        })  # fmt: skip


def _with_height(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 4 else (*shape[:2], 1, *shape[2:])


def _check_shape(spec: LayerSpec, where: str, got: tuple[int, ...], role: str) -> None:
    expected = spec.shape_of(role)
    if got != expected:
        raise LayerError(f"{spec.name}: {where}: got shape {got}, expected {expected}")


def _check_names(spec: LayerSpec) -> None:
    if not isinstance(spec.name, str) or spec.name in ("", "total") or CONTROL.search(spec.name):
        expected = "a name without control characters, and not 'total'"
        raise LayerError(f"layer name: got {spec.name!r}, expected {expected}")
    if spec.kind not in KINDS:
        raise LayerError(f"{spec.name}: kind: got {spec.kind!r}, expected one of {', '.join(KINDS)}")
    if not isinstance(spec.needs_input_grad, bool):
        raise LayerError(f"{spec.name}: needs_input_grad: got {spec.needs_input_grad!r}, expected True or False")


def _check_numbers(spec: LayerSpec) -> None:
    for field in ("input_shape", "weight_shape", "output_shape", "stride", "dilation"):
        for number in getattr(spec, field):
            if not 1 <= number < LARGEST_DIMENSION:
                expected = f"integers from 1 to {LARGEST_DIMENSION - 1}"
                raise LayerError(f"{spec.name}: {field}: got {getattr(spec, field)}, expected {expected}")
    if not all(0 <= side < LARGEST_DIMENSION for side in spec.padding):
        raise LayerError(f"{spec.name}: padding: got {spec.padding}, expected integers from 0")
    if spec.groups < 1:
        raise LayerError(f"{spec.name}: groups: got {spec.groups}, expected an integer from 1")


def _check_linear(spec: LayerSpec) -> None:
    if len(spec.weight_shape) != 2 or not spec.input_shape or not spec.output_shape:
        raise LayerError(f"{spec.name}: weight_shape: got {spec.weight_shape}, expected (outputs, inputs)")
    got = (spec.stride, spec.padding, spec.dilation, spec.groups)
    if got != ((1, 1), (0, 0, 0, 0), (1, 1), 1):
        where = f"{spec.name}: stride, padding, dilation, groups"
        raise LayerError(f"{where}: got {got}, expected none of them in a linear layer")
    outputs, inputs = spec.weight_shape
    if spec.input_shape[-1] != inputs:
        raise LayerError(f"{spec.name}: input_shape: got {spec.input_shape}, expected {inputs} features last")
    expected = (*spec.input_shape[:-1], outputs)
    if spec.output_shape != expected:
        raise LayerError(f"{spec.name}: output_shape: got {spec.output_shape}, expected {expected}")


def _check_convolution(spec: LayerSpec) -> None:
    dimensions = 3 if spec.kind.endswith("1d") else 4
    for field in ("input_shape", "weight_shape", "output_shape"):
        if len(getattr(spec, field)) != dimensions:
            raise LayerError(f"{spec.name}: {field}: got {getattr(spec, field)}, expected {dimensions} dimensions")
    if dimensions == 3 and (spec.stride[0], spec.dilation[0], spec.padding[:2]) != (1, 1, (0, 0)):
        got_values = (spec.stride, spec.dilation, spec.padding)
        expected_values = "(1, s), (1, d), (0, 0, left, right) in one dimension"
        raise LayerError(f"{spec.name}: stride, dilation, padding: got {got_values}, expected {expected_values}")
    convolution, (filters, channels) = spec.convolution, spec.weight_shape[:2]
    if convolution.channels != channels * spec.groups or convolution.filters != filters or filters % spec.groups:
        got = f"input {spec.input_shape}, weight {spec.weight_shape}, output {spec.output_shape}"
        raise LayerError(f"{spec.name}: channels: got {got}, expected channels that {spec.groups} groups connect")
    images, found = spec.input_shape[0], spec.output_shape[0]
    if images != found:
        raise LayerError(f"{spec.name}: output_shape: got {found} images, expected {images}")
    expected = (_positions(convolution, 0), _positions(convolution, 1))
    if (convolution.output_height, convolution.output_width) != expected:
        side = "input_shape" if spec.transposed else "output_shape"
        got_size = (convolution.output_height, convolution.output_width)
        raise LayerError(f"{spec.name}: {side}: got {got_size} positions, expected {expected}")


def _positions(convolution: Convolution, axis: int) -> int:
    """Windows along one axis: floor((H + padding - dilation·(R-1) - 1) / stride) + 1."""
    size = (convolution.height, convolution.width)[axis] + sum(convolution.padding[2 * axis : 2 * axis + 2])
    kernel = (convolution.kernel_height, convolution.kernel_width)[axis]
    return (size - convolution.dilation[axis] * (kernel - 1) - 1) // convolution.stride[axis] + 1
