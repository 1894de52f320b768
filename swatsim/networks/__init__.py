"""Networks of the literature as layer shapes, without torch: one file each, or one a family, found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from swatsim.arguments import integer
from swatsim.errors import SwatsimError
from swatsim.networks.builder import Builder, NetworkShapes, Node
from swatsim.networks.registry import NETWORKS, Definition

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def network_names() -> tuple[str, ...]:
    """Every network."""
    return tuple(sorted(NETWORKS))


def network_shapes(name: str, *, images: int = 1, classes: int | None = None) -> NetworkShapes:
    """The shapes of a network for a batch of `images`, with its paper's number of classes or another.

    Raises SwatsimError for an unknown name, or for what is not an integer from 1.
    """
    if not isinstance(name, str) or name not in NETWORKS:
        raise SwatsimError(f"network: got {name!r}, expected one of {', '.join(network_names())}")
    definition = NETWORKS[name]
    outputs = definition.classes if classes is None else classes
    for what, value in (("images", images), ("classes", outputs)):
        if integer(value, what) < 1:
            raise SwatsimError(f"{what}: got {value}, expected at least 1")
    builder = Builder((images, *definition.input_shape))
    definition.build(builder, outputs)
    return builder.finish(name, definition.title, definition.source)


__all__ = ["NETWORKS", "Builder", "Definition", "NetworkShapes", "Node", "network_names", "network_shapes"]
