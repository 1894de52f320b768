"""meProp: of every example's output gradient only the K largest magnitudes are propagated; forward stays dense.

Source: Sun et al., "meProp: Sparsified Back Propagation for Accelerated Deep Learning with Reduced Overfitting", ICML
2017, §2.1, for vectors; an example of a convolution is an image, all channels and positions together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.bits import kept_count
from swatsim.budgets import LAST_LINEAR
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_every_step, register

if TYPE_CHECKING:
    from torch import Tensor


class MepropRule(LayerRule):
    """Both backward passes multiply the same part of the output gradient."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction) -> None:
        super().__init__(layer, training)
        self.budget = sparsity

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """Of every example, and so of all together."""
        return {("input_grad", "output_grad"): self.budget, ("weight_grad", "output_grad"): self.budget}

    def output_grad(self, pass_name: str, output_grad: Tensor) -> Tensor:
        """The top-K of each image, or of each vector that leaves a linear layer; ties stay."""
        convolution = self.layer.weight.dim() > 2
        examples = output_grad.flatten(1) if convolution else output_grad
        magnitudes = examples.abs()
        largest = magnitudes.topk(kept_count(self.budget, examples.shape[-1]), dim=-1, sorted=False).values
        return examples.masked_fill(magnitudes < largest.amin(-1, keepdim=True), 0.0).view_as(output_grad)


@register
@dataclass(frozen=True, kw_only=True)
class Meprop(Scheme):
    """Minimal effort back propagation. The paper's output layer, the last linear one, is left alone."""

    name: ClassVar[str] = "meprop"
    paper: ClassVar[str] = (
        "Sun et al., meProp: Sparsified Back Propagation for Accelerated Deep Learning with Reduced Overfitting, "
        "ICML 2017"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = {
        "input_grad": PassMasks(operands=("output_grad",)),
        "weight_grad": PassMasks(operands=("output_grad",)),
    }
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="output gradient", readings=Fraction(1), what="top-K of each example", every="step"),
    )

    keep_dense: tuple[str, ...] = (LAST_LINEAR,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """Top-K of gradients."""
        return MepropRule(layer, training, sparsity=sparsity)
