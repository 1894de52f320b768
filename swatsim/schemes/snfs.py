"""SNFS: every period a part of the smallest weights is dropped; layers and places with much momentum get them.

Source: Dettmers and Zettlemoyer, "Sparse Networks from Scratch: Faster Training without Losing Performance", 2019,
Algorithm 1; the pruning rate falls as a cosine. A weight that is dropped and grown in the same update keeps its value,
as in the authors' code (sparse_learning); counts are rounded so that the network keeps its number of weights exactly,
where that code lets it drift and corrects later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.masked import MASKED_WEIGHTS, DropAndGrowRule, share_out
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import (
    PassMasks,
    Scheme,
    SelectionCost,
    check_momentum,
    check_range,
    check_steps,
    cosine,
    register,
    steps_of_run,
)
from swatsim.schemes.selection import top_k_mask

if TYPE_CHECKING:
    from torch import Tensor


class SnfsRule(DropAndGrowRule):
    """Dropped weights have gradients and momentum all the same: growth looks at them."""

    active_gradients: ClassVar[bool] = False

    @property
    def momentum(self) -> Tensor | None:
        """The magnitude of the weight's momentum; None before the optimiser has any."""
        momentum = self.training.momentum(self.layer.weight)
        return None if momentum is None else momentum.abs()


@register
@dataclass(frozen=True, kw_only=True)
class SparseMomentum(Scheme):
    """Sparse momentum, the fully sparse variant: no layer stays dense.

    period : the paper's is an epoch.
    drop_fraction : p, of each layer's active weights at the start; half a cosine to 0 at total_steps.
    total_steps : optimiser steps of the run; needed for training.
    """

    name: ClassVar[str] = "snfs"
    paper: ClassVar[str] = (
        "Dettmers and Zettlemoyer, Sparse Networks from Scratch: Faster Training without Losing Performance, 2019"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = MASKED_WEIGHTS
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="smallest magnitudes of active weights"),
        SelectionCost(tensor="momentum", readings=Fraction(2), what="mean of active, largest of inactive weights"),
    )

    period: int = 100
    budget: str | Mapping[str, object] = "momentum"
    keep_dense: tuple[str, ...] = ()
    drop_fraction: float = 0.2
    total_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("drop_fraction", self.drop_fraction, 0, 1)
        check_steps("total_steps", self.total_steps)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A random mask."""
        steps_of_run(self)
        return SnfsRule(layer, training, sparsity=sparsity)

    def after_update(self, training: Training) -> None:
        """Redistribute at the end of a period."""
        super().after_update(training)
        check_momentum(self, training)
        if training.step % self.period == 0:
            rules = [layer.rule for layer in training.layers if isinstance(layer.rule, SnfsRule)]
            fraction = cosine(self.drop_fraction, training.step, steps_of_run(self))
            _redistribute([(rule, momentum) for rule in rules if (momentum := rule.momentum) is not None], fraction)


def _redistribute(rules: Sequence[tuple[SnfsRule, Tensor]], fraction: float) -> None:
    """Algorithm 1 (a) to (c): layers' shares, drop by magnitude, grow by momentum."""
    dropped = [int(fraction * rule.active) for rule, _ in rules]
    shares = [float(momentum[rule.mask].mean()) for rule, momentum in rules]
    kept = [
        top_k_mask(rule.layer.weight.detach().abs(), rule.active - count, rule.mask)
        for (rule, _), count in zip(rules, dropped, strict=True)
    ]
    grown = share_out(sum(dropped), shares, [int((~mask).sum()) for mask in kept])
    for (rule, momentum), mask, count in zip(rules, kept, grown, strict=True):
        rule.change(mask | top_k_mask(momentum, count, ~mask))
