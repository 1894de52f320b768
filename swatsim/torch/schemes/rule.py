"""What a scheme decides: for each layer, which values of its operands each pass multiplies."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import ClassVar

from torch import Tensor, nn


class LayerRule:
    """One layer's operands. This base multiplies everything: a dense layer.

    A step is counted by the optimiser; a rule may keep state between steps.
    """

    # (pass, role) -> the budget at which that operand was selected; absent: only natural zeros.
    sparsity: Mapping[tuple[str, str], Fraction] = {}

    def forward_weight(self, weight: Tensor, step: int) -> Tensor:
        """The weight that the forward pass multiplies, and which input_grad reuses."""
        return weight

    def forward_input(self, input: Tensor, step: int) -> Tensor:
        """The activation that the forward pass multiplies."""
        return input

    def input_threshold(self, input: Tensor, step: int) -> float | None:
        """The magnitude below which weight_grad drops a value of the activation; None: nothing."""
        return None

    def input_grad_output_grad(self, output_grad: Tensor, step: int) -> Tensor:
        """The output gradient that input_grad multiplies."""
        return output_grad

    def weight_grad_output_grad(self, output_grad: Tensor, step: int) -> Tensor:
        """The output gradient that weight_grad multiplies."""
        return output_grad

    def forget(self) -> None:
        """Drop every remembered selection: the weights were replaced."""


class Scheme:
    """Gives each layer its rule, or None where the scheme leaves the layer as it is."""

    name: ClassVar[str]

    def __init__(self, *, sparsity: Fraction, period: int) -> None:
        self.sparsity = sparsity
        self.period = period  # optimiser steps between selections

    def rule(self, name: str, module: nn.Module, *, is_first_convolution: bool) -> LayerRule | None:
        """The rule of one layer."""
        raise NotImplementedError


SCHEMES: dict[str, type[Scheme]] = {}


def register(name: str) -> Callable[[type[Scheme]], type[Scheme]]:
    """Make a scheme selectable by this name."""

    def add(scheme: type[Scheme]) -> type[Scheme]:
        scheme.name = name
        SCHEMES[name] = scheme
        return scheme

    return add
