"""DST: every filter learns the magnitude below which its weights are masked.

Source: Liu et al., "Dynamic Sparse Training: Find Efficient Sparse Network From Scratch With Trainable Masked Layers",
ICLR 2020: the mask is S(|W| - t) with S the unit step and t a threshold per output neuron or filter; S's derivative is
estimated by the long-tailed H, so that masked weights and thresholds learn; the loss has the further term α·Σexp(-t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.schemes.learned import LearnedRule, add_gradient
from swatsim.schemes.masked import MASKED_WEIGHTS
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_every_step, check_range, register

if TYPE_CHECKING:
    from torch import Tensor


class DstRule(LearnedRule):
    """One threshold per filter."""

    def __init__(self, layer: Trained, training: Training, *, scheme: TrainableThresholds) -> None:
        super().__init__(layer, training)
        self.penalty, self.least_density = scheme.penalty, Fraction(str(scheme.least_density))
        layer.keep("thresholds", layer.weight.new_zeros(layer.weight.shape[0]), learns=True)

    def masked(self, weight: Tensor) -> Tensor:
        """The weights that reach their filter's threshold."""
        thresholds: Tensor = self.layer.kept("thresholds")
        above = weight.abs() - thresholds.view(-1, *(1,) * (weight.dim() - 1))
        step = (above >= 0).to(weight.dtype)
        # The step's value with H's derivative: the second term is exactly 0.
        return weight * (step + long_tailed(above.detach()) * (above - above.detach()))

    def before_update(self) -> None:
        """The penalty's gradient."""
        thresholds = self.layer.kept("thresholds")
        add_gradient(thresholds, -self.penalty * (-thresholds.detach()).exp())

    def after_update(self) -> None:
        """A layer that would be masked away starts again with thresholds of 0."""
        if 1 - self.sparsity["forward", "weight"] <= self.least_density:
            self.layer.kept("thresholds").zero_()


def long_tailed(above: Tensor) -> Tensor:
    """H, for the derivative of the step: 2 - 4|x| up to 0.4, 0.4 up to 1, 0 beyond."""
    distance = above.abs()
    return (2 - 4 * distance).masked_fill(distance > 0.4, 0.4).masked_fill(distance > 1, 0.0)


@register
@dataclass(frozen=True, kw_only=True)
class TrainableThresholds(Scheme):
    """Dynamic sparse training with trainable masked layers: all of them.

    penalty : α; the larger, the sparser. The default is the authors' for CIFAR-10, 5e-4 that for MNIST.
    least_density : a layer with no more active weights than this has its thresholds reset; 1 % in the authors' code.
    """

    name: ClassVar[str] = "dst"
    paper: ClassVar[str] = (
        "Liu et al., Dynamic Sparse Training: Find Efficient Sparse Network From Scratch With Trainable Masked Layers, "
        "ICLR 2020"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = MASKED_WEIGHTS
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="comparison with thresholds", every="step"),
        SelectionCost(tensor="weight gradient", readings=Fraction(1), what="the thresholds' gradient", every="step"),
    )
    has_target: ClassVar[bool] = False

    keep_dense: tuple[str, ...] = ()
    penalty: float = 5e-6
    least_density: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)
        check_range("penalty", self.penalty, 0, 1e6)
        check_range("least_density", self.least_density, 0, 1)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """Thresholds of its own."""
        return DstRule(layer, training, scheme=self)
