"""Turn a user's model into a sparsely trained one, in place."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import torch
from torch import Tensor, nn

from swatsim.errors import SwatsimError
from swatsim.torch.geometry import CONVOLUTIONS, padding_of
from swatsim.torch.operations import Call, Convolution, Linear, SparseProduct
from swatsim.torch.schemes import LayerRule, scheme_named
from swatsim.torch.selection import exact_sparsity


class Sparsifier:
    """What `sparsify` did: the rules by layer name, the optimiser's step count, and the way back."""

    def __init__(self, *, scheme: str, sparsity: Fraction, period: int) -> None:
        self.scheme = scheme
        self.sparsity = sparsity
        self.period = period
        self.step = 0  # optimiser steps taken
        self.modules: dict[str, nn.Module] = {}
        self._handles: list[Any] = []

    def count_step(self, *_: object) -> None:
        """The optimiser has taken a step."""
        self.step += 1

    def attach(self, name: str, module: nn.Module, rule: LayerRule) -> None:
        """Give the module its sparse passes; its parameters, buffers and hooks stay where they are."""
        module.__class__ = _sparse_class(type(module))
        sparse = cast(SparseLayer, module)
        sparse.swatsim_sparsifier, sparse.swatsim_rule = self, rule
        # Weights that were loaded are not those that were selected from.
        register: Any = module.register_load_state_dict_post_hook
        self._handles.append(register(lambda *_: rule.forget()))
        self.modules[name] = module

    def watch(self, optimizer: torch.optim.Optimizer) -> None:
        """Count this optimiser's steps."""
        self._handles.append(optimizer.register_step_post_hook(self.count_step))

    def remove(self) -> None:
        """Make every layer dense again."""
        for module in self.modules.values():
            module.__class__ = type(module).__bases__[1]  # (mixin, the module's own class)
            del module.swatsim_sparsifier, module.swatsim_rule
        for handle in self._handles:
            handle.remove()
        self.modules, self._handles = {}, []


class SparseLayer(nn.Module):
    """Mixed into a Conv1d, Conv2d or Linear: the products go through the module's rule."""

    swatsim_sparsifier: Sparsifier
    swatsim_rule: LayerRule


class _SparseConvolution(SparseLayer):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        module = cast(nn.Conv2d, self)
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
        return _product(self, Linear(), input, input, cast(nn.Linear, self).bias)


def _product(
    module: SparseLayer, operation: Convolution | Linear, input: Tensor, padded: Tensor, bias: Tensor | None
) -> Tensor:
    weight = cast(Tensor, module.weight)
    step, rule = module.swatsim_sparsifier.step, module.swatsim_rule
    learns = torch.is_grad_enabled() and weight.requires_grad
    device = input.device.type
    call = Call(
        module=module,
        rule=rule,
        step=step,
        operation=operation,
        dtype=torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else input.dtype,
        # Selected before padding: the budget is of the activation, and its padding is a copy of it or zero.
        input_threshold=rule.input_threshold(input, step) if learns else None,
    )
    apply: Any = SparseProduct.apply
    return cast(Tensor, apply(padded, weight, bias, call))


_sparse_classes: dict[type[nn.Module], type[nn.Module]] = {}


def _sparse_class(dense: type[nn.Module]) -> type[nn.Module]:
    """A subclass of the module's own class, so that isinstance, state_dict and repr still hold."""
    if dense not in _sparse_classes:
        mixin = _SparseLinear if issubclass(dense, nn.Linear) else _SparseConvolution
        _sparse_classes[dense] = type(dense.__name__, (mixin, dense), {"__module__": dense.__module__})
    return _sparse_classes[dense]


def sparsify(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    scheme: str = "swat-u",
    sparsity: float | Fraction | Decimal | str = 0.8,
    period: int = 1,
) -> Sparsifier:
    """Train `model` sparsely from now on: its Conv1d, Conv2d and Linear layers multiply what the scheme selects.

    Parameters
    ----------
    optimizer : its steps are counted; it keeps seeing the dense weights and dense weight gradients.
    sparsity : the fraction that is dropped, 0.8 meaning exactly 4/5.
    period : optimiser steps for which a selected threshold is reused (ImageNet about 1000, CIFAR 10 to 20).

    Returns
    -------
    Sparsifier, whose `remove()` undoes it.

    Raises
    ------
    SwatsimError : an unknown scheme, a budget out of range, or a model that is already sparse.

    Source: SWAT (NeurIPS 2020), §3.
    """
    if period < 1:
        raise SwatsimError(f"period: got {period}, expected at least 1 optimiser step")
    exact = exact_sparsity(sparsity)
    rules = scheme_named(scheme)(sparsity=exact, period=period)
    sparsifier = Sparsifier(scheme=scheme, sparsity=exact, period=period)
    layers: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, (*CONVOLUTIONS, nn.Linear))
    }
    _check(layers)
    first = next((name for name, module in layers.items() if isinstance(module, CONVOLUTIONS)), None)
    for name, module in layers.items():
        rule = rules.rule(name, module, is_first_convolution=name == first)
        if rule is not None:
            sparsifier.attach(name, module, rule)
    sparsifier.watch(optimizer)
    return sparsifier


def _check(layers: dict[str, nn.Module]) -> None:
    for name, module in layers.items():
        if isinstance(module, SparseLayer):
            raise SwatsimError(f"{name}: got a layer that is already sparse, expected a dense one")
        if isinstance(module, nn.modules.lazy.LazyModuleMixin):
            raise SwatsimError(f"{name}: got a lazy layer, expected one with its weights (run the model once)")
        base: type[nn.Module] = nn.Linear
        method = "forward"
        if isinstance(module, CONVOLUTIONS):
            base, method = (nn.Conv1d if isinstance(module, nn.Conv1d) else nn.Conv2d), "_conv_forward"
        mine: Callable[..., Tensor] = getattr(type(module), method)
        if mine is not getattr(base, method):
            got = f"{type(module).__name__}, which computes its own {method}"
            raise SwatsimError(f"{name}: got {got}; expected {base.__name__}'s")
