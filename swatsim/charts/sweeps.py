"""Points of a sweep, from its document: over a parameter where one has numbers, else one below the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swatsim.charts.colors import of_line
from swatsim.charts.model import Bar, BarChart, Group, Line, LineChart, Series
from swatsim.charts.names import short_names
from swatsim.charts.run_rows import Record, outermost_bytes

_LONGEST_NAME = 40
_ROOM = 22  # characters beside a bar of a page
_MOST_LINES = 8
_MOST_BARS = 100
_MOST_POINTS_OF_LINES = 1000
_NAMED = ("arch", "trace")
Document = Mapping[str, Any]
METRICS: dict[str, tuple[str, str, Callable[[Record], float | None]]] = {
    "speedup": ("Speedup over the same machine without skipping", "times", lambda row: row["speedup"]),
    "cycles": ("Cycles", "cycles", lambda row: row["cycles"]),
    "energy": ("Energy", "picojoules", lambda row: row["energy_pj"]),
    "traffic": ("Bytes read and written off chip", "bytes", outermost_bytes),
}


def bars(document: Document, metric: str) -> BarChart:
    """A bar for each point; of many, the best ones, and the title says so."""
    title, unit, read = METRICS[metric]
    total = measured(document)
    values = [value_of(point, total, read) for point in document["points"]]
    points, drawn, few = document["points"], values, ""
    if len(values) > _MOST_BARS:
        best = _best(values, most=unit == "times")
        points, drawn = [points[number] for number in best], [values[number] for number in best]
        few = f", the best {len(best):,} of {len(values):,} points, {len(values) - len(best):,} not shown"
    names, by = _names(points, varied(document))
    shown = short_names(names, _LONGEST_NAME)
    groups = [_group(name, point, value) for name, point, value in zip(shown, points, drawn, strict=True)]
    return BarChart(
        title=f"{title} ({total}){by}{few}", unit=unit, series=(Series(name=metric, color="blue"),),
        groups=tuple(groups), reference=1.0 if unit == "times" else None,
    )  # fmt: skip


def _best(values: Sequence[float | None], *, most: bool) -> list[int]:
    """Numbers of the best values, those first that are better."""
    found = [(-value if most else value, number) for number, value in enumerate(values) if value is not None]
    return [number for _, number in sorted(found)[:_MOST_BARS]]


def _names(points: Sequence[Record], keys: Sequence[str]) -> tuple[list[str], str]:
    """Of the points; a long key that all of them vary is said once, for the title."""
    names = [label(point, keys) for point in points]
    of_machine = [key for key in keys if key not in _NAMED]
    if len(of_machine) != 1 or max(map(len, names), default=0) <= _ROOM:
        return names, ""
    values = ([str(point["parameters"].get(key, "")) for key in keys] for point in points)
    return [", ".join(each) for each in values], f", by {of_machine[0]}"


def lines(document: Document, metric: str) -> LineChart | None:
    """Lines over the parameter with most numbers, one for each choice of the others; None where there is none."""
    title, unit, read = METRICS[metric]
    key = _numbered(document)
    if key is None:
        return None
    others, total = [name for name in varied(document) if name != key], measured(document)
    found: dict[str, list[tuple[float, float]]] = {}
    for point in _finished(document):
        value = value_of(point, total, read)
        if value is not None:
            found.setdefault(label(point, others), []).append((float(point["parameters"][key]), float(value)))
    if not 0 < len(found) <= _MOST_LINES or sum(map(len, found.values())) > _MOST_POINTS_OF_LINES:
        return None
    return LineChart(title=f"{title} ({total})", x_name=key, unit=unit, lines=tuple(
        Line(name=name, color=of_line(number), points=tuple(sorted(points)))
        for number, (name, points) in enumerate(found.items())
    ))  # fmt: skip


def chart(document: Document, metric: str) -> BarChart | LineChart:
    """Lines where there are any, else bars."""
    return lines(document, metric) or bars(document, metric)


def measured(document: Document) -> str:
    """The total that every finished point has: the step, or else the first pass that all have."""
    names: list[str] = []
    for point in _finished(document):
        own = [row["pass"] for row in point["totals"]]
        names = [name for name in names if name in own] if names else own
    return "step" if "step" in names or not names else names[0]


def varied(document: Document) -> tuple[str, ...]:
    """The parameters that have more than one value."""
    first: dict[str, object] = {}
    more: set[str] = set()
    for point in document["points"]:
        for key, value in point["parameters"].items():
            if first.setdefault(key, value) != value:
                more.add(key)
    return tuple(key for key in first if key in more)


def label(point: Record, keys: Sequence[str]) -> str:
    """A point by those parameters: machines and traces by name alone, keys by their ends where these differ."""
    values = {_short(key, keys): point["parameters"].get(key, "") for key in keys}
    words = (str(value) if key in _NAMED else f"{key}={value}" for key, value in values.items())
    machine = point.get("architecture") or {"name": point["parameters"].get("arch", "")}  # null: it could not be read
    return ", ".join(words) or str(machine["name"])


def _short(key: str, keys: Sequence[str]) -> str:
    end = key.rpartition(".")[2]
    return end if sum(other.rpartition(".")[2] == end for other in keys) == 1 else key


def total_of(point: Record, name: str) -> Record | None:
    """The total of a point by its name, which is what is `measured`; None where it failed."""
    rows = () if point["error"] else point["totals"]
    return next((row for row in rows if row["pass"] == name), None)


def value_of(point: Record, name: str, read: Callable[[Record], float | None]) -> float | None:
    """What is read of that total; None where there is none."""
    total = total_of(point, name)
    return None if total is None else read(total)


def _finished(document: Document) -> list[Record]:
    return [point for point in document["points"] if not point["error"]]


def _numbered(document: Document) -> str | None:
    def numbers(key: str) -> set[float]:
        found = [point["parameters"].get(key) for point in document["points"]]
        return set(found) if all(type(value) in (int, float) for value in found) else set()

    keys = [key for key in varied(document) if numbers(key)]
    return max(keys, key=lambda key: len(numbers(key))) if keys else None


def _group(name: str, point: Record, value: float | None) -> Group:
    if value is None:
        return Group(name=name, bars=(), missing=point["error"] or "it takes no time")
    return Group(name=name, bars=(Bar(name="", parts=(float(value),)),))
