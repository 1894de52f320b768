"""Filter pruning: the filters with the smallest L1 norms go, and with them what the next layer made of their outputs.

Source: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, §3.1: all at once, then the rest is trained on.
A pruned filter's outputs are 0, behind a normalisation too. Who reads them is seen in the data and not in the graph: a
channel that is 0 in the whole batch, for whatever reason (a normalisation that begins with scale 0 never learns so).
So a shortcut that adds something keeps the channel, as it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.bits import kept_count
from swatsim.budgets import LAST_LINEAR, Place
from swatsim.errors import SwatsimError
from swatsim.schemes.rule import LayerRule, Operation, Trained, Training
from swatsim.schemes.scheme import (
    ACTIVE_WEIGHTS,
    LIVE_FILTERS,
    PassMasks,
    Scheme,
    SelectionCost,
    check_every_step,
    is_count,
    register,
)
from swatsim.schemes.selection import top_k_mask

if TYPE_CHECKING:
    from torch import Tensor


class FilterRule(LayerRule):
    """Which filters live is a buffer, all until the first call at `begin_step`."""

    owns_weight = True

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, begin_step: int) -> None:
        super().__init__(layer, training)
        self.budget, self.begin_step = sparsity, begin_step
        layer.keep("live", layer.weight.new_ones(layer.weight.shape[0]).bool())
        self._active: Tensor | None = None  # weights of the last call, [K, C, 1, …]

    @property
    def live(self) -> Tensor:
        """Which filters are left, [K]."""
        live: Tensor = self.layer.kept("live")
        return live

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The fraction of weights that filters and channels take away together; nothing until some are."""
        if self._active is None or bool(self._active.all()):
            return {}
        dropped = Fraction(int((~self._active).sum()), self._active.numel())
        return {("forward", "weight"): dropped, ("input_grad", "weight"): dropped}

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """Live filters, at channels that some value of the batch reaches."""
        if self.budget and self.training.step >= self.begin_step and bool(self.live.all()):
            norms = weight.detach().abs().flatten(1).sum(1)
            self.live.copy_(top_k_mask(norms, kept_count(self.budget, len(norms))))
        self._active = self._active_weights(weight, input.detach())
        return weight * self._active

    def output_mask(self, input: Tensor, weight: Tensor, operation: Operation) -> Tensor | None:
        """Live filters' outputs."""
        live = self.live
        return None if bool(live.all()) else live.view(-1, *(1,) * (self.layer.weight.dim() - 2))

    def needed_weight_grad(self) -> Tensor | None:
        """Those of weights that were used; all until some are not."""
        if self._active is None or bool(self._active.all()):
            return None
        return self._active.expand_as(self.layer.weight)

    def after_update(self) -> None:
        """Momentum and weight decay do not bring a filter back."""
        self.layer.weight.detach().mul_(_rows(self.live, self.layer.weight))

    def _active_weights(self, weight: Tensor, input: Tensor) -> Tensor:
        rows = _rows(self.live, weight)
        if bool(self.live.all()) and self.training.step < self.begin_step:
            return rows.expand(weight.shape[:2] + (1,) * (weight.dim() - 2))
        channel_axis = input.dim() - max(weight.dim() - 1, 1)  # of convolutions before the positions, else the last
        others = tuple(axis for axis in range(input.dim()) if axis != channel_axis)
        reached = (input != 0).sum(others) > 0 if others else input != 0
        groups = len(reached) // weight.shape[1]
        # Filters of one group read the same channels.
        of_filter = reached.view(groups, -1).repeat_interleave(len(weight) // groups, 0)
        return rows & of_filter.view(weight.shape[:2] + (1,) * (weight.dim() - 2))


def _rows(live: Tensor, weight: Tensor) -> Tensor:
    return live.view(-1, *(1,) * (weight.dim() - 1))


@register
@dataclass(frozen=True, kw_only=True)
class FilterPruning(Scheme):
    """One-shot pruning of whole filters; the sparsity is the fraction of filters.

    begin_step : optimiser steps before it; 0 prunes what the model holds when it is first called.
    keep_dense : layers whose own filters stay; channels that they read may still be gone.
    """

    name: ClassVar[str] = "filter-pruning"
    paper: ClassVar[str] = "Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017"
    passes: ClassVar[Mapping[str, PassMasks]] = {
        "forward": PassMasks(operands=("weight",), result=LIVE_FILTERS),
        "input_grad": PassMasks(operands=("weight",)),
        "weight_grad": PassMasks(result=ACTIVE_WEIGHTS),
    }
    pattern: ClassVar[str] = "filter"
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="L1 norms of filters", every="once"),
    )

    keep_dense: tuple[str, ...] = (LAST_LINEAR,)
    begin_step: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)
        if not is_count(self.begin_step):
            raise SwatsimError(f"begin_step: got {self.begin_step}, expected an optimiser step from 0")

    def covers(self, place: Place) -> bool:
        """Every layer: one that keeps its filters may read channels that are gone."""
        return True

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """All filters live at first."""
        return FilterRule(layer, training, sparsity=sparsity, begin_step=self.begin_step)
