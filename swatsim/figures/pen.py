"""What every kind of chart is drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swatsim.charts.names import short_names
from swatsim.figures.style import Style, Width
from swatsim.keys.problems import printable

_LONGEST_NAME = 24
_CHARACTER = 0.6  # width of a character in heights of text, on average
_LINE = 1.25  # height of a line of text, and of an upright name's width


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """A figure with its axes, and how it is drawn."""

    figure: Any
    axes: Any
    size: Width
    style: Style

    def legend(self, handles: Sequence[Any], names: Sequence[str]) -> None:
        """Above the axes, in as many columns as fit."""
        points = (self.size.font_points - 1) * _CHARACTER
        longest = max(map(len, names), default=1) * points + 4 * self.size.font_points
        columns = max(1, min(len(names), int(self.size.inches * 72 / longest)))
        self.figure.legend(handles, [plain(name) for name in names], loc="outside upper left", ncols=columns,
                           columnspacing=1, handlelength=1.2, borderaxespad=0.2)  # fmt: skip

    def name_groups(self, names: Sequence[str]) -> None:
        """Names below the axes: side by side where they fit, else upright, and then only every so many."""
        shown = [plain(name) for name in short_names(list(names), _LONGEST_NAME)]
        small = self.size.font_points - 1
        room = self.size.inches * 72 * 0.85 / max(1, len(shown))  # points of each
        if max(map(len, shown), default=0) * small * _CHARACTER < room:
            self.axes.set_xticks(range(len(shown)), shown)
            return
        every = -int(-small * _LINE // room)
        self.axes.set_xticks(range(0, len(shown), every), shown[::every], rotation=90)


def plain(name: str) -> str:
    """Text that matplotlib takes as it is: `$` would begin a formula."""
    return printable(name).replace("$", r"\$")
