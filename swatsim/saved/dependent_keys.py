"""Which keys a document has depends on others, such as on the machine's levels: what no schema says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from swatsim.errors import SwatsimError
from swatsim.moves import DIRECTIONS, TENSORS
from swatsim.trace.json_values import shown

Record = Mapping[str, Any]
_READ, _WRITE = (f"_{direction}_bytes" for direction in DIRECTIONS)


def check_dependent_keys(document: Record, kind: str, where: str) -> None:
    """Refuse a document, of the structure that its schema has, in which such a key is missing. Raises SwatsimError."""
    if kind in _CHECKS:
        _CHECKS[kind](document, where)


def check_point(point: Record, where: str) -> None:
    """The same of a point of a sweep."""
    if point["error"]:
        return
    for key in ("architecture", "totals"):
        if point[key] is None:
            raise SwatsimError(f"{where}: {key}: got null and no error, expected it of a point that was simulated")
    for index, row in enumerate(point["totals"]):
        outermost = next((key.removesuffix(_READ) for key in row if key.endswith(_READ)), "")
        _check_numbers(row, (f"{outermost}{_READ}", f"{outermost}{_WRITE}"), f"{where}: totals[{index}]")


def _check_report(document: Record, where: str) -> None:
    rows, levels = document["rows"], document["architecture"]["memory"]
    if not levels:
        raise SwatsimError(f"{where}: architecture.memory: got no level, expected at least one")
    of_levels = [name for level in levels for name in _of_level(level)]
    stalls = [key for key in rows[0] if key.startswith("stall_") and key.endswith("_cycles")]
    _check_places(document, where)
    for index, row in enumerate(rows):
        _check_numbers(row, (*of_levels, *stalls), f"{where}: rows[{index}]")


def places_of(document: Record) -> list[tuple[str, str, bool]]:
    """Layer, pass, and whether it is a total, of each row; in a report without details, a row named total is one."""
    rows, details = document["rows"], document.get("details", ())
    totals = [detail["is_total"] for detail in details]
    if len(totals) != len(rows):
        totals = [row["layer"] == "total" for row in rows]
    return [(row["layer"], row["pass"], total) for row, total in zip(rows, totals, strict=True)]


def _check_places(document: Record, where: str) -> None:
    """No row comes twice: of two, one would be compared and the other not."""
    seen = set()
    for index, place in enumerate(places_of(document)):
        if place in seen:
            got = f"{shown(place[0])} {shown(place[1])}"
            raise SwatsimError(f"{where}: rows[{index}]: got {got} twice, expected each pass of a layer once")
        seen.add(place)


def _of_level(level: str) -> Iterator[str]:
    for direction in DIRECTIONS:
        yield f"{level}_{direction}_bytes"
        yield from (f"{level}_{direction}_{tensor}_bytes" for tensor in TENSORS)
    yield f"energy_{level}_pj"
    yield f"stall_{level}_cycles"


def _check_numbers(row: Record, names: Iterable[str], where: str) -> None:
    """Those columns are there; one whose name the schema does not know may hold anything."""
    for name in names:
        if type(row.get(name)) not in (int, float):
            got = f"{shown(row[name])} in" if name in row else "no"
            raise SwatsimError(f"{where}: got {got} column {shown(name)}, expected a number, as every row has of it")


def _check_sweep(document: Record, where: str) -> None:
    for index, point in enumerate(document["points"]):
        check_point(point, f"{where}: points[{index}]")


def _check_exploration(document: Record, where: str) -> None:
    objectives = document["objectives"]
    if len(set(objectives)) != len(objectives):
        raise SwatsimError(f"{where}: objectives: got one twice, expected each once")
    for index, machine in enumerate(document["tried"]):
        for name in objectives if machine["front"] else ():
            if name not in machine["values"]:
                raise SwatsimError(f"{where}: tried[{index}].values: got no {name}, expected it of the best machines")


_CHECKS: Mapping[str, Callable[[Record, str], None]] = {
    "report": _check_report, "sweep": _check_sweep, "exploration": _check_exploration,
}  # fmt: skip
