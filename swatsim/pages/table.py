"""A table that can be sorted and filtered, and pairs of names and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from swatsim.pages.markup import element, text
from swatsim.quantities import bytes_text, joules_text

NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its heading, what it reads (a number sorts as such), and how that is written."""

    heading: str
    read: Callable[[Any], float | str | None]
    write: Callable[[float], str] = "{:,.0f}".format
    text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Rows that are shown and hidden together."""

    name: str
    has: Callable[[Any], bool]
    shown: bool = True


def words(key: str, heading: str = "") -> Column:
    """Text of a row."""
    return Column(heading=heading or key, read=lambda row: str(row[key]), text=True)


def count(key: str, heading: str = "") -> Column:
    """A whole number of a row."""
    return Column(heading=heading or key, read=lambda row: row[key])


def ratio(key: str, heading: str = "") -> Column:
    """How many times as much."""
    return Column(heading=heading or key, read=lambda row: row[key], write="{:.2f}x".format)


def share(key: str, heading: str = "") -> Column:
    """Percent."""
    return Column(heading=heading or key, read=lambda row: row.get(key), write="{:.0%}".format)


def energy_column(key: str, heading: str) -> Column:
    """Picojoules of a row."""
    return Column(heading=heading, read=lambda row: row[key], write=joules_text)


def parameter(key: str) -> Column:
    """The value of a key, of what has `parameters`."""

    def read(row: Any) -> float | str | None:
        value = row["parameters"].get(key)
        return value if value is None or type(value) in (int, float) else str(value)

    return Column(heading=key, read=read, write="{:,g}".format)


def bytes_column(heading: str, read: Callable[[Any], int]) -> Column:
    """Bytes of a row."""
    return Column(heading=heading, read=read, write=lambda size: bytes_text(round(size)))


def table(columns: Sequence[Column], rows: Iterable[object], kinds: Sequence[Kind] = (), *, placeholder: str) -> str:
    """The table with its filter; each row is of the first kind that has it."""
    buttons = [
        element("button", text(kind.name), type="button", data_kind=number, aria_pressed=str(kind.shown).lower())
        for number, kind in enumerate(kinds)
    ]
    # Shown by the script, without which they do nothing.
    bar = element("div", [
        element("label", "Show rows with <input type=\"search\" id=\"filter\" "
                f"placeholder=\"{text(placeholder)}\" autocomplete=\"off\" spellcheck=\"false\">"),
        *buttons,
        element("output", id="matches", aria_live="polite"),
    ], class_="bar needs-script")  # fmt: skip
    head = element("thead", element("tr", [
        element("th", text(column.heading), scope="col", class_="text" if column.text else None) for column in columns
    ]))  # fmt: skip
    body = element("tbody", [_row(columns, row, kinds) for row in rows])
    return bar + element("div", element("table", head + body, id="table"), class_="scroll", tabindex=0, role="region",
                         aria_label="Table")  # fmt: skip


def _row(columns: Sequence[Column], row: object, kinds: Sequence[Kind]) -> str:
    cells = []
    for number, column in enumerate(columns):
        value = column.read(row)
        if isinstance(value, str):
            shown = text(value)
            cells.append(element("th", shown, scope="row") if number == 0 else element("td", shown, class_="text"))
        elif value is None:
            cells.append(element("td", NOTHING))
        else:
            cells.append(element("td", text(column.write(value)), data_v=repr(value)))
    kind = next((number for number, kind in enumerate(kinds) if kind.has(row)), None)
    return element("tr", cells, data_kind=kind)


def tiles(facts: Iterable[tuple[str, str, str]]) -> str:
    """Large figures: name, value, and what is said below it."""
    boxes = [
        element("div", element("dt", text(name)) + element("dd", text(value) + element("small", text(more))))
        for name, value, more in facts
    ]
    return element("dl", boxes, class_="tiles")


def pairs(facts: Iterable[tuple[str, str]]) -> str:
    """Names and values, a line each."""
    lines = [element("dt", text(name)) + element("dd", text(value)) for name, value in facts]
    return element("dl", lines, class_="pairs")
