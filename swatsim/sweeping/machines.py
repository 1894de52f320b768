"""The machines of a grid: files with overrides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from swatsim.architecture import Architecture
from swatsim.architecture.loader import read_architecture, read_file
from swatsim.sweeping.grid import ARCH, OWN_KEYS


class Machines:
    """Each file is read once: whoever edits one meanwhile mixes no two machines."""

    def __init__(self, names: Iterable[str]) -> None:
        """Read the files; raises ArchitectureError where one cannot be read."""
        self._files = {name: read_file(name) for name in names}

    def of(self, parameters: Mapping[str, Any]) -> Architecture:
        """The machine of a point, overrides included; raises ArchitectureError."""
        overrides = {key: value for key, value in parameters.items() if key not in OWN_KEYS}
        return _made(*self._files[parameters[ARCH]], json.dumps(overrides))


@lru_cache(maxsize=4096)
def _made(content: bytes, where: str, overrides: str) -> Architecture:
    # Points that differ by trace or objective alone share it.
    return read_architecture(content, where, json.loads(overrides))
