"""Bars as SVG, group below group; their lengths are shares of the width that there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swatsim.charts.model import Bar, BarChart, Group
from swatsim.charts.names import short_names
from swatsim.charts.ticks import ticks
from swatsim.charts.units import amount_text, tick_text
from swatsim.pages.figure import (
    AXIS,
    CHARACTER,
    SMALL,
    Drawing,
    figure,
    legend_of,
    tip,
    vertical_grid,
)  # fmt: skip
from swatsim.pages.markup import element, percent, text
from swatsim.plain_text import printable

LONGEST_NAME = 22
_THICK, _THIN, _GAP, _GROUP_GAP, _LEAST_GROUP = 13, 6, 1, 6, 13
_REASON = 28  # characters of why there is no bar
_TALL = 400  # pixels from which the numbers of the axis stand above, too


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where bars are, in pixels from the top and shares of the width."""

    chart: BarChart
    bar_height: int
    most: float

    @staticmethod
    def of(chart: BarChart) -> _Layout:
        crowded = sum(len(group.bars) for group in chart.groups) > 40 and any(len(g.bars) > 1 for g in chart.groups)
        most = max(chart.most, chart.reference or 0.0) or 1.0
        return _Layout(chart, _THIN if crowded else _THICK, max(most, ticks(most)[-1]))

    @property
    def values(self) -> bool:
        """Whether there is room for a number behind each bar."""
        return self.bar_height == _THICK

    def group_height(self, group: Group) -> int:
        return max(_LEAST_GROUP, len(group.bars) * (self.bar_height + _GAP)) + _GROUP_GAP

    @property
    def tops(self) -> list[int]:
        found = [AXIS]
        for group in self.chart.groups:
            found.append(found[-1] + self.group_height(group))
        return found

    def x(self, value: float) -> str:
        return percent(value / self.most)


def bar_figure(key: str, chart: BarChart, note: str = "") -> str:
    """The chart as a figure of a page."""
    layout = _Layout.of(chart)
    tops = layout.tops
    marks = ticks(max(chart.most, chart.reference or 0.0) or 1.0)
    shown = short_names([group.name for group in chart.groups], LONGEST_NAME)
    names = [
        element("text", text(name), x="100%", dx=-8, y=(top + end - _GROUP_GAP) / 2 + 4, text_anchor="end")
        for name, top, end in zip(shown, tops, tops[1:], strict=False)
    ]  # fmt: skip
    places = [(value / layout.most, tick_text(value, chart.unit)) for value in marks]
    plot = list(vertical_grid(places, AXIS - 4, tops[-1], above=tops[-1] > _TALL, inside=not layout.values))
    for group, top in zip(chart.groups, tops, strict=False):
        plot += _group(layout, group, top)
    if chart.reference is not None:
        x = layout.x(chart.reference)
        plot.append(element("line", x1=x, x2=x, y1=AXIS - 4, y2=tops[-1], class_="one"))
    amounts = list(_amounts(layout, tops)) if layout.values else []
    drawing = Drawing(
        names=names, names_width=max(map(len, shown), default=0) * CHARACTER + 12, plot=plot, height=tops[-1] + AXIS,
        about=_about(chart),
        amounts=[
            element("text", text(amount), x="100%", y=y, class_="small", text_anchor="end") for amount, y in amounts
        ],
        amounts_width=max((len(amount) for amount, _ in amounts), default=0) * SMALL + 10,
    )  # fmt: skip
    legend = legend_of(chart.series, chart.mark, chart.band) if len(chart.series) > 1 or chart.mark else []
    if chart.bar_names and not layout.values:
        order = f"Bars of one group, from the top: {', '.join(chart.bar_names)}, where it has them."
        note = f"{order} {note}" if note else order
    return figure(key, chart.title, legend, drawing, note)


def _group(layout: _Layout, group: Group, top: int) -> Iterator[str]:
    if group.missing:
        said = element("text", text(_cut(group.missing)), x="0", dx=6, y=top + 10, class_="small")
        yield element("g", said, data_tip=tip(group.name, [("", group.missing.replace("\n", " "))]))
    for number, bar in enumerate(group.bars):
        yield element(
            "g", _bar(layout, bar, top + number * (layout.bar_height + _GAP)), data_tip=_tip(layout.chart, group, bar)
        )


def _cut(reason: str) -> str:
    reason = printable(reason)
    return reason if len(reason) <= _REASON else f"{reason[: _REASON - 1]}…"


def _bar(layout: _Layout, bar: Bar, y: int) -> Iterator[str]:
    height, middle = layout.bar_height, y + layout.bar_height / 2
    # What is under the pointer is the whole line, however short the bar.
    yield element("rect", x="0", y=y, width="100%", height=height + _GAP, class_="line")
    start = 0.0
    for series, part in zip(layout.chart.series, bar.parts, strict=True):
        if part > 0:
            yield element("rect", x=layout.x(start), y=y, width=layout.x(part), height=height, class_=series.color)
        start += part
    if layout.chart.band and bar.low is not None and bar.high is not None:
        for name in ("rim", "band"):
            yield element("line", x1=layout.x(bar.low), x2=layout.x(bar.high), y1=middle, y2=middle, class_=name)
    if layout.chart.mark and bar.mark is not None:
        for name in ("rim", "mark"):
            yield element("line", x1=layout.x(bar.mark), x2=layout.x(bar.mark), y1=y, y2=y + height, class_=name)


def _amounts(layout: _Layout, tops: list[int]) -> Iterator[tuple[str, float]]:
    """What is written at the right of each bar, and how far down."""
    for group, top in zip(layout.chart.groups, tops, strict=False):
        for number, bar in enumerate(group.bars):
            shown = amount_text(bar.value, layout.chart.unit)
            y = top + number * (layout.bar_height + _GAP) + layout.bar_height / 2 + 3.5
            yield f"{bar.name} {shown}" if layout.chart.bar_names else shown, y


def _tip(chart: BarChart, group: Group, bar: Bar) -> str:
    parts = [(series.name, part) for series, part in zip(chart.series, bar.parts, strict=True) if part]
    facts = [(name, amount_text(part, chart.unit) + _share(part, bar.value)) for name, part in parts]
    if len(parts) == 1:
        facts = [("" if chart.unit == "times" else "in all", amount_text(bar.value, chart.unit))]
    elif len(parts) != 1:
        facts.append(("in all", amount_text(bar.value, chart.unit)))
    if chart.mark and bar.mark is not None:
        facts.append((chart.mark, amount_text(bar.mark, chart.unit)))
    if chart.band and bar.low is not None and bar.high is not None:
        facts.append((chart.band, f"{amount_text(bar.low, chart.unit)} to {amount_text(bar.high, chart.unit)}"))
    title = group.name if bar.name in ("", group.name) else f"{group.name} · {bar.name}"
    return tip(title, facts)


def _share(part: float, whole: float) -> str:
    return f" ({part / whole:.0%})" if whole else ""


def _about(chart: BarChart) -> str:
    """The chart in a sentence: its ends."""
    bars = [(group.name, bar) for group in chart.groups for bar in group.bars]
    if not bars:
        return "No bar: nothing takes time."
    least, most = (function(bars, key=lambda each: each[1].value) for function in (min, max))

    def said(each: tuple[str, Bar]) -> str:
        name = each[0] if each[1].name in ("", each[0]) else f"{each[0]} {each[1].name}"
        return f"{name}, {amount_text(each[1].value, chart.unit)}"

    return f"{len(bars)} bars. The shortest is {said(least)}; the longest {said(most)}. The table has the numbers."
