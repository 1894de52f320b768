"""One point of a sweep: what decides it, by which it is known, and what it finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from swatsim.architecture import Architecture, load_architecture
from swatsim.errors import SwatsimError, TraceError
from swatsim.simulation import simulate
from swatsim.sweeping.grid import ARCH, OBJECTIVE, TRACE
from swatsim.trace import Trace, load_trace
from swatsim.trace.records import is_synthetic
from swatsim.version import __version__

_OWN = (ARCH, TRACE, OBJECTIVE)


@cache
def sources_digest() -> str:
    """SHA-256 of swatsim's own sources: a change of any of them makes all points anew."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(__version__.encode())
    for source in sorted(package.rglob("*.py")):
        digest.update(f"{source.relative_to(package)}\0".encode() + source.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Point:
    """A point that can be computed anywhere: names of files, and what was found in them when it was planned."""

    key: str  # of all that decides it
    parameters: Mapping[str, Any]
    layers: str
    architecture: Mapping[str, Any] | None  # name and digest; None where the machine is refused
    trace: Mapping[str, Any] | None  # name, digest and synthetic
    refused: str | None  # why it cannot be computed

    def document(self, workers: int | None = 1) -> dict[str, Any]:
        """Simulate it; what a run says against it is its `error`. Raises SwatsimError where files have changed."""
        error, totals = self.refused, None
        if error is None:
            assert self.trace is not None, "a point that can be computed has a trace"
            architecture = self._planned_machine()
            try:
                trace = load_trace(self.parameters[TRACE], digest=self.trace["digest"])
            except TraceError as changed:
                raise SwatsimError(f"{changed}; it was there when the sweep began: begin again") from None
            try:
                report = simulate(
                    architecture, trace, layers=self.layers, objective=self.parameters[OBJECTIVE], workers=workers
                )
                totals = [row.as_dict() for row in report.totals]
            except SwatsimError as refused:
                error = str(refused)
        return {
            "key": self.key, "parameters": dict(self.parameters), "architecture": self.architecture,
            "trace": self.trace, "totals": totals, "error": error,
        }  # fmt: skip

    def _planned_machine(self) -> Architecture:
        """The machine that the key was made of; raises SwatsimError where its file has changed."""
        for remembered in (True, False):  # by a worker that was there before the file was as it is now
            if not remembered:
                forget_machines()
            machine = machine_of(self.parameters)
            if _described(machine.model_dump(mode="json")) == self.architecture:
                return machine
        raise SwatsimError(f"{self.parameters[ARCH]}: got another machine than when the sweep began: begin again")


def forget_machines() -> None:
    """Read the files of machines anew: they may have changed."""
    _machine.cache_clear()


def _described(machine: Mapping[str, Any]) -> dict[str, str]:
    return {"name": machine["name"], "digest": _digest(machine)}


def machine_of(parameters: Mapping[str, Any]) -> Architecture:
    """The machine of a point, overrides included; raises ArchitectureError."""
    overrides = {key: value for key, value in parameters.items() if key not in _OWN}
    return _machine(parameters[ARCH], json.dumps(overrides))


@lru_cache(maxsize=4096)
def _machine(name: str, overrides: str) -> Architecture:
    # Points that differ by trace or objective alone share it.
    return load_architecture(name, overrides=json.loads(overrides))


def plan_point(parameters: Mapping[str, Any], layers: str, traces: Mapping[str, Trace]) -> Point:
    """Find out what decides a point; `traces` by name. A machine that is refused makes a point that says so."""
    trace, refused, machine = traces[parameters[TRACE]], None, None
    try:
        machine = machine_of(parameters).model_dump(mode="json")
    except SwatsimError as error:
        refused = str(error)
    described = None if machine is None else _described(machine)
    decides = [sources_digest(), machine or refused, trace.digest, parameters[OBJECTIVE], layers]
    return Point(
        key=_digest(decides)[:32], parameters=parameters, layers=layers, architecture=described,
        trace={
            "name": trace.name, "digest": trace.digest,
            "synthetic": is_synthetic(trace.manifest.provenance),
        },
        refused=refused,
    )  # fmt: skip


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
