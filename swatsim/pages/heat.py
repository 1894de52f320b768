"""Strips of shares as SVG: the fuller, the darker, with the percentage in each cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swatsim.charts.model import HeatChart
from swatsim.charts.names import short_names
from swatsim.pages.bars import LONGEST_NAME
from swatsim.pages.figure import CHARACTER, SMALL, Drawing, figure, tip
from swatsim.pages.markup import element, percent, text

_CELL = 17
_GAP = 0.25  # between the strips of two passes, in strips
# From which the number in a cell is as the page is: on white, and on black.
_DARK, _LIGHT = 0.85, 0.65
_HEAD = 32  # pixels of the headings where there is room


@dataclass(frozen=True, slots=True)
class _Strips:
    """Where strips are: shares of the width."""

    columns: tuple[tuple[str, str], ...]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(group for group, _ in self.columns))

    @property
    def width(self) -> float:
        return 1 / (len(self.columns) + _GAP * (len(self.groups) - 1))

    def left(self, column: int) -> float:
        return (column + _GAP * self.groups.index(self.columns[column][0])) * self.width

    def middle(self, group: str) -> float:
        own = [number for number, (over, _) in enumerate(self.columns) if over == group]
        return (self.left(own[0]) + self.left(own[-1]) + self.width) / 2


def heat_figure(key: str, chart: HeatChart, note: str = "") -> str:
    """The strips as a figure of a page."""
    shown, strips = short_names(list(chart.rows), LONGEST_NAME), _Strips(chart.columns)
    width = max(map(len, shown), default=0) * CHARACTER + 12
    names = [
        element("text", text(name), x="100%", dx=-8, y=number * _CELL + 12, text_anchor="end")
        for number, name in enumerate(shown)
    ]
    plot = [
        cell for number, (row, values) in enumerate(zip(chart.rows, chart.values, strict=True))
        for cell in _cells(strips, row, values, number * _CELL)
    ]  # fmt: skip
    known = [value for values in chart.values for value in values if value is not None]
    about = f"{len(chart.rows)} layers by {len(chart.columns)} columns."
    if known:
        about += f" Shares are from {min(known):.0%} to {max(known):.0%}."
    drawing = Drawing(names=names, names_width=width, plot=plot, height=len(chart.rows) * _CELL + 2, about=about)
    return figure(key, chart.title, [], drawing, note, _head(strips, width))


def _head(strips: _Strips, width: float) -> str:
    """Names of the strips: side by side where there is room (class wide), else upright."""
    upright = max(len(name) for _, name in strips.columns) * SMALL + 18
    found = []
    for kind, height in (("wide", _HEAD), ("upright", upright)):
        words = [
            element("text", text(group), x=percent(strips.middle(group)), y=11, text_anchor="middle", class_="over")
            for group in strips.groups
        ]  # fmt: skip
        for number, (_, name) in enumerate(strips.columns):
            middle = percent(strips.left(number) + strips.width / 2)
            if kind == "wide":
                word = element("text", text(name), x=middle, y=height - 6, text_anchor="middle", class_="small")
            else:
                turned = element("text", text(name), transform="rotate(-90)", x=4, y=4, class_="small")
                word = element("svg", turned, x=middle, y=height, width=1, height=1, overflow="visible")
            words.append(word)
        blank = element("svg", width=width, height=height, class_="names")
        plot = element("svg", words, class_="plot", width="100%", height=height)
        found.append(element("div", blank + plot, class_=f"chart {kind}", aria_hidden="true"))
    return "".join(found)


def _cells(strips: _Strips, row: str, values: tuple[float | None, ...], y: float) -> Iterator[str]:
    for number, (value, (group, name)) in enumerate(zip(values, strips.columns, strict=True)):
        if value is None:
            continue
        left = strips.left(number)
        cell = element("rect", x=percent(left), y=y, width=percent(strips.width), height=_CELL - 1, class_="cell",
                       fill_opacity=0.06 + 0.94 * value)  # fmt: skip
        shown = f"{100 * value:.0f}" if value >= 0.01 or not value else f"{100 * value:.1f}"
        kind = "number on" if value >= _DARK else "number half" if value >= _LIGHT else "number"
        label = element(
            "text", shown, x=percent(left + strips.width / 2), y=y + 12, text_anchor="middle", class_=kind
        )  # fmt: skip
        yield element("g", cell + label, data_tip=tip(f"{row} · {group}", [(name, f"{value:.2%}")]))
