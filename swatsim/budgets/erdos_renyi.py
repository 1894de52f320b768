"""Erdős–Rényi budgets: layers with few connections per neuron keep a larger part of them.

Sources. ER: Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired
by network science", Nature Communications 2018. ERK counts the kernel too: Evci et al., "Rigging the Lottery", ICML
2020, §3.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from swatsim.budgets.budget import register, rounded, solve_densities
from swatsim.budgets.place import Place


@register("er")
def erdos_renyi(places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...]) -> dict[str, Fraction]:
    """Density proportional to (C + K) / (C · K), whatever the kernel."""
    return _solved(places, sparsity, dense, lambda place: place.weight_shape[:2])


@register("erk")
def erdos_renyi_kernel(places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...]) -> dict[str, Fraction]:
    """Density proportional to (C + K + R + S) / (C · K · R · S)."""
    return _solved(places, sparsity, dense, lambda place: place.weight_shape)


def _solved(
    places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...], sizes: Callable[[Place], tuple[int, ...]]
) -> dict[str, Fraction]:
    raw = [_inverse_connections(sizes(place)) for place in places]
    fixed = {place.name for place in places if place.matches(dense)}
    densities = solve_densities(places, raw, float(1 - sparsity), fixed)
    return {name: rounded(1 - density) for name, density in densities.items()}


def _inverse_connections(sizes: tuple[int, ...]) -> float:
    product = 1
    for size in sizes:
        product *= size
    return sum(sizes) / product
