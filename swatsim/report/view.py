"""What one table shows, and how it fits in its width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from swatsim.plain_text import printable
from swatsim.report.records import Row

WIDTH = 100
_GAP = 1
_LONGEST_HEADING = 10
_NARROWEST = 30  # of a column that wraps
REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Headings, lines of cells, and what is said below them.

    Where it must, the last column wraps if it may, and the first one is cut.
    """

    headings: tuple[str, ...]
    left: frozenset[str]  # headings of what is text
    lines: tuple[tuple[str, ...], ...]
    totals: tuple[tuple[str, ...], ...]  # lines at the end
    notes: tuple[str, ...] = ()
    wraps: bool = False  # whether the last column takes several lines where it has no room

    def __post_init__(self) -> None:
        """Names that a file or a trace has may hold what a terminal obeys."""
        for name in ("lines", "totals"):
            object.__setattr__(self, name, tuple(tuple(map(printable, cells)) for cells in getattr(self, name)))

    def text(self, console: Console) -> Text:
        """The table, no line longer than WIDTH cells of a terminal.

        A table of rich's would take a twentieth of a whole run of ResNet-50, most of it for cells that need no care.
        """
        widths = self._widths()
        styled = ((self.headings, "bold"), *((cells, "") for cells in self.lines))
        styled += tuple((cells, "bold") for cells in self.totals)
        # As text: a layer's name is not markup, whatever brackets it has.
        lines = [(line, style) for cells, style in styled for line in self._lines(cells, widths, console)]
        return Text("\n").join(Text(line, style) for line, style in lines)

    def _lines(self, cells: Sequence[str], widths: Sequence[int], console: Console) -> Iterator[str]:
        """The lines of one row: several where its last cell wraps."""
        *others, last = cells
        wrapped = Text(last).wrap(console, widths[-1]) if self.wraps else [last]
        for number, part in enumerate(wrapped):
            row = (*((cell if number == 0 else "") for cell in others), str(part))
            yield (" " * _GAP).join(
                _in_width(cell, width, left=name in self.left)
                for cell, width, name in zip(row, widths, self.headings, strict=True)
            )

    def _widths(self) -> list[int]:
        rows = (self.headings, *self.lines, *self.totals)
        widths = [max(cell_len(cells[column]) for cells in rows) for column in range(len(self.headings))]
        room = WIDTH - sum(widths) - _GAP * (len(widths) - 1)
        if self.wraps and room < 0:
            narrower = max(min(widths[-1], _NARROWEST), widths[-1] + room)
            room += widths[-1] - narrower
            widths[-1] = narrower
        widths[0] = max(1, widths[0] + min(0, room))
        return widths


def print_view(console: Console, view: View) -> None:
    """Print the table; a narrower terminal wraps its lines itself: a number that is cut would be a wrong number."""
    width = console.width
    console.width = max(width, WIDTH)
    console.print(view.text(console), width=WIDTH, crop=False)
    console.width = width


def _in_width(cell: str, width: int, *, left: bool) -> str:
    """A cell as wide as its column, cut where it is wider."""
    if cell_len(cell) > width:
        cell = set_cell_size(cell, width - 1) + "…"
    gap = " " * (width - cell_len(cell))
    return cell + gap if left else gap + cell


def heading(name: str) -> str:
    """The name of a level over its column, cut where it is long."""
    return name if len(name) <= _LONGEST_HEADING else name[: _LONGEST_HEADING - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Columns for the named parts of something that each record has: the largest, and one for the sum of all others."""

    of: Callable[[Row], Mapping[str, float]]
    text: Callable[[float, Row], str]
    names: tuple[str, ...]  # those that have a column
    rest: bool

    @property
    def headings(self) -> tuple[str, ...]:
        """Names, cut where they are long."""
        cut = tuple(map(heading, self.names))
        return (*cut, REST) if self.rest else cut

    def cells(self, record: Row) -> tuple[str, ...]:
        """What one line shows of them."""
        parts = self.of(record)
        shown = [parts.get(name, 0) for name in self.names]
        if self.rest:
            shown.append(sum(part for name, part in parts.items() if name not in self.names))
        return tuple(self.text(part, record) for part in shown)


def columns_width(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> int:
    """Characters that columns take, with the gap after each."""
    return sum(max(map(len, column)) + _GAP for column in zip(headings, *lines, strict=True))


def fitting(
    records: Sequence[Row],
    of: Callable[[Row], Mapping[str, float]],
    text: Callable[[float, Row], str],
    room: int,
) -> Parts:
    """Choose the parts that have a column: as many of the largest as fit in `room`, none that is nothing everywhere."""
    sums: dict[str, float] = {}
    widths: dict[str, int] = {}
    for record in records:
        for name, part in of(record).items():
            sums[name] = sums.get(name, 0) + part
            widths[name] = max(widths.get(name, len(heading(name))), len(text(part, record)))
    names, rest = [name for name, part in sums.items() if part], 0
    while names and sum(widths[name] + _GAP for name in names) + rest > room:
        least = min(names, key=lambda name: sums[name])
        names.remove(least)
        rest = max(rest, widths[least] + _GAP, len(REST) + _GAP)
    return Parts(of=of, text=text, names=tuple(names), rest=bool(rest))
