"""How many values of a contraction's sides are present."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.gather import count_present
from swatsim.sides import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentCounts:
    """How many values of one side are present."""

    by_vector: NDArray[np.int64]  # [group, vector]: elements present in the vector
    by_element: NDArray[np.int64]  # [group, element of the reduction]: vectors in which it is present

    def met(self, other: PresentCounts) -> int:
        """Multiply positions at which the values of both sides are present."""
        return int((self.by_element * other.by_element).sum())


def count(side: Side) -> PresentCounts:
    """Count what is present in each vector, and in each element of the reduction."""
    by_vector = np.empty((side.groups, side.vectors), dtype=np.int64)
    by_element = np.empty((side.groups, side.offset.size), dtype=np.int64)
    for group in range(side.groups):
        count_present(side.present, side.base[group], side.offset.reshape(-1), by_vector[group], by_element[group])
    return PresentCounts(by_vector=by_vector, by_element=by_element)


def count_met(rows: Side, columns: Side) -> int:
    """Multiply positions of all groups at which both values are present."""
    return count(rows).met(count(columns))
