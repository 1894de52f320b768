"""Turn a user's model and optimiser into the sparse training of a scheme, in place."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import cast

import torch
from torch import nn

from swatsim.budgets import places_of
from swatsim.errors import SwatsimError
from swatsim.schemes import Scheme, scheme_named
from swatsim.schemes.scheme import is_count
from swatsim.torch.geometry import CONVOLUTIONS, kind_of
from swatsim.torch.layers import SparseLayer
from swatsim.torch.training import Sparsifier


def sparsify(  # noqa: PLR0913  the settings that most schemes share, by name
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    scheme: str | Scheme = "swat-u",
    sparsity: float | Fraction | Decimal | str | None = None,
    period: int | None = None,
    budget: str | Mapping[str, object] | None = None,
    seed: int = 0,
    **settings: object,
) -> Sparsifier:
    """Train `model` by `scheme` from now on: its Conv1d, Conv2d and Linear layers multiply what the scheme selects.

    Parameters
    ----------
    optimizer : its steps are the training's steps; parameters that a scheme learns are added to it.
    scheme : one of `swatsim.schemes.scheme_names()`, or what `scheme_named` has made.
    sparsity : the fraction that is dropped, 0.8 meaning exactly 4/5; 0.8 where none is given, and none where the
        scheme learns it.
    period : optimiser steps between selections, or between changes of a mask.
    budget : how the sparsity is spread over layers (`swatsim.budgets`): a name, a CSV file, or layer -> sparsity.
    seed : of what a scheme draws at random: the same seed gives the same masks.
    settings : the scheme's own, such as `total_steps` of those that change over a run: the fields of its class.

    Returns
    -------
    Sparsifier, whose `remove()` undoes it.

    Raises
    ------
    SwatsimError : an unknown scheme, setting or budget, or a model that is already sparse or has no layers.
    """
    for what, given, kind in (("model", model, nn.Module), ("optimizer", optimizer, torch.optim.Optimizer)):
        if not isinstance(given, kind):
            raise SwatsimError(f"{what}: got {type(given).__name__}, expected torch's {kind.__name__}")
    if isinstance(scheme, str):
        chosen = scheme_named(scheme, sparsity=sparsity, period=period, budget=budget, **settings)
    elif (sparsity, period, budget) != (None, None, None) or settings:
        raise SwatsimError("scheme: got a scheme and settings, expected the settings in the scheme")
    else:
        chosen = scheme
    if not is_count(seed):
        raise SwatsimError(f"seed: got {seed!r}, expected an integer from 0")
    layers: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, (*CONVOLUTIONS, nn.Linear))
    }
    _check(layers)
    shapes = [(name, kind_of(module), tuple(_weight(module).shape)) for name, module in layers.items()]
    places = places_of(shapes)
    budgets = chosen.layer_budgets(places)
    learned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(_weight(module)) in learned for module in layers.values()):
        raise SwatsimError("optimizer: got one that has no layer's weight, expected the model's own")
    sparsifier = Sparsifier(model, optimizer, chosen, seed)
    for place in places:
        if chosen.covers(place):
            sparsifier.attach(layers[place.name], place, budgets[place.name])
    sparsifier.watch()
    return sparsifier


def _weight(module: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, module.weight)


def _check(layers: dict[str, nn.Module]) -> None:
    for name, module in layers.items():
        if isinstance(module, SparseLayer):
            raise SwatsimError(f"{name}: got a layer that is already sparse, expected a dense one")
        if isinstance(module, nn.modules.lazy.LazyModuleMixin):
            raise SwatsimError(f"{name}: got a lazy layer, expected one with its weights (run the model once)")
        base: type[nn.Module] = nn.Linear
        method = "forward"
        if isinstance(module, CONVOLUTIONS):
            base, method = (nn.Conv1d if isinstance(module, nn.Conv1d) else nn.Conv2d), "_conv_forward"
        mine: Callable[..., torch.Tensor] = getattr(type(module), method)
        if mine is not getattr(base, method):
            got = f"{type(module).__name__}, which computes its own {method}"
            raise SwatsimError(f"{name}: got {got}; expected {base.__name__}'s")
