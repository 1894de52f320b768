"""SWAT's passes: top-K weights in forward and input_grad, top-K activations in weight_grad, dense output gradients.

Source: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020, §3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost
from swatsim.schemes.selection import keep_from, top_k_threshold

if TYPE_CHECKING:
    from torch import Tensor

PAPER = "Raihan and Aamodt, Sparse Weight Activation Training, NeurIPS 2020"


class SwatRule(LayerRule):
    """Selections are thresholds, kept for `period` steps; weights that forward drops are updated all the same."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, period: int) -> None:
        super().__init__(layer, training)
        self.budget = sparsity
        self.period = period
        self._weight_selection: tuple[int, float] | None = None  # step, threshold
        self._weight_version = 0  # of the weight that was selected from
        self._batch_selections: dict[str, tuple[int, float]] = {}  # by role: step, threshold

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """One budget for the weight and the activation of a layer."""
        selected = (("forward", "weight"), ("input_grad", "weight"), ("weight_grad", "input"))
        return dict.fromkeys(selected, self.budget)

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """Top-K of the weight."""
        step, previous = self.training.step, self._weight_selection
        # Weights change only between steps: a second call in a step needs no second selection. In a copy of the model,
        # which counts no steps, they change by themselves.
        changed = self.period == 1 and weight._version != self._weight_version
        if previous is None or step - previous[0] >= self.period or changed:
            previous = (step, self.weight_threshold(weight))
            self._weight_selection, self._weight_version = previous, weight._version
        return self.keep_weight(weight, previous[1])

    def weight_threshold(self, weight: Tensor) -> float:
        """The magnitude from which weights are kept."""
        return top_k_threshold(weight, self.budget)

    def keep_weight(self, weight: Tensor, threshold: float) -> Tensor:
        """The weights that a threshold keeps."""
        return keep_from(weight, threshold)

    def input_threshold(self, pass_name: str, input: Tensor) -> float | None:
        """The magnitude of the activation's K-th value, over the whole batch, for weight_grad."""
        return self.batch_threshold("input", input) if pass_name == "weight_grad" else None

    def batch_threshold(self, role: str, values: Tensor) -> float:
        """The K-th magnitude of a tensor that is another in every batch, kept for `period` steps."""
        step, previous = self.training.step, self._batch_selections.get(role)
        # Every batch of a selecting step is selected by itself: gradients may be accumulated.
        if previous is None or step == previous[0] or step - previous[0] >= self.period:
            previous = self._batch_selections[role] = (step, top_k_threshold(values, self.budget))
        return previous[1]

    def forget(self) -> None:
        """Select anew at the next call."""
        self._weight_selection = None
        self._batch_selections.clear()


@dataclass(frozen=True, kw_only=True)
class Swat(Scheme):
    """Base of the four SWAT schemes."""

    paper: ClassVar[str] = PAPER
    passes: ClassVar[Mapping[str, PassMasks]] = {
        "forward": PassMasks(operands=("weight",)),
        "input_grad": PassMasks(operands=("weight",)),
        "weight_grad": PassMasks(operands=("input",)),
    }
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="top-K"),
        SelectionCost(tensor="input", readings=Fraction(1), what="top-K over the batch"),
    )

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """SWAT's rule."""
        return SwatRule(layer, training, sparsity=sparsity, period=self.period)
