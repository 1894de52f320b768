"""The same sparsity in every layer."""

from collections.abc import Sequence
from fractions import Fraction

from swatsim.budgets.budget import register
from swatsim.budgets.place import Place


@register("uniform")
def uniform(places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...]) -> dict[str, Fraction]:
    """SWAT-U (Raihan and Aamodt, NeurIPS 2020, §3.2): layers that stay dense do not raise the others' sparsity."""
    return {place.name: Fraction(0) if place.matches(dense) else sparsity for place in places}
