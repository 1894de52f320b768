"""SWAT-M: density follows the mean magnitude of the momentum of a layer's active weights.

Sources: Dettmers and Zettlemoyer, "Sparse Networks from Scratch", 2019, §3.2; Raihan and Aamodt, NeurIPS 2020, §3.2.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from swatsim.budgets.budget import register, rounded, solve_densities
from swatsim.budgets.place import Place
from swatsim.budgets.uniform import uniform


@register("momentum")
def before_any_momentum(places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...]) -> dict[str, Fraction]:
    """The first step's: uniform, for there is no momentum yet. Training then calls `momentum_budget`."""
    return uniform(places, sparsity, dense)


def momentum_budget(
    places: Sequence[Place], sparsity: Fraction, dense: tuple[str, ...], mean_momentum: Mapping[str, float]
) -> dict[str, Fraction]:
    """Densities proportional to the layers' mean |momentum| of active weights; what a full layer cannot take is spread.

    `mean_momentum` is by layer. Where all are zero the budget is uniform.
    """
    if not any(mean_momentum[place.name] for place in places if not place.matches(dense)):
        return uniform(places, sparsity, dense)
    # A layer without momentum keeps a vanishing part rather than nothing.
    least = max(mean_momentum.values()) * 1e-6
    raw = [max(mean_momentum[place.name], least) for place in places]
    fixed = {place.name for place in places if place.matches(dense)}
    densities = solve_densities(places, raw, float(1 - sparsity), fixed)
    return {name: rounded(1 - density) for name, density in densities.items()}
