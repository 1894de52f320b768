"""The document of a run, as charts read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swatsim.passes import PASSES, STREAMING

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The rows of a report by what they are."""

    document: Mapping[str, Any]
    layers: tuple[Record, ...]  # passes of layers
    streams: tuple[Record, ...]
    totals: Mapping[str, Record]  # by pass

    @staticmethod
    def of(document: Mapping[str, Any]) -> Run:
        """Sort the rows of a `swatsim-report`."""
        rows = document["rows"]
        totals = {row["pass"]: row for row in rows if is_total(row)}
        return Run(
            document,
            layers=tuple(row for row in rows if row["pass"] in PASSES and not is_total(row)),
            streams=tuple(row for row in rows if row["pass"] in STREAMING),
            totals=totals,
        )

    @property
    def levels(self) -> tuple[str, ...]:
        """The machine's levels, outermost first."""
        return tuple(self.document["architecture"]["memory"])

    @property
    def by_layer(self) -> dict[str, dict[str, Record]]:
        """Rows by layer, then by pass, in their order."""
        found: dict[str, dict[str, Record]] = {}
        for row in self.layers:
            found.setdefault(row["layer"], {})[row["pass"]] = row
        return found

    @property
    def parts(self) -> dict[str, tuple[Record, ...]]:
        """Rows by the part of the step that they are: the passes of all layers, then streaming work by kind."""
        rows = (*self.layers, *self.streams)
        found = {name: tuple(row for row in rows if row["pass"] == name) for name in (*PASSES, *STREAMING)}
        return {name: chosen for name, chosen in found.items() if chosen}

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that layers make here."""
        return tuple(name for name in self.parts if name in PASSES)

    @property
    def causes(self) -> tuple[str, ...]:
        """What anything waits for."""
        first = self.document["rows"][0]
        names = [key for key in first if key.startswith("stall_") and key.endswith("_cycles") and key != "stall_cycles"]
        rows = (*self.layers, *self.streams)
        return tuple(key[len("stall_") : -len("_cycles")] for key in names if any(row[key] for row in rows))


def is_total(row: Record) -> bool:
    """Whether a row is a total: a layer too may be called so, but every pass of a layer has a mapping."""
    return row["layer"] == "total" and row["pass"] not in STREAMING and not row["mapping"]


def add(rows: Iterable[Record], key: str) -> Any:
    """The sum of a column."""
    return sum(row[key] for row in rows)


def outermost_bytes(row: Record) -> int:
    """Bytes read and written off chip: the first two columns of bytes."""
    read = next(key for key in row if key.endswith("_read_bytes"))
    return int(row[read] + row[read.removesuffix("_read_bytes") + "_write_bytes"])


def trace_title(trace: Mapping[str, Any]) -> str:
    """The trace's name, marked where nobody trained what it holds."""
    synthetic = (trace.get("provenance") or {}).get("source") == "synthetic"
    return f"{trace['name']} (synthetic)" if synthetic else str(trace["name"])
