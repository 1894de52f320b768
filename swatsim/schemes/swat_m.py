"""SWAT-M: at each selection, layers whose active weights move more keep more of them (NeurIPS 2020, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from swatsim.budgets.momentum import momentum_budget
from swatsim.schemes.rule import Training
from swatsim.schemes.scheme import SelectionCost, register
from swatsim.schemes.swat import Swat, SwatRule


@register
@dataclass(frozen=True, kw_only=True)
class SwatMomentum(Swat):
    """Momentum budget, taken anew every `period` steps."""

    name: ClassVar[str] = "swat-m"
    budget: str | Mapping[str, object] = "momentum"
    keep_dense: tuple[str, ...] = ()
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        *Swat.selection,
        SelectionCost(tensor="momentum", readings=Fraction(1), what="mean magnitude of active weights"),
    )

    def after_update(self, training: Training) -> None:
        """Spread the budget again when the next step selects."""
        rules = [layer.rule for layer in training.layers if isinstance(layer.rule, SwatRule)]
        if training.step % self.period or self.sparsity is None:
            return
        means: dict[str, float] = {}
        for rule in rules:
            weight = rule.layer.weight.detach()
            momentum = training.momentum(rule.layer.weight)
            active = rule.active(weight)
            means[rule.layer.place.name] = 0.0 if momentum is None else float(momentum[active].abs().mean())
        places = [layer.place for layer in training.layers]
        budgets = momentum_budget(places, self.sparsity, self.keep_dense, means)
        for rule in rules:
            rule.budget = budgets[rule.layer.place.name]
            rule.forget()
