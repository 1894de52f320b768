"""What makes the cycles of unlike machines comparable: a factor that turns them into cycles of the baseline."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from swatsim.area import area_of
from swatsim.errors import SwatsimError

if TYPE_CHECKING:
    from swatsim.architecture import Architecture

NORMALIZATIONS = ("macs", "area", "none")


class Scale(NamedTuple):
    """Cycles of a machine times `factor` are cycles of the baseline's clock; without one, `reason` says why."""

    factor: Fraction | None
    reason: str = ""


def scale_of(machine: Architecture, baseline: Architecture, normalize: str) -> Scale:
    """How cycles of a machine compare with the baseline's.

    macs: by peak multiplications a cycle, at one clock, as if machines grew or shrank until they had as many
    multipliers as the baseline; area: seconds by square millimetres, if both are known at one process node;
    none: seconds.

    Raises SwatsimError where areas are asked for and the baseline's is not known.
    """
    if normalize == "macs":
        return Scale(Fraction(machine.macs_per_cycle, baseline.macs_per_cycle))
    clocks = Fraction(baseline.clock_hz, machine.clock_hz)
    if normalize == "none":
        return Scale(clocks)
    wanting = _area_wanting(baseline)
    if wanting:
        raise SwatsimError(
            f"normalize: got area with the baseline {baseline.name}: {wanting}, expected a baseline whose area is "
            "known, or macs"
        )
    wanting = _area_wanting(machine)
    if wanting:
        return Scale(None, wanting)
    if machine.area.node_nm != baseline.area.node_nm:
        return Scale(None, f"its area is {_node(machine)}, the baseline's {_node(baseline)}")
    areas = Fraction(area_of(machine).total_mm2) / Fraction(area_of(baseline).total_mm2)
    return Scale(clocks * areas)


def _area_wanting(machine: Architecture) -> str:
    area = area_of(machine)
    if area.uncounted:
        return f"its area is not known (of {', '.join(area.uncounted)})"
    return "" if area.total_mm2 else "its area is 0"


def _node(machine: Architecture) -> str:
    return "of no stated node" if machine.area.node_nm is None else f"at {machine.area.node_nm} nm"
