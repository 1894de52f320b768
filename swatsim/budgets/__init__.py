"""Budgets: how much of each layer is dropped so that a network has a given sparsity. One file each, found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from fractions import Fraction

from swatsim.budgets.budget import BUDGETS, Budget, exact_sparsity
from swatsim.budgets.learned import read_budget_file
from swatsim.budgets.place import FIRST_CONVOLUTION, LAST_LINEAR, Place, places_of, places_of_specs
from swatsim.errors import SwatsimError
from swatsim.keys.problems import shown

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def budget_names() -> tuple[str, ...]:
    """The budgets that have a name."""
    return tuple(sorted(BUDGETS))


def allocate(
    budget: str | Mapping[str, object], places: Sequence[Place], sparsity: Fraction, *, dense: Sequence[str] = ()
) -> dict[str, Fraction]:
    """The sparsity of each layer, 0 where it stays dense.

    Parameters
    ----------
    budget : a name of `budget_names()`, a CSV file (layer, sparsity), or a mapping from layer names to sparsities.
    sparsity : of the network: over its weights, those of layers that stay dense not counted by `uniform` and
        counted by the others.
    dense : layers that stay dense: patterns of names, or the words first_convolution and last_linear.

    Raises SwatsimError where the budget is unknown or cannot be met.
    """
    if not isinstance(budget, str):
        return _given(budget, places, dense, "budget")
    if budget in BUDGETS:
        return BUDGETS[budget](places, exact_sparsity(sparsity), tuple(dense))
    if budget.endswith(".csv"):
        return _given(read_budget_file(budget), places, dense, budget)
    raise SwatsimError(f"budget: got {budget!r}, expected one of {', '.join(budget_names())}, or a .csv file")


def _given(
    budget: Mapping[str, object], places: Sequence[Place], dense: Sequence[str], where: str
) -> dict[str, Fraction]:
    unknown = set(budget) - {place.name for place in places}
    if unknown:
        raise SwatsimError(f"{where}: got layer {shown(min(unknown))}, expected a layer of the network")
    missing = [place.name for place in places if place.name not in budget and not place.matches(dense)]
    if missing:
        raise SwatsimError(f"{where}: got no sparsity for layer {missing[0]!r}, expected one for every layer")
    open_places = [place.name for place in places if not place.matches(dense)]
    found = {name: exact_sparsity(budget[name], f"{where}: {name}") for name in open_places}
    return {place.name: found.get(place.name, Fraction(0)) for place in places}


__all__ = [
    "FIRST_CONVOLUTION", "LAST_LINEAR", "Budget", "Place", "allocate", "budget_names", "exact_sparsity", "places_of",
    "places_of_specs",
]  # fmt: skip
