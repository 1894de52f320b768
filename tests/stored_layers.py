"""What a whole layer takes off chip, as planning collects it pass by pass."""

from __future__ import annotations

from collections.abc import Mapping

from swatsim.architecture import Architecture
from swatsim.layer import Layer
from swatsim.stored import StoredSizes, stored_copies


def stored_sizes(layer: Layer, architecture: Architecture, formats: Mapping[str, str]) -> StoredSizes:
    """Measure every operand of a layer in the order in which its pass reads it."""
    copies = {}
    for pass_name in layer.computed:
        copies |= stored_copies(layer, pass_name, architecture, formats)
    return StoredSizes(spec=layer.spec, copies=copies)
