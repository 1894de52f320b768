"""How many values of a contraction's sides are present together."""

from __future__ import annotations

from swatsim.sides import Side


def count_met(rows: Side, columns: Side) -> int:
    """Multiply positions of all groups at which both values are present."""
    if columns not in rows.met:
        # The counts by element, as many as the images have positions, are not kept.
        rows.met[columns] = int((rows.by_element * columns.by_element).sum())
    return rows.met[columns]
