"""STR: weights are soft-thresholded, and each layer learns its threshold.

Source: Kusupati et al., "Soft Threshold Weight Reparameterization for Learnable Sparsity", ICML 2020: S(W, s) =
sign(W)·relu(|W| - g(s)) with g the sigmoid; weight decay acts on s, which begins far below 0, and so raises the
threshold. Gradients of dropped weights are 0; as in the authors' code they are computed and masked behind.
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


class StrRule(LearnedRule):
    """One s per layer."""

    def __init__(self, layer: Trained, training: Training, *, scheme: SoftThreshold) -> None:
        super().__init__(layer, training)
        self.decay = scheme.s_weight_decay
        layer.keep("s", layer.weight.new_full((), scheme.s_init), learns=True)

    def masked(self, weight: Tensor) -> Tensor:
        """S(W, s)."""
        s: Tensor = self.layer.kept("s")
        return weight.sign() * (weight.abs() - s.sigmoid()).relu()

    def before_update(self) -> None:
        """Weight decay of s: the optimiser's own does not act on what `keep` adds."""
        s = self.layer.kept("s")
        add_gradient(s, self.decay * s.detach())


@register
@dataclass(frozen=True, kw_only=True)
class SoftThreshold(Scheme):
    """Soft threshold reparameterization; all layers learn one.

    s_init, s_weight_decay : together with the length of the run they decide how sparse the network becomes. The
        defaults are the authors' for ResNet-50 at 90 % in 100 epochs of ImageNet; a short run needs an s_init at which
        the sigmoid is not 0 yet, such as -5.
    """

    name: ClassVar[str] = "str"
    paper: ClassVar[str] = "Kusupati et al., Soft Threshold Weight Reparameterization for Learnable Sparsity, ICML 2020"
    passes: ClassVar[Mapping[str, PassMasks]] = MASKED_WEIGHTS
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="soft threshold", every="step"),
    )
    has_target: ClassVar[bool] = False

    keep_dense: tuple[str, ...] = ()
    s_init: float = -3200.0
    s_weight_decay: float = 2.251757813e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_every_step(self)
        check_range("s_init", self.s_init, -1e6, 1e6)
        check_range("s_weight_decay", self.s_weight_decay, 0, 1)

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A threshold of its own."""
        return StrRule(layer, training, scheme=self)
