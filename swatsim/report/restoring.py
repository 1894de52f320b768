"""A report read back from its JSON: the same records, which give the same bytes again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import product
from typing import Any

from pydantic import ValidationError

from swatsim.architecture import Architecture
from swatsim.architecture.yaml_reader import dotted
from swatsim.area import Area
from swatsim.errors import SwatsimError
from swatsim.footprint import Footprint, Kept
from swatsim.moves import DIRECTIONS, TENSORS, Move
from swatsim.passes import ROLES
from swatsim.report.columns import CAUSES, columns_of
from swatsim.report.document import detail as document_detail
from swatsim.report.interval import Interval
from swatsim.report.machine import Machine, machine_of
from swatsim.report.records import Row
from swatsim.report.report import Report
from swatsim.sampling import EXACT
from swatsim.saved import load_saved
from swatsim.trace.json_values import shown
from swatsim.version import __version__
from swatsim.way import Losses

# Fields of a row that are columns of the same name.
_COPIED = (
    "layer", "cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "bound_by", "compulsory_dram_bytes",
    "ideal_cycles", "macs", "effectual_macs", "paper_macs", "multiplications", "scheduled", "mapping", "blocks",
    "prefetched_cycles",
)  # fmt: skip
_KEPT = ("name", "activation_bytes", "dense_activation_bytes", "weight_bytes", "dense_weight_bytes")


def load_report(path: str | os.PathLike[str]) -> Report:
    """Read what `swatsim run --json` wrote.

    The report has all that a simulation gives but a timeline. Its figures are computed anew from what it says was
    moved, multiplied and waited for, and must be those that it says.

    Raises SwatsimError: it is no report, of another version, made before reports had `details`, of a machine that this
    version does not know, or its columns contradict each other.
    """
    where = os.fspath(path)
    return report_of(load_saved(path, "report").document, where)


def report_of(document: Mapping[str, Any], where: str) -> Report:
    """The report that a document of the right structure is of; `where` names it in errors. Raises SwatsimError."""
    rows, details = document["rows"], document.get("details")
    if details is None or len(details) != len(rows):
        got = "none" if details is None else f"{len(details)} for {len(rows)} rows"
        raise SwatsimError(f"{where}: details: got {got}, expected one for each row, as swatsim {__version__} writes")
    machine, sampled = machine_of(machine_in(document, where)), "sample" in document["simulation"]
    records = []
    for index, (row, detail) in enumerate(zip(rows, details, strict=True)):
        _check_columns(row, columns_of(machine.levels, sampled=sampled), f"{where}: rows[{index}]")
        record = _row(row, detail, machine)
        _check_columns(row, record.as_dict(), f"{where}: rows[{index}]", values=True)
        if (made := document_detail(record)) != detail:
            raise SwatsimError(
                f"{where}: details[{index}]: got {shown(detail)}, expected {shown(made)}, as such a row has"
            )
        records.append(record)
    area, footprint = document["area"], document["footprint"]
    return Report(
        swatsim_version=document["swatsim"], architecture=document["architecture"], trace=document["trace"],
        simulation=document["simulation"], records=tuple(records),
        area=None if area is None else Area(parts_mm2=area["parts_mm2"], uncounted=tuple(area["uncounted"])),
        footprint=None if footprint is None else _footprint(footprint),
        command=None if document.get("command") is None else tuple(document["command"]),
    )  # fmt: skip


def machine_in(document: Mapping[str, Any], where: str) -> Architecture:
    """The whole machine that a report is of; raises SwatsimError where this version knows no such machine."""
    try:
        return Architecture.model_validate(document["architecture"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = dotted(("architecture", *first["loc"]))
        raise SwatsimError(
            f"{where}: {key}: got {shown(first['input'])}, expected a machine as swatsim {__version__} has "
            f"them ({first['msg']}); it was made by swatsim {shown(document['swatsim'])}"
        ) from None


def _check_columns(row: Mapping[str, Any], expected: Mapping[str, Any], where: str, *, values: bool = False) -> None:
    """Every column of the machine and no other; with `values`, each as the rest of the row has it."""
    for name in expected:
        if name not in row:
            raise SwatsimError(
                f"{where}: got no {name}, expected all columns of swatsim {__version__} for this machine"
            )
        if values and row[name] != expected[name]:
            raise SwatsimError(
                f"{where}.{name}: got {shown(row[name])}, expected {shown(expected[name])}, which the rest of the row "
                "gives"
            )
    for name in row:
        if name not in expected:
            raise SwatsimError(f"{where}: got {shown(name)}, expected only columns of swatsim {__version__} for this "
                               "machine")  # fmt: skip


def _row(row: Mapping[str, Any], detail: Mapping[str, Any], machine: Machine) -> Row:
    moves = [Move(*names) for names in product(machine.levels, DIRECTIONS, TENSORS)]
    moved = {move: row[f"{'_'.join(move)}_bytes"] for move in moves}
    dense_moved = detail["dense_moved_bytes"]
    return Row(
        **{name: row[name] for name in _COPIED},
        pass_name=row["pass"],
        machine=machine,
        moved_bytes={move: count for move, count in moved.items() if count},
        dense_moved_bytes={move: dense_moved[name] for move in moves if (name := "_".join(move)) in dense_moved},
        stalls={cause: count for cause in (*machine.levels, *CAUSES) if (count := row[f"stall_{cause}_cycles"])},
        dense_stalls=detail["dense_stall_cycles"],
        unskippable_macs=detail["unskippable_macs"],
        losses=Losses(*(row[f"lost_{loss}_cycles"] for loss in Losses._fields)),
        is_total=detail["is_total"],
        densities={role: density for role in ROLES if (density := row[f"{role}_density"]) is not None},
        interval=_interval(row) if "cycles_low" in row else None,
    )


def _interval(row: Mapping[str, Any]) -> Interval:
    # What its ends were made of is not written: sums of rows are there already.
    return Interval(
        low=row["cycles_low"], high=row["cycles_high"], below=EXACT, above=EXACT,
        drawn=row["sampled_groups"], groups=row["groups"],
    )  # fmt: skip


def _footprint(document: Mapping[str, Any]) -> Footprint:
    def kept(part: Mapping[str, Any]) -> Kept:
        return Kept(**{name: part[name] for name in _KEPT})

    return Footprint(
        layers=tuple(map(kept, document["layers"])), between=tuple(map(kept, document["between"])),
        layers_total=kept(document["layers_total"]), between_total=kept(document["between_total"]),
        total=kept(document["total"]),
    )  # fmt: skip
