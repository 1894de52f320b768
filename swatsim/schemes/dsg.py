"""Dynamic sparse graph: which outputs will be large is predicted in a space of fewer dimensions, the others are 0.

Source: Liu et al., "Dynamic Sparse Graph for Efficient Deep Learning", ICLR 2019. §2.1: the K largest virtual outputs
of the batch's first sample give the threshold for all samples. §2.2: windows and filters are projected by the same
ternary random matrix, ±√3 with probability 1/6 each, to O(log(N)/ε²) dimensions; the constant is that of Dasgupta and
Gupta (2003), N the layer's filters. §2.3: the same mask again behind the normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.bits import kept_count
from swatsim.budgets import FIRST_CONVOLUTION, LAST_LINEAR
from swatsim.errors import SwatsimError
from swatsim.schemes.rule import LayerRule, Operation, Trained, Training
from swatsim.schemes.scheme import (
    PREDICTED_OUTPUTS,
    PassMasks,
    Scheme,
    SelectionCost,
    check_every_step,
    check_range,
    register,
)

if TYPE_CHECKING:
    from torch import Tensor


class DsgRule(LayerRule):
    """The projection is a buffer, drawn once: [dimensions, C / groups, R, S]."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, dimensions: int) -> None:
        super().__init__(layer, training)
        self.budget = sparsity
        shape = (dimensions, *layer.weight.shape[1:])
        # On the processor, so that a seed means the same on every device.
        draws = layer.weight.detach().new_empty(shape, device="cpu").double().uniform_(generator=training.random)
        signs = (draws < 1 / 6).double() - (draws >= 5 / 6).double()
        layer.keep("projection", (signs * math.sqrt(3 / dimensions)).to(layer.weight))

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """Of the output's gradient: exact for the first sample, by a threshold for the others."""
        return {("input_grad", "output_grad"): self.budget, ("weight_grad", "output_grad"): self.budget}

    def output_mask(self, input: Tensor, weight: Tensor, operation: Operation) -> Tensor | None:
        """The outputs whose virtual value reaches the first sample's K-th largest."""
        virtual = self.virtual_outputs(input, weight, operation)
        first = virtual[:1] if virtual.dim() > 1 else virtual
        if first.numel() == 0:
            return None
        largest = first.flatten().topk(kept_count(self.budget, first.numel()), sorted=False).values
        return virtual >= largest.min()

    def virtual_outputs(self, input: Tensor, weight: Tensor, operation: Operation) -> Tensor:
        """Products of projected windows and projected filters, of the output's shape; the bias takes no part."""
        projection: Tensor = self.layer.kept("projection").to(weight)
        input = input.to(weight)
        filters = weight.flatten(1) @ projection.flatten(1).T  # [K, dimensions]
        if weight.dim() == 2:
            return (input @ projection.T) @ filters.T
        groups = operation.groups
        windows = operation.forward(input, projection.repeat(groups, *(1,) * (weight.dim() - 1)), None)
        flat = windows.flatten(2)  # [image, group and dimension, position]
        by_group = flat.view(len(flat), groups, len(projection), flat.shape[2])
        virtual: Tensor = filters.view(groups, len(weight) // groups, len(projection)) @ by_group
        return virtual.view(len(flat), len(weight), *windows.shape[2:])


@register
@dataclass(frozen=True, kw_only=True)
class DynamicSparseGraph(Scheme):
    """DSG. Its networks have the normalisation behind the ReLU; before it works too.

    epsilon : ε, the distance that the projection may err by; 0.5 in the paper.
    projection_dimensions : instead of what ε asks for. Neither is more than the layer's own reduction has.
    """

    name: ClassVar[str] = "dsg"
    paper: ClassVar[str] = "Liu et al., Dynamic Sparse Graph for Efficient Deep Learning, ICLR 2019"
    passes: ClassVar[Mapping[str, PassMasks]] = {
        "forward": PassMasks(result=PREDICTED_OUTPUTS),
        "input_grad": PassMasks(operands=("output_grad",)),
        "weight_grad": PassMasks(operands=("output_grad",)),
    }
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="random projection", every="step"),
        SelectionCost(tensor="input", readings=Fraction(1), what="random projection of its windows", every="step"),
        SelectionCost(
            tensor="output", readings=Fraction(1), what="virtual outputs against a threshold", every="step",
            macs_per_output=1,
        ),
    )  # fmt: skip

    # The first convolution reads fewer values than a projection has dimensions; all classes' outputs are needed.
    keep_dense: tuple[str, ...] = (FIRST_CONVOLUTION, LAST_LINEAR)
    epsilon: float = 0.5
    projection_dimensions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)
        check_range("epsilon", self.epsilon, 0.01, 1)
        given = self.projection_dimensions
        if given is not None and (not isinstance(given, int) or given < 1):
            raise SwatsimError(f"projection_dimensions: got {given}, expected at least 1")

    def dimensions(self, filters: int, reduction: int) -> int:
        """4·ln(filters) / (ε²/2 - ε³/3), at least 1 and at most the `reduction` C/groups·R·S of a filter."""
        wanted = self.projection_dimensions
        if wanted is None:
            wanted = int(4 * math.log(filters) / (self.epsilon**2 / 2 - self.epsilon**3 / 3))
        return max(1, min(wanted, reduction))

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A projection of its own."""
        filters = layer.weight.shape[0]
        dimensions = self.dimensions(filters, layer.weight.numel() // max(filters, 1))
        return DsgRule(layer, training, sparsity=sparsity, dimensions=dimensions)
