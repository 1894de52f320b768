"""Lists as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from rich.console import Console, Group
from rich.text import Text

from swatsim.listing.kinds import Listing
from swatsim.plain_text import printable
from swatsim.quantities import NOTHING
from swatsim.report.view import WIDTH, View, print_view

FORMAT, VERSION = "swatsim-list", 1
_HEADINGS = {"macs_per_cycle": "MACs/cycle", "clock_hz": "clock Hz"}


def to_json(listings: Sequence[Listing]) -> str:
    """The rows by kind; the same files give the same bytes."""
    lists = {listing.kind: list(listing.rows) for listing in listings}
    return json.dumps({"format": FORMAT, "version": VERSION, **lists}, indent=1, ensure_ascii=False) + "\n"


def to_csv(listing: Listing) -> str:
    """A header, and a line per row; what has no value is empty."""
    text = io.StringIO(newline="")
    if listing.rows:
        writer = csv.DictWriter(text, list(listing.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listing.rows)
    return text.getvalue()


def print_listing(listing: Listing, console: Console) -> None:
    """Print the rows, and where more is said."""
    if not listing.rows:
        _say(console, [f"No {listing.kind} are here.", listing.note])
        return
    lines = tuple(tuple(_cell(row[name]) for name in listing.columns) for row in listing.rows)
    numbers = {name for name in listing.columns if all(isinstance(row[name], int | None) for row in listing.rows)}
    headings = tuple(_HEADINGS.get(name, name) for name in listing.columns)
    left = frozenset(
        heading for heading, name in zip(headings, listing.columns, strict=True) if name not in numbers
    )  # fmt: skip
    print_view(console, View(headings=headings, left=left, lines=lines, totals=(), wraps=True))
    problems = [f"{row['problem']}" for row in listing.rows if row.get("problem")]
    _say(console, ["", *map(printable, problems), listing.note])


def print_overview(listings: Iterable[Listing], console: Console) -> None:
    """Print how many there are of each kind, and their names."""
    lines = tuple((each.kind, str(len(each.rows)), ", ".join(each.names) or NOTHING) for each in listings)
    view = View(
        headings=("list", "number", "names"), left=frozenset({"list", "names"}), lines=lines, totals=(), wraps=True
    )
    print_view(console, view)
    _say(console, ["", "swatsim list machines, traces, … says more of one kind; --json all of all."])


def _cell(value: object) -> str:
    if value is None or value == "":
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else str(value)


def _say(console: Console, lines: Sequence[str]) -> None:
    console.print(Group(*map(Text, lines)), width=min(WIDTH, console.width))
