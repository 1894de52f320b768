"""Modules whose products go through a scheme's rule; their parameters, buffers and hooks stay where they are."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from swatsim.schemes import LayerRule
from swatsim.torch.geometry import padding_of
from swatsim.torch.operations import Call, Convolution, Linear, SparseProduct


class SparseLayer(nn.Module):
    """Mixed into a Conv1d, Conv2d or Linear."""

    swatsim_sparsifier: Any  # training.Sparsifier
    swatsim_rule: LayerRule


class _SparseConvolution(SparseLayer):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        module = cast(nn.Conv2d, self)
        input = self.swatsim_rule.input(input)
        padding = padding_of(module)
        padded = padding.apply(input)
        operation = Convolution(
            stride=module.stride, padding=padding.for_operator, dilation=module.dilation, groups=module.groups
        )
        spatial = len(operation.stride)
        if input.dim() == spatial + 1:  # one image without its batch dimension
            return _product(self, operation, input[None], padded[None], bias)[0]
        return _product(self, operation, input, padded, bias)


class _SparseLinear(SparseLayer):
    def forward(self, input: Tensor) -> Tensor:
        input = self.swatsim_rule.input(input)
        return _product(self, Linear(), input, input, cast(nn.Linear, self).bias)


def _product(
    module: SparseLayer, operation: Convolution | Linear, input: Tensor, padded: Tensor, bias: Tensor | None
) -> Tensor:
    weight, rule = cast(Tensor, module.weight), module.swatsim_rule
    learns = torch.is_grad_enabled() and weight.requires_grad
    device = input.device.type
    casts = torch.is_autocast_enabled(device) and input.dtype != torch.float64  # which autocast leaves alone
    with torch.set_grad_enabled(torch.is_grad_enabled() and not rule.straight_through):
        used = rule.used_weight(weight, input)
    with torch.no_grad():
        call = Call(
            module=module, rule=rule, operation=operation,
            dtype=torch.get_autocast_dtype(device) if casts else input.dtype,
            used_weight=used.detach(),
            input_grad_weight=rule.input_grad_weight(weight, used).detach(),
            # Selected before padding: the budget is of the activation, and its padding is a copy of it or zero.
            forward_threshold=rule.input_threshold("forward", input),
            weight_grad_threshold=rule.input_threshold("weight_grad", input) if learns else None,
            output_mask=rule.output_mask(padded, used, operation),
            needed_weight_grad=rule.needed_weight_grad() if learns else None,
        )  # fmt: skip
    apply: Any = SparseProduct.apply
    output = cast(Tensor, apply(padded, weight if rule.straight_through else used, bias, call))
    if call.output_mask is not None:
        remember_mask(output, call.output_mask)
    return output


def remember_mask(output: Tensor, mask: Tensor) -> None:
    """Let the normalisation that reads this output keep its zeros (DSG's double mask)."""
    cast(Any, output).swatsim_mask = mask


def mask_normalisation(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """Forward hook of normalisations: what was not computed before stays 0 behind."""
    mask = getattr(inputs[0], "swatsim_mask", None) if inputs else None
    return output if mask is None else output * mask


def pass_mask_on(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    """Forward hook of activations: the normalisation may come behind one (DSG's networks)."""
    mask = getattr(inputs[0], "swatsim_mask", None) if inputs else None
    if mask is not None:
        remember_mask(output, mask)


_sparse_classes: dict[type[nn.Module], type[nn.Module]] = {}


def make_sparse(module: nn.Module, sparsifier: Any, rule: LayerRule) -> None:
    """Give the module its sparse passes."""
    dense = type(module)
    if dense not in _sparse_classes:
        mixin = _SparseLinear if issubclass(dense, nn.Linear) else _SparseConvolution
        # A subclass of the module's own class, so that isinstance, state_dict and repr still hold.
        _sparse_classes[dense] = type(dense.__name__, (mixin, dense), {"__module__": dense.__module__})
    module.__class__ = _sparse_classes[dense]
    sparse = cast(SparseLayer, module)
    sparse.swatsim_sparsifier, sparse.swatsim_rule = sparsifier, rule


def make_dense(module: SparseLayer) -> None:
    """Undo `make_sparse`."""
    module.__class__ = type(module).__bases__[1]  # (mixin, the module's own class)
    del module.swatsim_sparsifier, module.swatsim_rule
