"""RigL: every ΔT steps the smallest weights are dropped and those with the largest gradients grow.

Source: Evci et al., "Rigging the Lottery: Making All Tickets Winners", ICML 2020, Algorithm 1 and Table 1, and the
authors' code (google-research/rigl) for what these leave open: a weight that is dropped and grown in the same update
keeps its value and momentum; one that was inactive starts with 0 of both; counts are rounded down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.masked import ACTIVE_ONLY, DropAndGrowRule
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import (
    PassMasks,
    Scheme,
    SelectionCost,
    check_range,
    check_steps,
    cosine,
    register,
    steps_of_run,
)
from swatsim.schemes.selection import top_k_mask

if TYPE_CHECKING:
    from torch import Tensor


class RiglRule(DropAndGrowRule):
    """Active weights only, but at steps that change the mask."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, scheme: Rigl) -> None:
        super().__init__(layer, training, sparsity=sparsity)
        self.scheme = scheme

    def needed_weight_grad(self) -> Tensor | None:
        """All, where growth looks at them."""
        return None if self.scheme.is_dense_step(self.training.step) else super().needed_weight_grad()

    def rewire(self, fraction: float) -> None:
        """Drop by magnitude, grow by the gradient's; a layer without a gradient stays as it is."""
        weight, gradient, active = self.layer.weight.detach(), self.layer.weight.grad, self.active
        if gradient is None:
            return
        moved = int(fraction * active)
        kept = top_k_mask(weight.abs(), active - moved, self.mask)
        self.change(kept | top_k_mask(gradient.abs(), moved, ~kept))


@register
@dataclass(frozen=True, kw_only=True)
class Rigl(Scheme):
    """The rigged lottery.

    period : ΔT.
    drop_fraction : α, of the active weights at the start; it falls as half a cosine to 0 at the last change.
    end_fraction : of total_steps; masks are fixed from there on (T_end).
    total_steps : optimiser steps of the run; needed for training.
    budget : uniform with the first convolution dense, or `erk`, for which the paper keeps no layer dense.
    """

    name: ClassVar[str] = "rigl"
    paper: ClassVar[str] = "Evci et al., Rigging the Lottery: Making All Tickets Winners, ICML 2020"
    passes: ClassVar[Mapping[str, PassMasks]] = ACTIVE_ONLY
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="smallest magnitudes of active weights"),
        SelectionCost(tensor="weight gradient", readings=Fraction(1), what="largest magnitudes of inactive weights"),
    )

    period: int = 100
    drop_fraction: float = 0.3
    end_fraction: float = 0.75
    total_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("drop_fraction", self.drop_fraction, 0, 1)
        check_range("end_fraction", self.end_fraction, 0, 1)
        check_steps("total_steps", self.total_steps)

    @property
    def end_step(self) -> int:
        """The step from which masks are fixed."""
        return int(self.end_fraction * steps_of_run(self))

    def is_dense_step(self, step: int) -> bool:
        """Every `period` steps; until the end, if it is known."""
        return step > 0 and step % self.period == 0 and (self.total_steps is None or step < self.end_step)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A random mask."""
        steps_of_run(self)
        return RiglRule(layer, training, sparsity=sparsity, scheme=self)

    def before_update(self, training: Training) -> None:
        """A step that changes masks updates no weights: Algorithm 1's `if`."""
        if not self.is_dense_step(training.step):
            return
        for layer in training.layers:
            if isinstance(layer.rule, RiglRule):
                layer.rule.rewire(cosine(self.drop_fraction, training.step, self.end_step))
        training.skip_update()
