"""What every kind of chart is drawn with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swatsim.charts.names import short_names
from swatsim.figures.style import Style, Width
from swatsim.plain_text import printable

_LONGEST_NAME = 24
_CHARACTER = 0.64  # width of a character in heights of text, on average
_LINE = 1.25  # height of a line of text, and of an upright name's width


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """A figure with its axes, and how it is drawn."""

    figure: Any
    axes: Any
    size: Width
    style: Style
    beside: list[float] = field(default_factory=list)  # points of height that are taken by all but the plot

    @property
    def small(self) -> float:
        """Points of the text of axes and legends."""
        return self.size.font_points - 1

    def legend(self, handles: Sequence[Any], names: Sequence[str]) -> None:
        """Above the axes, in as many columns as fit."""
        room = self.size.inches * 72
        columns = next(count for count in range(len(names), 0, -1) if count == 1 or self._width(names, count) < room)
        self.figure.legend(handles, [plain(name) for name in names], loc="outside upper left", ncols=columns,
                           columnspacing=1, handlelength=1.2, borderaxespad=0.2)  # fmt: skip
        self.beside.append(-(-len(names) // columns) * self.small * 1.5 + self.small)

    def _width(self, names: Sequence[str], columns: int) -> float:
        """Points of a legend, which is filled column by column, the first ones one name fuller."""
        rows, fuller = divmod(len(names), columns)
        starts = [column * rows + min(column, fuller) for column in range(columns + 1)]
        longest = [max(map(len, names[start:end])) for start, end in itertools.pairwise(starts)]
        return sum(length * _CHARACTER + 3.2 for length in longest) * self.small

    def name_groups(self, names: Sequence[str], room: float = 0.85) -> None:
        """Names below the axes, which take `room` of the width.

        They stand side by side where they fit, else upright, and then only every so many.
        """
        shown = [plain(name) for name in short_names(list(names), _LONGEST_NAME)]
        longest = max(map(len, shown), default=0) * self.small * _CHARACTER
        points = self.size.inches * 72 * room / max(1, len(shown))
        if longest + self.small < points:
            self.axes.set_xticks(range(len(shown)), shown)
            self.beside.append(self.small * _LINE)
            return
        every = -int(-self.small * _LINE // points)
        self.axes.set_xticks(range(0, len(shown), every), shown[::every], rotation=90)
        self.beside.append(longest)

    def room(self, names: Sequence[str], more: int) -> float:
        """The share of the width that is left beside names at the left and `more` characters at the right."""
        taken = (max(map(len, names), default=0) + more) * self.small * _CHARACTER
        return 1 - taken / (self.size.inches * 72)

    def name_across(self, name: str) -> None:
        """What is across, below the axes."""
        self.axes.set_xlabel(name)
        self.beside.append(self.size.font_points * 1.5)

    def title(self, name: str) -> None:
        """Above all else, and above the legend where there is one."""
        if self.figure.legends:
            self.figure.legends[0].set_title(plain(name), prop={"size": self.size.font_points * 1.15})
            self.figure.legends[0].set_alignment("left")
        else:
            self.figure.suptitle(plain(name), x=0.01, ha="left", fontsize=self.size.font_points * 1.15)

    def fit(self) -> None:
        """Make the figure as high as its plot and all that stands above and below it."""
        title = self.size.font_points * 2 if self.size.title else 0
        self.figure.set_size_inches(self.size.inches, self.size.plot_inches + (sum(self.beside) + title) / 72)


def plain(name: str) -> str:
    """Text that matplotlib takes as it is: `$` would begin a formula."""
    return printable(name).replace("$", r"\$")
