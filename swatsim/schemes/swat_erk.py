"""SWAT-ERK: Erdős–Rényi-kernel budgets, the first convolution among them (NeurIPS 2020, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from swatsim.schemes.scheme import register
from swatsim.schemes.swat import Swat


@register
@dataclass(frozen=True, kw_only=True)
class SwatErk(Swat):
    """ERK budget."""

    name: ClassVar[str] = "swat-erk"
    budget: str | Mapping[str, object] = "erk"
    keep_dense: tuple[str, ...] = ()
