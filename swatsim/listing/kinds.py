"""The lists, each made from what the code or its files say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from swatsim.architecture import load_architecture, shipped_architectures
from swatsim.datapaths import datapaths
from swatsim.errors import SwatsimError
from swatsim.formats import FORMATS
from swatsim.listing.traces import found_traces, trace_row
from swatsim.networks import NETWORKS, network_names, network_shapes
from swatsim.schemes import SCHEMES, scheme_names

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows of equal keys, which of these a table of 100 columns has room for, and where more is said."""

    kind: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]  # of the table; the last one may wrap
    note: str

    @property
    def names(self) -> tuple[str, ...]:
        """What each row is of."""
        return tuple(str(next(iter(row.values()))) for row in self.rows)


def listed(kind: str, folders: Sequence[str] = ()) -> Listing:
    """One of KINDS; `folders` are where traces are looked for.

    Raises SwatsimError for an unknown kind, or a folder that is none.
    """
    if kind not in KINDS:
        raise SwatsimError(f"list: got {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "traces":
        return _traces(folders)
    return KINDS[kind]()


def _machines() -> Listing:
    def row(name: str) -> Row:
        machine = load_architecture(name)
        return {
            "name": name, "datapath": machine.datapath.kind, "macs_per_cycle": machine.macs_per_cycle,
            "clock_hz": machine.clock_hz, "levels": " > ".join(machine.memory.levels), "title": machine.name,
            "description": " ".join(machine.description.split()), "sources": "; ".join(machine.sources),
        }  # fmt: skip

    return Listing(
        kind="machines", rows=tuple(map(row, shipped_architectures())),
        columns=("name", "datapath", "macs_per_cycle", "clock_hz", "title"),
        note="swatsim run --arch NAME; the keys of a machine of your own: docs/architecture.md, swatsim schema "
        "architecture.",
    )  # fmt: skip


def _traces(folders: Sequence[str]) -> Listing:
    return Listing(
        kind="traces", rows=tuple(trace_row(path) for path in found_traces(folders)),
        columns=("scheme", "sparsity", "images", "layers", "source", "path"),
        note="swatsim trace info PATH says more of one; swatsim trace synth draws another, swatsim.torch captures one.",
    )  # fmt: skip


def _schemes() -> Listing:
    def row(name: str) -> Row:
        scheme = SCHEMES[name]
        return {
            "name": name, "summary": _first_sentence(sys.modules[scheme.__module__].__doc__),
            "sparsity": "given" if scheme.has_target else "its own", "pattern": scheme.pattern, "paper": scheme.paper,
        }  # fmt: skip

    return Listing(
        kind="schemes", rows=tuple(map(row, scheme_names())), columns=("name", "sparsity", "pattern", "summary"),
        note="swatsim trace synth NETWORK --scheme NAME, swatsim.torch.sparsify(..., scheme=NAME); docs/schemes.md.",
    )  # fmt: skip


def _datapaths() -> Listing:
    machines = {name: load_architecture(name).datapath.kind for name in shipped_architectures()}

    def row(kind: str) -> Row:
        keys = datapaths()[kind].Keys
        return {
            "name": kind, "keys": ", ".join(keys.model_fields), "what": _first_sentence(datapaths()[kind].__doc__),
            "machines": ", ".join(name for name, used in machines.items() if used == kind),
        }  # fmt: skip

    return Listing(
        kind="datapaths", rows=tuple(map(row, datapaths())), columns=("name", "what"),
        note="datapath.kind of an architecture file; docs/datapaths/NAME.md has the rules of each.",
    )  # fmt: skip


def _networks() -> Listing:
    def row(name: str) -> Row:
        definition = NETWORKS[name]
        return {
            "name": name, "title": definition.title, "input": "x".join(map(str, definition.input_shape)),
            "classes": definition.classes, "layers": len(network_shapes(name).layers), "source": definition.source,
        }  # fmt: skip

    return Listing(
        kind="networks", rows=tuple(map(row, network_names())), columns=("name", "input", "classes", "layers", "title"),
        note="swatsim trace synth NAME, swatsim trace import --network NAME; docs/networks.md.",
    )  # fmt: skip


def _formats() -> Listing:
    rows = [
        {"name": each.name, "stores": each.summary, "bits": each.bits, "source": each.source}
        for each in FORMATS.values()
    ]
    return Listing(
        kind="formats", rows=tuple(rows), columns=("name", "stores"),
        note="swatsim run --format weight=NAME, memory.LEVEL.format; docs/storage_formats.md.",
    )  # fmt: skip


KINDS: dict[str, Callable[[], Listing]] = {
    "machines": _machines,
    "traces": lambda: _traces(()),
    "schemes": _schemes,
    "datapaths": _datapaths,
    "networks": _networks,
    "formats": _formats,
}


def _first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, without where it is explained."""
    line = " ".join((text or "").split("\n\n")[0].split())
    return line.split(" (docs/")[0].rstrip(".")
