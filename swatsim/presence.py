"""How many values of a contraction's sides are present."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.sides import Side


@dataclass(frozen=True, slots=True)
class PresentCounts:
    """How many values of one side are present, counted when first asked for."""

    side: Side

    @property
    def by_vector(self) -> NDArray[np.int64]:
        """Elements present in each vector: [group, vector]."""
        return self.side.by_vector

    @property
    def by_element(self) -> NDArray[np.int64]:
        """Vectors in which each element of the reduction is present: [group, element]."""
        return self.side.by_element

    def met(self, other: PresentCounts) -> int:
        """Multiply positions at which the values of both sides are present."""
        return int((self.by_element * other.by_element).sum())


def count(side: Side) -> PresentCounts:
    """Count what is present in each vector, and in each element of the reduction."""
    return PresentCounts(side)


def count_met(rows: Side, columns: Side) -> int:
    """Multiply positions of all groups at which both values are present."""
    return count(rows).met(count(columns))
