"""SWAT-M: at each selection, layers whose active weights move more keep more of them (NeurIPS 2020, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.budgets.momentum import momentum_budget
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import SelectionCost, check_momentum, register
from swatsim.schemes.swat import Swat, SwatRule

if TYPE_CHECKING:
    from torch import Tensor


class MomentumRule(SwatRule):
    """SWAT's rule at a budget that changes: a buffer, so that a resumed run goes on with it."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, period: int) -> None:
        layer.keep("budget", layer.weight.new_zeros(2).long())
        super().__init__(layer, training, sparsity=sparsity, period=period)
        self._active: Tensor | None = None  # of the last forward pass, before the weights were updated

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """Top-K of the weight."""
        used = super().used_weight(weight, input)
        self._active = used.detach() != 0
        return used

    @property
    def budget(self) -> Fraction:
        """The sparsity of the layer's next selection."""
        numerator, denominator = self.layer.kept("budget").tolist()
        return Fraction(numerator, denominator)

    @budget.setter
    def budget(self, sparsity: Fraction) -> None:
        exact = sparsity.limit_denominator(10**18)  # of the buffer's 64 bits
        self.layer.kept("budget").copy_(self.layer.kept("budget").new_tensor(exact.as_integer_ratio()))

    def mean_momentum(self) -> float:
        """Of the weights that the last selection kept, in magnitude; 0 where there is none."""
        momentum, active = self.training.momentum(self.layer.weight), self._active
        return 0.0 if momentum is None or active is None or not active.any() else float(momentum[active].abs().mean())


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

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """SWAT's rule, at the first budget until there is momentum."""
        return MomentumRule(layer, training, sparsity=sparsity, period=self.period)

    def after_update(self, training: Training) -> None:
        """Spread the budget again when the next step selects."""
        if training.step % self.period or self.sparsity is None:
            return
        check_momentum(self, training)
        rules = {layer.place.name: layer.rule for layer in training.layers if isinstance(layer.rule, MomentumRule)}
        means = {name: rule.mean_momentum() for name, rule in rules.items()}
        places = [layer.place for layer in training.layers]
        budgets = momentum_budget(places, self.sparsity, self.keep_dense, means)
        for name, rule in rules.items():
            rule.budget = budgets[name]
            rule.forget()
