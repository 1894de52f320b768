"""Differences for people, 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group
from rich.text import Text

from swatsim.differences.checking import Finding
from swatsim.differences.finding import Change, Differences, Document, Place, Setting
from swatsim.plain_text import printable
from swatsim.quantities import NOTHING
from swatsim.report.view import WIDTH, View, print_view

_MOST_SETTINGS, _MOST_CHANGES, _MOST_PLACES = 20, 60, 10
_LONGEST_VALUE, _LONGEST_KEY = 26, 44


def main_columns(document: Document) -> tuple[str, ...]:
    """The columns that are shown where none are asked for: time, work, traffic of the outermost level, energy."""
    outermost = next(iter(document["architecture"]["memory"]))
    return (
        "cycles", "compute_cycles", "stall_cycles", "dense_cycles", "multiplications", f"{outermost}_read_bytes",
        f"{outermost}_write_bytes", "energy_pj",
    )  # fmt: skip


def print_differences(
    found: Differences, documents: tuple[Document, Document], names: tuple[str, str], columns: Sequence[str],
    console: Console,
) -> None:  # fmt: skip
    """Print what was simulated differently, then the totals and the rows that differ in these columns."""
    for letter, document, name in zip("AB", documents, names, strict=True):
        _say_whole(console, f"{letter}: {title(document, name)}")
    _print_settings(console, found)
    for line in _missing(found):
        _say(console, ["", line])
    shown = found.of(columns)
    for heading, changes in (
        ("Totals that differ", [change for change in shown if change.place.is_total]),
        ("Rows that differ", [change for change in shown if not change.place.is_total]),
    ):
        if changes:
            _print_changes(console, heading, changes)
    _say(console, ["", *_summary(found, shown, columns)])


def print_finding(found: Finding, names: tuple[str, str], console: Console) -> None:
    """Print whether a check passed; if not, what is different and by how much."""
    within = f", to within {float(found.tolerance):g}" if found.tolerance else ""
    count = found.differences.compared
    if found.passed:
        _say_whole(console, f"{names[0]}: {', '.join(found.columns)} of {count} rows are as they were{within}.")
        return
    _print_settings(console, found.differences)
    for line in _missing(found.differences):
        _say(console, [line])
    if found.changes:
        more = f" by more than {float(found.tolerance):g} of it" if found.tolerance else ""
        _print_changes(console, f"Changed{more}", found.changes)
    changed = len({change.place for change in found.changes}) + len(found.rows)
    _say(console, [""])
    _say_whole(console, f"{names[0]}: {changed} of {count + len(found.rows)} rows are not as they were.")


def title(document: Document, name: str) -> str:
    """Which report this is: its file, its machine, its trace, and who made it."""
    machine, trace = document["architecture"]["name"], document["trace"]["name"]
    return f"{name}: {machine}, trace {trace}, swatsim {document['swatsim']}"


def _print_settings(console: Console, found: Differences) -> None:
    if not found.settings:
        return
    parts = {key.partition(".")[0] for key, _, _ in found.settings}
    kinds = {"architecture": "machines", "trace": "traces", "simulation": "settings", "swatsim": "versions of swatsim"}
    differ = [phrase for part, phrase in kinds.items() if part in parts]
    _say(console, ["", f"Different {' and '.join(differ)}:"])
    shown = found.settings[:_MOST_SETTINGS]
    headings = ("key", "A", "B")
    lines = tuple(map(_setting_cells, shown))
    print_view(console, View(headings=headings, left=frozenset(headings), lines=lines, totals=()))
    _say_more(console, len(found.settings) - len(shown), "keys")


def _setting_cells(setting: Setting) -> tuple[str, ...]:
    key = _cut(setting.key.removeprefix("architecture."), _LONGEST_KEY)
    return (key, *(_cut(_value_text(value), _LONGEST_VALUE) for value in (setting.before, setting.after)))


def _print_changes(console: Console, heading: str, changes: Sequence[Change]) -> None:
    _say(console, ["", f"{heading}:"])
    shown = changes[:_MOST_CHANGES]
    headings = ("layer", "pass", "column", "A", "B", "B/A")
    lines = [
        (
            change.place.layer, change.place.pass_name, change.column,
            *(_cut(_value_text(value), _LONGEST_VALUE) for value in (change.before, change.after)),
            ratio_text(change.ratio),
        )
        for change in shown
    ]  # fmt: skip
    print_view(
        console, View(headings=headings, left=frozenset({"layer", "pass", "column"}), lines=tuple(lines), totals=())
    )
    _say_more(console, len(changes) - len(shown), "changes")


def _missing(found: Differences) -> Iterator[str]:
    for places, where in ((found.only_before, "A"), (found.only_after, "B")):
        if places:
            yield f"Rows that only {where} has: {_listed([_place_text(place) for place in places])}."
    for columns, where in ((found.columns_only_before, "A"), (found.columns_only_after, "B")):
        if columns:
            yield f"Columns that only {where} has: {_listed(columns)}."


def _summary(found: Differences, shown: Sequence[Change], columns: Sequence[str]) -> Iterator[str]:
    if not found.changes:
        yield f"All columns of {found.compared} rows that both have are equal."
        return
    rows = len({change.place for change in found.changes})
    yield f"{rows} of {found.compared} rows differ, in {len(found.changed_columns)} columns."
    others = [name for name in found.changed_columns if name not in columns]
    if others:
        yield f"Columns that differ and are not shown: {_listed(others)}."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_PLACES
    return ", ".join(names[:_MOST_PLACES]) + (f" and {more} more" if more > 0 else "")


def _place_text(place: Place) -> str:
    return f"{printable(place.layer)} {place.pass_name}"


def ratio_text(ratio: float | None) -> str:
    """A ratio with as many digits as show that it is not 1."""
    if ratio is None:
        return NOTHING
    return f"{ratio:.4f}" if abs(ratio - 1) >= 1e-4 else f"{ratio:.9f}"


def _value_text(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool | str):
        return "(empty)" if value == "" else printable(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.9g}"
    return printable(str(value))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _say(console: Console, lines: Sequence[str]) -> None:
    console.print(Group(*map(Text, lines)), width=min(WIDTH, console.width))


def _say_whole(console: Console, line: str) -> None:
    """A line that names a file, which is not broken."""
    console.print(Text(printable(line)), soft_wrap=True)


def _say_more(console: Console, count: int, what: str) -> None:
    if count > 0:
        _say(console, [f"… and {count} more {what}: --json has all of them."])
