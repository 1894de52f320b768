"""One point of a sweep: what decides it, by which it is known, and what it finds."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from swatsim.errors import ProcessError, SwatsimError, TraceError
from swatsim.simulation import simulate
from swatsim.sweeping.grid import OBJECTIVE, TRACE
from swatsim.sweeping.machines import Machines
from swatsim.trace import Trace, load_trace
from swatsim.trace.records import is_synthetic
from swatsim.version import __version__


@cache
def sources_digest() -> str:
    """SHA-256 of swatsim's own sources: a change of any of them makes all points anew.

    Where there are none, as in a zip file, no two programs have the same.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(__version__.encode())
    sources = sorted(package.rglob("*.py"))
    if not sources:
        digest.update(os.urandom(32))
    for source in sources:
        digest.update(f"{source.relative_to(package)}\0".encode() + source.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Point:
    """A point that can be computed wherever its trace has the same name, and the digest that it was planned with.

    machine : pickled; None where it is refused.
    """

    key: str  # of all that decides it
    parameters: Mapping[str, Any]
    layers: str
    architecture: Mapping[str, Any] | None  # name and digest; None where the machine is refused
    trace: Mapping[str, Any]  # name, digest and synthetic
    machine: bytes | None
    refused: str | None  # why it cannot be computed

    def document(self, workers: int | None = 1) -> dict[str, Any]:
        """Simulate it; what a run says against it is its `error`.

        Raises SwatsimError for what another run may not meet: a trace that has changed or is damaged, a process that
        died.
        """
        error, totals = self.refused, None
        if self.machine is not None:
            try:
                trace = load_trace(self.parameters[TRACE], digest=self.trace["digest"])
            except TraceError as changed:
                raise SwatsimError(f"{changed}; it was there when the sweep began: begin again") from None
            try:
                report = simulate(
                    pickle.loads(self.machine), trace, layers=self.layers, objective=self.parameters[OBJECTIVE],
                    workers=workers,
                )  # fmt: skip
                totals = [row.as_dict() for row in report.totals]
            except (TraceError, ProcessError):
                raise
            except SwatsimError as refused:
                error = str(refused)
        return {
            "key": self.key, "parameters": dict(self.parameters), "architecture": self.architecture,
            "trace": self.trace, "totals": totals, "error": error,
        }  # fmt: skip


def plan_point(parameters: Mapping[str, Any], layers: str, machines: Machines, traces: Mapping[str, Trace]) -> Point:
    """Find out what decides a point; `traces` by name. A machine that is refused makes a point that says so."""
    trace, machine = traces[parameters[TRACE]], machines.planned(parameters)
    decides = [sources_digest(), machine.named or machine.refused, trace.digest, parameters[OBJECTIVE], layers]
    return Point(
        key=_digest(decides)[:32], parameters=parameters, layers=layers, architecture=machine.named,
        trace={
            "name": trace.name, "digest": trace.digest,
            "synthetic": is_synthetic(trace.manifest.provenance),
        },
        machine=machine.pickled, refused=machine.refused,
    )  # fmt: skip


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
