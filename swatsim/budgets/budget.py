"""What a budget is, and the numbers that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

from swatsim.arguments import exact_number
from swatsim.budgets.place import Place
from swatsim.errors import SwatsimError
from swatsim.keys.problems import shown

# From the layers, the network's sparsity and the patterns that stay dense to each layer's sparsity.
Budget = Callable[[Sequence[Place], Fraction, tuple[str, ...]], dict[str, Fraction]]
BUDGETS: dict[str, Budget] = {}

# Solved budgets are real numbers; a layer's sparsity is kept to so many decimals, for people to read.
DECIMALS = 6


def register(name: str) -> Callable[[Budget], Budget]:
    """Make a budget selectable by this name."""

    def add(budget: Budget) -> Budget:
        BUDGETS[name] = budget
        return budget

    return add


def exact_sparsity(sparsity: object, where: str = "sparsity") -> Fraction:
    """The sparsity as the number that was written: 0.8 is 4/5, not the float next to it.

    Raises SwatsimError where it is not in [0, 1).
    """
    exact = exact_number(sparsity)
    if exact is None or not 0 <= exact < 1:
        got = shown(sparsity) if isinstance(sparsity, str) else sparsity
        raise SwatsimError(f"{where}: got {got}, expected a number from 0 to below 1")
    return exact


def rounded(sparsity: float) -> Fraction:
    """A solved sparsity, to `DECIMALS`, and below 1: a layer keeps at least one weight."""
    exact = Fraction(Decimal(sparsity).quantize(Decimal(1).scaleb(-DECIMALS)))
    return min(exact, 1 - Fraction(1, 10**DECIMALS))


def solve_densities(places: Sequence[Place], raw: Sequence[float], density: float, fixed: set[str]) -> dict[str, float]:
    """Densities ε·raw with ε such that all weights together have `density`, none above 1.

    A layer that would exceed 1 becomes dense, and ε is solved again, until none does (RigL, ICML 2020, §3 and the
    authors' code). `fixed` layers are dense from the start.

    Raises SwatsimError where the dense layers alone hold more weights than the network may keep.
    """
    dense = set(fixed)
    kept = density * sum(place.weights for place in places)
    while True:
        share = kept - sum(place.weights for place in places if place.name in dense)
        open_places = [(place, value) for place, value in zip(places, raw, strict=True) if place.name not in dense]
        if not open_places:
            break
        if share < -kept * 1e-9:  # more than rounding
            dense_part = sum(place.weights for place in places if place.name in fixed) / kept * density
            expected = f"at most {1 - dense_part:.4f}, for some layers stay dense"
            raise SwatsimError(f"sparsity: got {1 - density:g}, expected {expected}")
        scale = max(share, 0) / sum(place.weights * value for place, value in open_places)
        over = {place.name for place, value in open_places if scale * value > 1}
        if not over:
            break
        dense |= over
    return {place.name: 1.0 if place.name in dense else scale * value for place, value in zip(places, raw, strict=True)}
