"""DSR: one threshold for the network drops weights, and layers get them back by how many of theirs survive.

Source: Mostafa and Wang, "Parameter Efficient Training of Deep Convolutional Neural Networks by Dynamic Sparse
Reparameterization", ICML 2019, Algorithm 1. The authors' code keeps one weight of a layer that would lose all, and so
do we. Counts are rounded so that the network keeps its number of weights exactly, as the paper demands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.masked import ACTIVE_ONLY, DropAndGrowRule, share_out
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_range, register
from swatsim.schemes.selection import top_k_mask

if TYPE_CHECKING:
    from torch import Tensor


class DsrRule(DropAndGrowRule):
    """Holds the network's threshold H, the same number in every layer, so that a state_dict has it."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, threshold: float) -> None:
        super().__init__(layer, training, sparsity=sparsity)
        layer.keep("threshold", layer.weight.new_full((), threshold))

    @property
    def threshold(self) -> Tensor:
        """H."""
        threshold: Tensor = self.layer.kept("threshold")
        return threshold

    def prune(self) -> int:
        """Drop the weights below H, but not the last one; how many they were."""
        before, magnitude = self.active, self.layer.weight.detach().abs()
        kept = self.mask & (magnitude >= self.threshold)
        self.change(kept if kept.any() else top_k_mask(magnitude, 1, self.mask))
        return before - self.active


@register
@dataclass(frozen=True, kw_only=True)
class DynamicReparameterization(Scheme):
    """Dynamic sparse reparameterization.

    period : optimiser steps between reallocations; the paper's grows from 100 to 800 over a run.
    moved_fraction : N_p, the number of weights to move, over all weights of the layers that it trains; the paper sets
        N_p by network, 20 000 for WRN-28-2 (0.014) and 600 000 for ResNet-50 (0.023).
    tolerance : δ: H is doubled where fewer than (1-δ)·N_p weights were dropped, and halved above (1+δ)·N_p.
    first_threshold : H at the start.
    """

    name: ClassVar[str] = "dsr"
    paper: ClassVar[str] = (
        "Mostafa and Wang, Parameter Efficient Training of Deep Convolutional Neural Networks by Dynamic Sparse "
        "Reparameterization, ICML 2019"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = ACTIVE_ONLY
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="comparison with one threshold"),
    )

    period: int = 100
    moved_fraction: float = 0.014
    tolerance: float = 0.1
    first_threshold: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("moved_fraction", self.moved_fraction, 0, 1)
        check_range("tolerance", self.tolerance, 0, 1)
        check_range("first_threshold", self.first_threshold, 1e-30, 1e30)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A random mask."""
        return DsrRule(layer, training, sparsity=sparsity, threshold=self.first_threshold)

    def after_update(self, training: Training) -> None:
        """Reallocate at the end of a period."""
        super().after_update(training)
        rules = [layer.rule for layer in training.layers if isinstance(layer.rule, DsrRule)]
        if rules and training.step % self.period == 0:
            self._reallocate(rules)

    def _reallocate(self, rules: Sequence[DsrRule]) -> None:
        pruned = sum(rule.prune() for rule in rules)
        wanted = self.moved_fraction * sum(rule.mask.numel() for rule in rules)
        few, many = pruned < (1 - self.tolerance) * wanted, pruned > (1 + self.tolerance) * wanted
        survivors = [rule.active for rule in rules]
        rooms = [rule.mask.numel() - rule.active for rule in rules]
        for rule, count in zip(rules, share_out(pruned, survivors, rooms), strict=True):
            rule.grow_at_random(count)
            rule.threshold.mul_(2 if few else 0.5 if many else 1)
