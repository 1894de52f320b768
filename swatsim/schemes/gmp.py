"""Gradual magnitude pruning: the sparsity rises as a cubic from 0, masks are taken anew every period until it is there.

Source: Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017, §3,
equation 1. Masked weights keep their values and have no gradient, so that they come back where others fall below them;
the gradient is computed whole and masked behind, as in the authors' code, which is why no result mask is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from swatsim.budgets.budget import rounded
from swatsim.errors import SwatsimError
from swatsim.schemes.masked import MASKED_WEIGHTS, MaskedRule
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_steps, is_count, register
from swatsim.schemes.selection import magnitude_mask


class GmpRule(MaskedRule):
    """A mask by magnitude, dense at first; gradients flow through it."""

    straight_through = False

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, scheme: GradualPruning) -> None:
        mask = layer.weight.new_ones(layer.weight.shape).bool()
        super().__init__(layer, training, sparsity=sparsity, mask=mask)
        self.scheme = scheme

    @property
    def budget(self) -> Fraction:
        """Where the ramp is."""
        return self.scheme.target(self.final, self.training.step)

    def after_update(self) -> None:
        """Select again where the ramp has a step."""
        if self.scheme.selects(self.training.step):
            self.mask.copy_(magnitude_mask(self.layer.weight, self.budget))


@register
@dataclass(frozen=True, kw_only=True)
class GradualPruning(Scheme):
    """The ramp of Zhu and Gupta.

    period : Δt, 100 to 1000 in the paper.
    begin_step : t_0; weights are dense until then.
    end_step : where the final sparsity is reached, rounded up to whole periods after begin_step; or give total_steps.
    total_steps : optimiser steps of the run: the ramp then ends at three quarters of them.
    """

    name: ClassVar[str] = "gmp"
    paper: ClassVar[str] = (
        "Zhu and Gupta, To prune, or not to prune: exploring the efficacy of pruning for model compression, 2017"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = MASKED_WEIGHTS
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="top-K"),
    )

    period: int = 100
    begin_step: int = 0
    end_step: int | None = None
    total_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_steps("end_step", self.end_step)
        check_steps("total_steps", self.total_steps)
        end = self._end()
        if not is_count(self.begin_step) or (end is not None and self.begin_step >= end):
            raise SwatsimError(f"begin_step: got {self.begin_step}, expected a step from 0 to before the ramp's end")

    def _end(self) -> int | None:
        if self.end_step is None and self.total_steps is not None:
            return self.total_steps * 3 // 4
        return self.end_step

    @property
    def selections(self) -> int:
        """n: how many selections the ramp has."""
        end = self._end()
        if end is None:
            raise SwatsimError("gmp: got neither end_step nor total_steps, expected the step at which its ramp ends")
        return -(-(end - self.begin_step) // self.period)

    def selects(self, step: int) -> bool:
        """Whether the mask is taken anew when this many steps are done; never again once the ramp has ended."""
        periods, rest = divmod(step - self.begin_step, self.period)
        return rest == 0 and 0 <= periods <= self.selections

    def target(self, final: Fraction, step: int) -> Fraction:
        """Equation 1 with s_i = 0, at the last selection up to this step; the final one where the end is not known."""
        if self._end() is None:
            return final
        periods = (step - self.begin_step) // self.period
        if periods >= self.selections:
            return final
        remaining = 1 - max(periods, 0) / self.selections
        return rounded(float(final) * (1 - remaining**3))

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A dense mask at first. Raises SwatsimError where the ramp has no end."""
        _ = self.selections
        return GmpRule(layer, training, sparsity=sparsity, scheme=self)
