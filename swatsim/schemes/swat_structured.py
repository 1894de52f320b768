"""Structured SWAT: the kernel slices with the largest L1 norms stay; activations as in SWAT (NeurIPS 2020, §3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import SelectionCost, register
from swatsim.schemes.selection import top_k_threshold
from swatsim.schemes.swat import Swat, SwatRule

if TYPE_CHECKING:
    from torch import Tensor


class StructuredRule(SwatRule):
    """Thresholds are L1 norms of the R x S slices of (filter, channel)."""

    def weight_threshold(self, weight: Tensor) -> float:
        """The K-th largest norm, K = ceil((1 - s) * slices)."""
        return top_k_threshold(_norms(weight), self.budget)

    def keep_weight(self, weight: Tensor, threshold: float) -> Tensor:
        """Every weight of the slices whose norm reaches the threshold."""
        return weight * (_norms(weight) >= threshold)


def _norms(weight: Tensor) -> Tensor:
    """[K, C, 1, 1]; a linear layer's slices are single weights."""
    magnitudes = weight.detach().abs()
    kernel = range(2, weight.dim())
    return magnitudes.sum(tuple(kernel), keepdim=True) if kernel else magnitudes


@register
@dataclass(frozen=True, kw_only=True)
class SwatStructured(Swat):
    """Uniform budget over slices."""

    name: ClassVar[str] = "swat-structured"
    pattern: ClassVar[str] = "slice"
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="L1 norms of slices, then top-K"),
        Swat.selection[1],
    )

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """SWAT's rule on slices."""
        return StructuredRule(layer, training, sparsity=sparsity, period=self.period)
