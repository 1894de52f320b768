"""Convolution and linear layer whose three passes multiply what a rule selects."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from swatsim.torch.recorder import ACTIVE
from swatsim.torch.schemes.rule import LayerRule
from swatsim.torch.selection import keep_from


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
    """One forward call of a sparse layer."""

    module: nn.Module
    rule: LayerRule
    step: int  # optimiser steps taken so far
    operation: Convolution | Linear
    dtype: torch.dtype  # of the multiplications; the selection is made before rounding to it
    input_threshold: float | None


class SparseProduct(torch.autograd.Function):
    """input x weight by a Call's operation, each pass on the operands that its rule selects."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, call: Call) -> Tensor:
        """Multiply, and keep what backward will: the used weight and the activation's kept values."""
        used_weight = call.rule.forward_weight(weight, call.step).to(call.dtype)
        used_input = call.rule.forward_input(input, call.step).to(call.dtype)
        kept = input if call.input_threshold is None else keep_from(input, call.input_threshold)
        ctx.save_for_backward(used_weight, kept.to(call.dtype) if ctx.needs_input_grad[1] else None)
        ctx.call, ctx.input_shape, ctx.input_dtype, ctx.weight_dtype = call, input.shape, input.dtype, weight.dtype
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.recorder, ctx.key = ACTIVE.recorder, None
        if ctx.recorder is not None:
            ctx.key = ctx.recorder.open_call(call.module)
            ctx.recorder.operands(ctx.key, "forward", call.rule, {"input": used_input, "weight": used_weight})
        return call.operation.forward(used_input, used_weight, None if bias is None else bias.to(call.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Only the gradients that autograd asks for."""
        call: Call = ctx.call
        weight, kept = ctx.saved_tensors
        input_grad = weight_grad = bias_grad = None
        if ctx.needs_input_grad[0]:
            used = call.rule.input_grad_output_grad(output_grad, call.step)
            shape_only = output_grad.new_empty(1).expand(ctx.input_shape)
            _record(ctx, "input_grad", {"output_grad": used, "weight": weight})
            input_grad = call.operation.backward(used, shape_only, weight, [True, False, False])[0].to(ctx.input_dtype)
        if ctx.needs_input_grad[1]:
            used = call.rule.weight_grad_output_grad(output_grad, call.step)
            _record(ctx, "weight_grad", {"output_grad": used, "input": kept})
            weight_grad = call.operation.backward(used, kept, weight, [False, True, False])[1].to(ctx.weight_dtype)
        if ctx.needs_input_grad[2]:
            # Always the whole output gradient: a bias multiplies nothing, so no scheme thins it.
            channels = 1 if isinstance(call.operation, Convolution) else output_grad.dim() - 1
            axes = [axis for axis in range(output_grad.dim()) if axis != channels]
            bias_grad = (output_grad.sum(axes) if axes else output_grad).to(ctx.bias_dtype)
        return input_grad, weight_grad, bias_grad, None


def _record(ctx: Any, pass_name: str, tensors: dict[str, Tensor]) -> None:
    if ctx.recorder is not None:
        ctx.recorder.operands(ctx.key, pass_name, ctx.call.rule, tensors)
