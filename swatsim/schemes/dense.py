"""Dense training: what every other scheme is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, register


@register
@dataclass(frozen=True, kw_only=True)
class Dense(Scheme):
    """Nothing is selected; activations keep their natural zeros."""

    name: ClassVar[str] = "dense"
    paper: ClassVar[str] = "the baseline of every paper"
    passes: ClassVar[Mapping[str, PassMasks]] = {}
    has_target: ClassVar[bool] = False

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """None."""
        return None
