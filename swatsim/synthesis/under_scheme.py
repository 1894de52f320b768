"""A trace of a network under a scheme, drawn and not trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from swatsim.budgets import exact_sparsity, places_of_specs
from swatsim.errors import SwatsimError
from swatsim.layer import LayerSpec
from swatsim.networks import NetworkShapes
from swatsim.passes import PASSES
from swatsim.schemes import SCHEMES, Scheme, scheme_named
from swatsim.synthesis import LayerMasks, Profile, synthesise
from swatsim.synthesis.twin import CLUSTERED
from swatsim.trace import Trace, TraceMetadata


def scheme_for(
    name: str, sparsity: str | None, budget: str | None, period: int | None
) -> tuple[Scheme, Fraction | None]:
    """The scheme of a synthetic trace, and the sparsity that is assumed where the scheme would learn one.

    Raises SwatsimError for unknown names and values, or a sparsity that has to be assumed and is not given.
    """
    kind = SCHEMES.get(name.partition(":")[0])
    if kind is not None and not kind.passes and (sparsity, budget, period) != (None, None, None):
        raise SwatsimError(f"scheme: got {name} with a sparsity, budget or period, expected none: it selects nothing")
    if kind is None or kind.has_target or not kind.passes:
        return scheme_named(name, sparsity=sparsity, budget=budget, period=period), None
    if sparsity is None:
        raise SwatsimError(f"sparsity: got none, expected the one that {name} is assumed to have learned")
    return scheme_named(name, budget=budget, period=period), exact_sparsity(sparsity)


def synthetic_trace(
    shapes: NetworkShapes,
    scheme: Scheme,
    *,
    seed: int,
    profile: Profile,
    kind: str = CLUSTERED,
    learned_sparsity: Fraction | None = None,
) -> Trace:
    """Draw a step of `scheme`, between two changes of its masks, on the layers of a network.

    `learned_sparsity` is that of every layer which the scheme trains, where the scheme has no target but learns it.
    """
    masks = layer_masks(shapes.layers, scheme, learned_sparsity)
    metadata = TraceMetadata(
        name=f"{shapes.name}-{scheme.label}-{kind}", network=shapes.title, scheme=scheme.label,
        sparsity=scheme.sparsity if learned_sparsity is None else learned_sparsity,
        selection_period=scheme.period if scheme.passes else None,
    )  # fmt: skip
    if scheme.budget == "momentum" and scheme.has_target:
        metadata = replace(metadata, provenance={"budget": "uniform: without training there is no momentum"})
    return synthesise(
        shapes.layers, masks, seed=seed, profile=profile, metadata=metadata, graph=shapes.graph, kind=kind
    )


def layer_masks(
    specs: Sequence[LayerSpec], scheme: Scheme, learned_sparsity: Fraction | None = None
) -> dict[str, LayerMasks]:
    """What the scheme selects of each layer at its budget, and which results it computes, in a step between updates."""
    # Transposed convolutions stay dense, as in training.
    places = places_of_specs([spec for spec in specs if not spec.transposed])
    budgets = scheme.layer_budgets(places)
    found = {}
    for place in places:
        if not scheme.covers(place):
            continue
        sparsity = budgets[place.name] if learned_sparsity is None else learned_sparsity
        passes = {name: scheme.masks(name) for name in PASSES}
        found[place.name] = LayerMasks(
            budgets={(name, role): sparsity for name, masks in passes.items() for role in masks.operands},
            results={name: masks.result for name, masks in passes.items() if masks.result is not None},
            pattern=scheme.pattern,
        )
    return found
