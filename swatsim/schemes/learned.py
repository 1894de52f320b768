"""Masks that are learned with the weights: what str, cs and dst share."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from swatsim.schemes.rule import LayerRule

if TYPE_CHECKING:
    from torch import Tensor


class LearnedRule(LayerRule):
    """Autograd differentiates `masked`, with respect to the weight and to what is learned beside it."""

    straight_through = False
    owns_weight = True

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The fraction that is dropped now; nothing was asked for."""
        used = self.masked(self.layer.weight).detach()
        dropped = Fraction(int((used == 0).sum()), max(used.numel(), 1))
        return {("forward", "weight"): dropped, ("input_grad", "weight"): dropped}

    def masked(self, weight: Tensor) -> Tensor:
        """What is left of the weight."""
        raise NotImplementedError

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """What is left of the weight."""
        return self.masked(weight)


def add_gradient(parameter: Any, gradient: Tensor) -> None:
    """Let a term of the loss that is not in the user's own act on a parameter."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
