"""SWAT-U: the same sparsity in every layer, the first convolution dense (NeurIPS 2020, §3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from swatsim.schemes.scheme import register
from swatsim.schemes.swat import Swat


@register
@dataclass(frozen=True, kw_only=True)
class SwatUniform(Swat):
    """Uniform budget."""

    name: ClassVar[str] = "swat-u"
