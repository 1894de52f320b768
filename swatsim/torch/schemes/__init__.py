"""Sparsification schemes by name: a scheme is one file of this package, found by itself."""

import importlib
import pkgutil

from swatsim.errors import SwatsimError
from swatsim.torch.schemes.rule import SCHEMES, LayerRule, Scheme


def scheme_named(name: str) -> type[Scheme]:
    """The scheme class registered under this name.

    Raises
    ------
    SwatsimError : no file of this package registers the name.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    if name not in SCHEMES:
        raise SwatsimError(f"scheme: got {name!r}, expected one of {', '.join(sorted(SCHEMES))}")
    return SCHEMES[name]


__all__ = ["SCHEMES", "LayerRule", "Scheme", "scheme_named"]
