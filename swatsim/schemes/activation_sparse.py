"""Sparse activations: what a layer reads is cut off below a threshold, and an L1 penalty draws it there.

Sources: Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Inference on Deep Neural Networks", ICML
2020 (FATReLU: x where x >= T, else 0); Georgiadis, "Accelerating Convolutional Neural Networks via Activation Map
Compression", CVPR 2019 (the loss has the further term λ·Σ|x|, a mean over the batch).

The layer's input is cut, |x| >= T, which is FATReLU where a ReLU made it. The cut is part of the network, not of a
pass: weight_grad reads the same zeros as forward, and nothing flows back through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from swatsim.errors import SwatsimError
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, check_range, register
from swatsim.schemes.selection import top_k_threshold

if TYPE_CHECKING:
    from torch import Tensor

_NONE_YET = -1.0


class ActivationRule(LayerRule):
    """The threshold is a buffer: evaluation and a resumed run cut where training did."""

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, scheme: ActivationSparse) -> None:
        super().__init__(layer, training)
        self.scheme, self.budget = scheme, sparsity
        fixed = _NONE_YET if scheme.threshold is None else float(scheme.threshold)
        layer.keep("threshold", layer.weight.new_full((), fixed))

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The budget of the activation that both passes read; of a fixed threshold, only what is left is known."""
        if self.scheme.threshold is not None:
            return {}
        return {("forward", "input"): self.budget, ("weight_grad", "input"): self.budget}

    def input(self, input: Tensor) -> Tensor:
        """The values from the threshold on; the penalty joins their gradient."""
        kept = input.masked_fill(input.abs() < self._threshold(input), 0.0)
        weight, penalty = self.layer.weight, self.scheme.l1_penalty
        if penalty and kept.requires_grad:
            images = kept.shape[0] if kept.dim() >= weight.dim() else 1
            # Detached: a hook that held the tensor which holds the hook would keep both alive.
            pull = kept.detach().sign() * (penalty / images)
            add_hook: Any = kept.register_hook
            add_hook(lambda gradient: gradient + pull)
        return kept

    def _threshold(self, input: Tensor) -> float:
        kept: Tensor = self.layer.kept("threshold")
        selects = self.layer.module.training and self.training.step % self.scheme.period == 0
        if self.scheme.threshold is None and (selects or kept.item() < 0):
            kept.fill_(top_k_threshold(input, self.budget))
        return float(kept.item())


@register
@dataclass(frozen=True, kw_only=True)
class ActivationSparse(Scheme):
    """FATReLU with or without the L1 penalty. Images, which the first convolution reads, are no activations.

    sparsity : the threshold is the activation's top-K over the batch, taken anew every `period` steps; or
    threshold : T, fixed, instead of a sparsity. With 0 the penalty acts alone.
    l1_penalty : λ; 0 is FATReLU alone. Where a loss is scaled (mixed precision), λ is of the scaled one.
    """

    name: ClassVar[str] = "activation-sparse"
    paper: ClassVar[str] = (
        "Kurtz et al., Inducing and Exploiting Activation Sparsity for Fast Inference on Deep Neural Networks, ICML "
        "2020; Georgiadis, Accelerating Convolutional Neural Networks via Activation Map Compression, CVPR 2019"
    )
    passes: ClassVar[Mapping[str, PassMasks]] = {
        "forward": PassMasks(operands=("input",)),
        "weight_grad": PassMasks(operands=("input",)),
    }
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="input", readings=Fraction(1), what="top-K over the batch"),
    )
    instead_of_target: ClassVar[str | None] = "threshold"

    threshold: float | None = None
    l1_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_range("threshold", self.threshold, 0, 1e30)
            if self.sparsity is not None:
                raise SwatsimError(f"threshold: got {self.threshold} and a sparsity, expected one of them")
            object.__setattr__(self, "has_target", False)
        check_range("l1_penalty", self.l1_penalty, 0, 1e30)
        super().__post_init__()

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """A threshold of its own."""
        return ActivationRule(layer, training, sparsity=sparsity, scheme=self)
