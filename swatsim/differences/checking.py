"""Whether a report is still what an earlier one was: the same run again, and what changed beyond a tolerance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from swatsim.apart import Progress
from swatsim.architecture import Architecture, load_architecture, parse_override
from swatsim.architecture.loader import check_regular
from swatsim.differences.finding import Change, Differences, Document, Place, differences
from swatsim.errors import SwatsimError
from swatsim.files import is_address
from swatsim.passes import PASSES
from swatsim.report.document import to_json
from swatsim.report.report import Report
from swatsim.report.restoring import machine_in
from swatsim.simulation import simulate
from swatsim.trace import Trace
from swatsim.trace.json_values import shown

CHECKED = ("cycles",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found: all differences, and what of them is too much."""

    differences: Differences
    columns: tuple[str, ...]  # that were checked
    tolerance: Fraction
    changes: tuple[Change, ...]  # beyond the tolerance
    rows: tuple[Place, ...]  # that only one of the reports has

    @property
    def passed(self) -> bool:
        """Whether all that was checked is as it was."""
        return not self.changes and not self.rows


def check(
    before: Document, after: Document, tolerance: Fraction = Fraction(0), columns: Sequence[str] = CHECKED
) -> Finding:
    """Compare columns of the rows of two reports, each to within a share of its earlier value.

    Raises SwatsimError for no column, and for one that the earlier report does not have.
    """
    if not columns:
        raise SwatsimError("column: got none, expected at least one")
    known = before["rows"][0]
    for name in columns:
        if name not in known:
            raise SwatsimError(f"column: got {name!r}, expected one of {', '.join(known)}")
    found = differences(before, after)
    lost = [name for name in columns if name in found.columns_only_before]
    if lost:
        raise SwatsimError(f"column: got {lost[0]!r}, which the new report does not have")
    return Finding(
        differences=found, columns=tuple(columns), tolerance=tolerance,
        changes=tuple(change for change in found.of(columns) if change.exceeds(tolerance)),
        rows=(*found.only_before, *found.only_after),
    )  # fmt: skip


def trace_of(document: Document, where: str, trace: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Path of the trace to run again, and what --density says of it: `trace` if given, else as the report's command.

    Raises SwatsimError: nobody says which trace, or an address that only the report's command names.
    """
    given = _command(document)
    told = next(iter(given.get("--trace", ())), None)
    path = trace or told
    if path is None:
        raise SwatsimError(f"{where}: command: got none that says where its trace is, expected --trace DIR")
    if trace is None and is_address(path):
        raise SwatsimError(
            f"{where}: command: --trace: got {shown(path)}, expected --trace to name it too: "
            "no address is asked because a file says so"
        )
    # Densities are of a topology; a trace in its place has zeros of its own.
    alike = told is not None and PurePath(path).suffix.lower() == PurePath(told).suffix.lower()
    return path, tuple(given.get("--density", ())) if alike else ()


def rerun(  # noqa: PLR0913  each is a keyword of its own
    document: Document,
    where: str,
    trace: Trace,
    *,
    arch: str | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Simulate again what a report is of.

    Layers, passes, objective, formats and sample are the report's. `arch` is a path or name, and `overrides` as of
    --set; what is not given is as the report's command has it. Without a command, the machine is the one in the report.

    Raises SwatsimError: what is said cannot be read or simulated.
    """
    asked = document["simulation"]
    there = {row["pass"] for row in document["rows"]}
    passes = asked.get("passes") or [name for name in PASSES if name in there]
    sample = asked.get("sample") or {"fraction": None, "seed": 0}
    return simulate(
        _machine(document, where, arch, overrides), trace, layers=asked.get("layers", "*"), passes=passes,
        objective=asked["objective"], formats=asked["formats"], sample=sample["fraction"], seed=sample["seed"],
        workers=workers, progress=progress,
    )  # fmt: skip


def document_of(report: Report) -> Document:
    """A report as it would be read back."""
    document: Document = json.loads(to_json(report))
    return document


def _machine(document: Document, where: str, arch: str | None, overrides: Sequence[str]) -> Architecture:
    given = _command(document)
    name = arch or next(iter(given.get("--arch", ())), None)
    # Overrides of the command belong to its own machine.
    texts = overrides or (given.get("--set", ()) if arch is None else ())
    if name is not None:
        if arch is None:
            check_regular(name, f"{where}: command: --arch")
        return load_architecture(name, dict(map(parse_override, texts)))
    if texts:
        raise SwatsimError(f"--set {texts[0]}: got no --arch, expected the machine whose value it is")
    return machine_in(document, where)


def _command(document: Document) -> Mapping[str, Sequence[str]]:
    """What the report's command gives for each option, if it has one: `swatsim run` and pairs of option and value."""
    parts = document.get("command") or []
    found: dict[str, list[str]] = {}
    if parts[:2] == ["swatsim", "run"]:
        for option, value in zip(parts[2::2], parts[3::2], strict=False):
            found.setdefault(option, []).append(value)
    return found
