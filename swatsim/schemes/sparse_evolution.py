"""SET: every period the weights closest to zero are dropped and as many grow at random.

Source: Mocanu et al., Nature Communications 2018, Algorithm 1, and the authors' code (SET-MLP-Keras-Weights-Mask) for
what the algorithm leaves open: active weights that are exactly 0 are dropped too, those just dropped may grow again,
and whatever grows starts at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from swatsim.schemes.masked import ACTIVE_ONLY, DropAndGrowRule
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_range, register
from swatsim.schemes.selection import top_k_mask


class SetRule(DropAndGrowRule):
    """Drops by sign: ζ of the positive weights, the smallest, and ζ of the negative ones, the largest."""

    def rewire(self, fraction: float) -> None:
        """Drop, and grow at random."""
        weight, before = self.layer.weight.detach(), self.active
        positive, negative = weight > 0, weight < 0
        lowest = top_k_mask(-weight, int(fraction * int(positive.sum())), positive)
        highest = top_k_mask(weight, int(fraction * int(negative.sum())), negative)
        self.change((positive | negative) & ~lowest & ~highest)
        self.grow_at_random(before - self.active)


@register
@dataclass(frozen=True, kw_only=True)
class SparseEvolution(Scheme):
    """Sparse evolutionary training.

    period : the paper's is an epoch; 100 is what RigL's comparison uses for SET.
    drop_fraction : ζ.
    """

    name: ClassVar[str] = "set"
    paper: ClassVar[str] = (
        "Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity inspired by "
        "network science, Nature Communications 2018"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = ACTIVE_ONLY
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="the values closest to zero"),
    )

    period: int = 100
    budget: str | Mapping[str, object] = "er"
    keep_dense: tuple[str, ...] = ()
    drop_fraction: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("drop_fraction", self.drop_fraction, 0, 1)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A random mask."""
        return SetRule(layer, training, sparsity=sparsity)

    def after_update(self, training: Training) -> None:
        """Rewire at the end of a period."""
        super().after_update(training)
        for layer in training.layers:
            if training.step % self.period == 0 and isinstance(layer.rule, SetRule):
                layer.rule.rewire(self.drop_fraction)
