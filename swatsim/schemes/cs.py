"""Continuous sparsification: a soft mask sigmoid(β·s) is learned, and hardens as β rises.

Source: Savarese et al., "Winning the Lottery with Continuous Sparsification", NeurIPS 2020: the loss is that of the
weights w·σ(β·s), plus λ·Σσ(β·s); β = β_end^(t/T) rises from 1 to its final value, and the mask is then 1 where s > 0,
else 0. One round: rewinding weights, which the paper's search for tickets adds, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.budgets import LAST_LINEAR
from swatsim.schemes.learned import LearnedRule, add_gradient
from swatsim.schemes.masked import MASKED_WEIGHTS
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import (
    PassMasks,
    Scheme,
    SelectionCost,
    check_every_step,
    check_range,
    check_steps,
    register,
    steps_of_run,
)

if TYPE_CHECKING:
    from torch import Tensor


class CsRule(LearnedRule):
    """One s per weight."""

    def __init__(self, layer: Trained, training: Training, *, scheme: ContinuousSparsification) -> None:
        super().__init__(layer, training)
        self.scheme = scheme
        layer.keep("s", layer.weight.new_full(layer.weight.shape, scheme.s_init), learns=True)

    def masked(self, weight: Tensor) -> Tensor:
        """Soft until the run's last step is done, hard behind."""
        s: Tensor = self.layer.kept("s")
        if self.scheme.is_hard(self.training.step):
            return weight * (s.detach() > 0)
        return weight * (self.scheme.beta(self.training.step) * s).sigmoid()

    def before_update(self) -> None:
        """The penalty's gradient; a hard mask stays what it is, whatever momentum s has left."""
        s = self.layer.kept("s")
        if self.scheme.is_hard(self.training.step):
            s.grad = None
            return
        beta = self.scheme.beta(self.training.step)
        soft = (beta * s.detach()).sigmoid()
        add_gradient(s, self.scheme.penalty * beta * soft * (1 - soft))


@register
@dataclass(frozen=True, kw_only=True)
class ContinuousSparsification(Scheme):
    """One round of continuous sparsification. The last linear layer has no mask, as in the authors' code.

    s_init : the lower, the sparser; the paper's are from -0.3 to 0.3.
    final_beta : β at the last step; it is 1 at the first.
    penalty : λ.
    total_steps : optimiser steps after which the mask is hard; needed for training.
    """

    name: ClassVar[str] = "cs"
    paper: ClassVar[str] = "Savarese et al., Winning the Lottery with Continuous Sparsification, NeurIPS 2020"
    passes: ClassVar[Mapping[str, PassMasks]] = MASKED_WEIGHTS
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(2), what="weights times the sigmoid of s", every="step"),
    )
    has_target: ClassVar[bool] = False

    keep_dense: tuple[str, ...] = (LAST_LINEAR,)
    s_init: float = 0.0
    final_beta: float = 200.0
    penalty: float = 1e-8
    total_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)
        check_range("s_init", self.s_init, -1e6, 1e6)
        check_range("final_beta", self.final_beta, 1, 1e6)
        check_range("penalty", self.penalty, 0, 1e6)
        check_steps("total_steps", self.total_steps)

    def beta(self, step: int) -> float:
        """How steep the mask is."""
        return float(self.final_beta ** (step / steps_of_run(self)))

    def is_hard(self, step: int) -> bool:
        """Whether the run is over, and the mask with it."""
        return step >= steps_of_run(self)

    def target(self, final: Fraction, step: int) -> Fraction:
        """Nothing is 0 until the mask is hard."""
        return final if self.total_steps is None or self.is_hard(step) else Fraction(0)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A soft mask of its own."""
        steps_of_run(self)
        return CsRule(layer, training, scheme=self)
