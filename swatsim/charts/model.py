"""What a chart shows, whoever draws it: as SVG in a page, or with matplotlib for a paper."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What has a color of its own, and a line in the legend."""

    name: str
    color: str  # of COLORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its parts, one for each series (0: not in it), end to end."""

    name: str
    parts: tuple[float, ...]
    mark: float | None = None  # another value of the same kind, such as that of the dense machine
    low: float | None = None  # what the sum of the parts may be, at least and at most
    high: float | None = None

    @property
    def value(self) -> float:
        """The length of the bar."""
        return sum(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars of one layer, machine or level. What has no bar says why."""

    name: str
    bars: tuple[Bar, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Groups of bars. `unit` is one of those of swatsim.charts.units."""

    title: str
    unit: str
    series: tuple[Series, ...]
    groups: tuple[Group, ...]
    mark: str = ""  # what the marks are; empty: there are none
    band: str = ""  # what reaches from low to high; empty: there is none
    reference: float | None = None  # a value with a line across all bars

    @property
    def most(self) -> float:
        """The largest value that any bar shows."""
        bars = [bar for group in self.groups for bar in group.bars]
        values = [bar.value for bar in bars]
        values += [bar.mark for bar in bars if self.mark and bar.mark is not None]
        values += [bar.high for bar in bars if self.band and bar.high is not None]
        return max((0.0, *values))  # what is lost to edges may be negative

    @property
    def bar_names(self) -> tuple[str, ...]:
        """The names of the bars of a group, where nothing but their place tells them apart: no color does."""
        stacked = any(sum(map(bool, bar.parts)) > 1 for group in self.groups for bar in group.bars)
        # The fullest group first: others may lack a bar in the middle.
        groups = sorted(self.groups, key=lambda group: -len(group.bars))
        names = tuple(dict.fromkeys(bar.name for group in groups for bar in group.bars))
        return names if stacked and groups and len(groups[0].bars) > 1 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point: which series, and where."""

    name: str
    series: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoofChart:
    """Points under a roof: MACs a cycle over MACs per byte of the outermost level, both logarithmic."""

    title: str
    series: tuple[Series, ...]
    points: tuple[Point, ...]
    level: str  # the outermost level
    peak: float  # MACs a cycle
    ridge: float | None  # MACs per byte; None: the level is unlimited


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatChart:
    """A strip per column: shares from 0 to 1, one for each row; None where there is nothing."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]  # over which others it stands, and its own name
    values: tuple[tuple[float | None, ...], ...]  # [row][column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points of one series, by x."""

    name: str
    color: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Lines over the values of a parameter; `unit` is that of y."""

    title: str
    x_name: str
    unit: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoChart:
    """Points of which some are joined: those that no other one is better than."""

    title: str
    names: tuple[str, str]  # what is across and up
    units: tuple[str, str]
    series: tuple[Series, ...]
    points: tuple[Point, ...]
    front: int  # the series that is joined


Chart = BarChart | RoofChart | HeatChart | LineChart | ParetoChart
