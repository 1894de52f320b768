"""Methods of sparse training by name: a scheme is one file of this package, found by itself, with its paper."""

from __future__ import annotations

import importlib
import pkgutil

from swatsim.errors import SwatsimError
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import SCHEMES, PassMasks, Scheme, SelectionCost, make

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

DEFAULT_SPARSITY = "0.8"


def scheme_names() -> tuple[str, ...]:
    """Every scheme."""
    return tuple(sorted(SCHEMES))


def scheme_named(name: str, **settings: object) -> Scheme:
    """The scheme of this name; `settings` are the fields of its class.

    The sparsity is 0.8 where the scheme has a target and none is given. `cases:FORWARD/INPUT_GRAD/WEIGHT_GRAD`, each of
    the letters w, a, g or -, are the sensitivity cases of the SWAT paper.

    Raises SwatsimError for an unknown name, setting or value.
    """
    name, _, argument = name.partition(":")
    if name not in SCHEMES:
        raise SwatsimError(f"scheme: got {name!r}, expected one of {', '.join(scheme_names())}")
    kind = SCHEMES[name]
    if argument:
        settings["case"] = argument
    given = {key: value for key, value in settings.items() if value is not None}
    if kind.has_target and kind.instead_of_target not in given:
        given.setdefault("sparsity", DEFAULT_SPARSITY)
    return make(kind, given)


__all__ = [
    "SCHEMES", "LayerRule", "PassMasks", "Scheme", "SelectionCost", "Trained", "Training",
    "scheme_named", "scheme_names",
]  # fmt: skip
