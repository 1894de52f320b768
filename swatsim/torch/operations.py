"""Convolution and linear layer whose three passes multiply what a scheme selects."""

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from swatsim.schemes import LayerRule
from swatsim.schemes.selection import keep_from
from swatsim.torch.recorder import ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """The geometry of one convolution, as torch's own operator takes it; None of it for a linear layer."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution."""
        none = self._no_output_padding
        return cast(
            Tensor,
            torch.ops.aten.convolution(
                input, weight, bias, self.stride, self.padding, self.dilation, False, none, self.groups
            ),
        )

    def backward(self, output_grad: Tensor, input: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
        """Gradients of input, weight and bias; None where not wanted. An unwanted one's operand is only a shape."""
        return torch.ops.aten.convolution_backward(
            output_grad, input, weight, [weight.shape[0]], self.stride, self.padding, self.dilation,
            False, self._no_output_padding, self.groups, wanted,
        )  # fmt: skip

    @property
    def _no_output_padding(self) -> list[int]:
        return [0] * len(self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A linear layer: every leading dimension is a position."""

    groups: ClassVar[int] = 1

    def forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The product, plus the bias."""
        return nn.functional.linear(input, weight, bias)

    def backward(self, output_grad: Tensor, input: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
        """Gradients of input, weight and bias; None where not wanted."""
        rows = output_grad.reshape(-1, weight.shape[0])
        return (
            output_grad @ weight if wanted[0] else None,
            rows.T @ input.reshape(-1, weight.shape[1]) if wanted[1] else None,
            rows.sum(0) if wanted[2] else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One forward call of a sparse layer: what was selected for it, before rounding to `dtype`."""

    module: nn.Module
    rule: LayerRule
    operation: Convolution | Linear
    dtype: torch.dtype  # of the multiplications
    used_weight: Tensor  # of the forward pass
    input_grad_weight: Tensor
    forward_threshold: float | None  # of the activation; None: nothing is dropped
    weight_grad_threshold: float | None
    output_mask: Tensor | None  # which outputs are computed
    needed_weight_grad: Tensor | None


class SparseProduct(torch.autograd.Function):
    """input x weight by a Call's operation, each pass on the operands that its rule selects."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, learned: Tensor, bias: Tensor | None, call: Call) -> Tensor:
        """Multiply, and keep what backward will.

        `learned` is what the weight gradient belongs to: the weight itself, or the used weight where autograd goes on
        from there.
        """
        weight, grad_weight = call.used_weight.to(call.dtype), call.input_grad_weight.to(call.dtype)
        used_input = _kept(input, call.forward_threshold).to(call.dtype)
        kept = _kept(input, call.weight_grad_threshold).to(call.dtype) if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(grad_weight, kept, call.output_mask, call.needed_weight_grad)
        ctx.call, ctx.input_shape, ctx.input_dtype, ctx.weight_dtype = call, input.shape, input.dtype, learned.dtype
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.recorder, ctx.key = ACTIVE.recorder, None
        output = call.operation.forward(used_input, weight, None if bias is None else bias.to(call.dtype))
        mask = call.output_mask
        if ctx.recorder is not None:
            ctx.key = ctx.recorder.open_call(call.module)
            needed = None if mask is None else mask.expand(output.shape)
            _record(ctx, "forward", {"input": used_input, "weight": weight}, needed)
        return output if mask is None else output * mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Only the gradients that autograd asks for."""
        call: Call = ctx.call
        weight, kept, output_mask, needed = ctx.saved_tensors
        if output_mask is not None:
            output_grad = output_grad * output_mask  # what was not computed learns nothing
        input_grad = weight_grad = bias_grad = None
        if ctx.needs_input_grad[0]:
            used = call.rule.output_grad("input_grad", output_grad)
            shape_only = output_grad.new_empty(1).expand(ctx.input_shape)
            _record(ctx, "input_grad", {"output_grad": used, "weight": weight})
            input_grad = call.operation.backward(used, shape_only, weight, [True, False, False])[0].to(ctx.input_dtype)
        if ctx.needs_input_grad[1]:
            used = call.rule.output_grad("weight_grad", output_grad)
            _record(ctx, "weight_grad", {"output_grad": used, "input": kept}, needed)
            weight_grad = call.operation.backward(used, kept, weight, [False, True, False])[1].to(ctx.weight_dtype)
            weight_grad = weight_grad if needed is None else weight_grad * needed
        if ctx.needs_input_grad[2]:
            # Always the whole output gradient: a bias multiplies nothing, so no scheme thins it.
            channels = 1 if isinstance(call.operation, Convolution) else output_grad.dim() - 1
            axes = [axis for axis in range(output_grad.dim()) if axis != channels]
            bias_grad = (output_grad.sum(axes) if axes else output_grad).to(ctx.bias_dtype)
        return input_grad, weight_grad, bias_grad, None


def _kept(input: Tensor, threshold: float | None) -> Tensor:
    return input if threshold is None else keep_from(input, threshold)


def _record(ctx: Any, pass_name: str, tensors: dict[str, Tensor], needed: Tensor | None = None) -> None:
    if ctx.recorder is not None:
        ctx.recorder.operands(ctx.key, pass_name, ctx.call.rule, tensors, needed)
