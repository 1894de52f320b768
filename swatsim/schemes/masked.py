"""Masks on weights that stay as they are between their changes: what set, rigl, snfs, dsr and gmp share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.bits import kept_count
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import ACTIVE_WEIGHTS, PassMasks
from swatsim.schemes.selection import top_k_mask

if TYPE_CHECKING:
    from torch import Tensor

MASKED_WEIGHTS: Mapping[str, PassMasks] = {
    "forward": PassMasks(operands=("weight",)),
    "input_grad": PassMasks(operands=("weight",)),
}
ACTIVE_ONLY: Mapping[str, PassMasks] = {**MASKED_WEIGHTS, "weight_grad": PassMasks(result=ACTIVE_WEIGHTS)}


class MaskedRule(LayerRule):
    """Forward and input_grad multiply the active weights; the mask is a buffer of the user's module."""

    owns_weight = True

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction, mask: Tensor) -> None:
        super().__init__(layer, training)
        self.final = sparsity
        layer.keep("mask", mask)

    @property
    def budget(self) -> Fraction:
        """The sparsity that the layer is to have now."""
        return self.final

    @property
    def mask(self) -> Tensor:
        """Which weights are active: boolean, of the weight's shape."""
        mask: Tensor = self.layer.kept("mask")
        return mask

    @property
    def active(self) -> int:
        """How many weights are active."""
        return int(self.mask.sum())

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The layer's budget as long as the mask has its count, else the fraction that the mask drops."""
        weights, active = self.mask.numel(), self.active
        held = self.budget if active == kept_count(self.budget, weights) else Fraction(weights - active, weights)
        return {("forward", "weight"): held, ("input_grad", "weight"): held}

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """The active weights."""
        return weight * self.mask


class DropAndGrowRule(MaskedRule):
    """A mask that begins at random, at the budget; weights that it drops are 0, and start from there if they grow."""

    # Whether dropped weights need no gradient, and so have no momentum either.
    active_gradients: ClassVar[bool] = True

    def __init__(self, layer: Trained, training: Training, *, sparsity: Fraction) -> None:
        weight = layer.weight.detach()
        mask = random_mask(weight, kept_count(sparsity, weight.numel()), training)
        super().__init__(layer, training, sparsity=sparsity, mask=mask)
        self._clear()

    def needed_weight_grad(self) -> Tensor | None:
        """Those of active weights, unless growth looks at the others."""
        return self.mask if self.active_gradients else None

    def after_update(self) -> None:
        """Whatever the optimiser has done to dropped weights is undone."""
        self._clear()

    def change(self, mask: Tensor) -> None:
        """Take another mask. Weights and momenta that are active in both keep their values."""
        self.mask.copy_(mask)
        self._clear()

    def grow_at_random(self, count: int) -> None:
        """Activate `count` more weights, each inactive one as likely as the others."""
        self.mask.logical_or_(random_mask(self.layer.weight.detach(), count, self.training, allowed=~self.mask))

    def forget(self) -> None:
        """Weights that were loaded may be dense."""
        self._clear()

    def _clear(self) -> None:
        self.layer.weight.detach().mul_(self.mask)
        momentum = self.training.momentum(self.layer.weight)
        if self.active_gradients and momentum is not None:
            momentum.mul_(self.mask)


def random_mask(weight: Tensor, count: int, training: Training, allowed: Tensor | None = None) -> Tensor:
    """`count` places of a weight; drawn on the processor, so that a seed means the same on every device."""
    draws = weight.new_empty(weight.shape, device="cpu").float().uniform_(generator=training.random)
    return top_k_mask(draws.to(weight.device), count, allowed)


def share_out(total: int, shares: Sequence[float], rooms: Sequence[int]) -> list[int]:
    """Whole numbers that add up to `total`, in proportion to shares, none above its room.

    What a full one cannot take goes to the others in proportion; fractions are settled by the largest remainders.
    Without any shares the open ones get equal parts. `total` must fit into all rooms together.
    """
    full: set[int] = set()
    while True:
        places = [place for place in range(len(rooms)) if place not in full]
        left = total - sum(rooms[place] for place in full)
        whole = sum(Fraction(shares[place]) for place in places)
        quotas = {
            place: left * Fraction(shares[place]) / whole if whole else Fraction(left, len(places)) for place in places
        }
        over = {place for place in places if quotas[place] > rooms[place]}
        if not over:
            break
        full |= over
    counts = [int(quotas.get(place, Fraction(room))) for place, room in enumerate(rooms)]
    by_remainder = sorted(places, key=lambda place: counts[place] - quotas[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts
