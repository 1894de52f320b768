"""The dynamics of one layer under a scheme. Only tensor methods are called: torch need not be there to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from swatsim.budgets import Place

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Operation(Protocol):
    """A layer's product."""

    @property
    def groups(self) -> int:
        """Groups of a convolution; 1 of a linear layer."""

    def forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The product of an input, batch first, with any number of filters of the layer's geometry."""


class Trained(Protocol):
    """A layer of the user's model that a scheme trains."""

    @property
    def place(self) -> Place:
        """Where it stands."""

    @property
    def module(self) -> Any:
        """The user's module."""

    @property
    def rule(self) -> LayerRule:
        """What `Scheme.rule` has made for it."""

    @property
    def weight(self) -> Tensor:
        """The parameter, dense."""

    def keep(self, name: str, values: Tensor, *, learns: bool = False) -> None:
        """Give the module a buffer, or a parameter that the optimiser learns too: both are in its state_dict."""

    def kept(self, name: str) -> Any:
        """What `keep` has put there, or what the user has loaded since."""


class Training(Protocol):
    """The run: its layers, how many steps the optimiser has taken, and what it remembers of a parameter."""

    @property
    def step(self) -> int:
        """Optimiser steps taken."""

    @property
    def layers(self) -> Sequence[Trained]:
        """The layers that the scheme trains, in the order of the network."""

    @property
    def random(self) -> Generator:
        """The source of all that a scheme draws."""

    def momentum(self, parameter: Tensor) -> Tensor | None:
        """The optimiser's running mean of gradients (momentum_buffer or exp_avg); None: none yet."""

    def skip_update(self) -> None:
        """Take all gradients away, so that the optimiser changes nothing in this step."""


class LayerRule:
    """One layer's operands. This base multiplies everything: a dense layer.

    A selection for one pass changes what that pass multiplies and nothing else: autograd does not see it. `input` and,
    unless `straight_through`, `used_weight` are functions that autograd differentiates.
    """

    # Whether the gradient of the used weight is taken for that of the weight, dropped ones included.
    straight_through = True
    # Whether the rule holds a mask or thresholds of its own for the weight, so that no other layer may share it.
    owns_weight = False

    def __init__(self, layer: Trained, training: Training) -> None:
        self.layer = layer
        self.training = training

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The budgets at which operands are selected now, by pass and role; absent: only natural zeros."""
        return {}

    def input(self, input: Tensor) -> Tensor:
        """The activation that the layer reads, for all passes."""
        return input

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """The weight that the forward pass multiplies, and which input_grad reuses."""
        return weight

    def input_grad_weight(self, weight: Tensor, used: Tensor) -> Tensor:
        """The weight that input_grad multiplies."""
        return used

    def input_threshold(self, pass_name: str, input: Tensor) -> float | None:
        """The magnitude below which a pass drops a value of the activation; None: nothing."""
        return None

    def output_mask(self, input: Tensor, weight: Tensor, operation: Operation) -> Tensor | None:
        """Which outputs are computed, broadcastable to the output; the others are 0. None: all.

        `input` is padded if `operation` does not pad it itself, `weight` is the used one.
        """
        return None

    def output_grad(self, pass_name: str, output_grad: Tensor) -> Tensor:
        """The output gradient that a backward pass multiplies."""
        return output_grad

    def needed_weight_grad(self) -> Tensor | None:
        """Which entries of the weight gradient are computed; the others are 0. None: all."""
        return None

    def before_update(self) -> None:
        """Gradients are there, the optimiser's step comes next."""

    def after_update(self) -> None:
        """The optimiser has changed the weights."""

    def forget(self) -> None:
        """Drop every remembered selection: the weights were replaced."""
