"""How many values of a contraction's sides are present together."""

from __future__ import annotations

from swatsim.sides import Side


def count_met(rows: Side, columns: Side) -> int:
    """Multiply positions of all groups at which both values are present."""
    return int((rows.by_element * columns.by_element).sum())
