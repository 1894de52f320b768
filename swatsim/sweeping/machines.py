"""The machines of a grid: files with overrides."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from swatsim.architecture import Architecture
from swatsim.architecture.loader import read_architecture, read_file
from swatsim.errors import ArchitectureError, SwatsimError
from swatsim.sweeping.grid import ARCH, OWN_KEYS


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A machine as its points have it.

    pickled : which takes a seventh of the memory; None where it is refused.
    """

    named: Mapping[str, Any] | None  # name and digest; None where it is refused
    pickled: bytes | None
    refused: str | None  # why it cannot be


class Machines:
    """Each file is read once: whoever edits one meanwhile mixes no two machines."""

    def __init__(self, names: Iterable[str]) -> None:
        """Read the files; raises ArchitectureError where one cannot be read."""
        self._files = {name: read_file(name) for name in names}

    def of(self, parameters: Mapping[str, Any]) -> Architecture:
        """The machine of a point, overrides included; raises ArchitectureError."""
        return _made(*self._files[parameters[ARCH]], _overrides(parameters))

    def planned(self, parameters: Mapping[str, Any]) -> PlannedMachine:
        """The same for a plan; a machine that is refused says so."""
        return _planned(*self._files[parameters[ARCH]], _overrides(parameters))

    def check_some_can_be(self, every: Iterable[Mapping[str, Any]]) -> None:
        """Refuse points none of whose machines can be, as for a misspelt key, by what is said of the first one.

        Raises ArchitectureError.
        """
        first, asked = None, set()
        for parameters in every:
            machine = machine_of(parameters)
            if machine in asked:
                continue
            asked.add(machine)
            try:
                self.of(parameters)
            except ArchitectureError as error:
                first = first or error
            else:
                return
        if first is not None:
            raise first


def machine_of(parameters: Mapping[str, Any]) -> str:
    """A text that is the same for points of one machine."""
    return json.dumps([parameters[ARCH], _overrides(parameters)])


def _overrides(parameters: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in parameters.items() if key not in OWN_KEYS})


@lru_cache(maxsize=1)
def _planned(content: bytes, where: str, overrides: str) -> PlannedMachine:
    # Those who plan take all points of a machine one after the other: the last one is enough.
    try:
        machine = _made(content, where, overrides)
    except SwatsimError as error:
        return PlannedMachine(None, None, str(error))
    said = machine.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return PlannedMachine({"name": said["name"], "digest": digest}, pickle.dumps(machine), None)


@lru_cache(maxsize=256)
def _made(content: bytes, where: str, overrides: str) -> Architecture:
    # An exploration asks again for each of a batch.
    return read_architecture(content, where, json.loads(overrides))
