"""Sizes, colors and fonts of figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swatsim.charts.colors import COLORS
from swatsim.errors import SwatsimError


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """How large a figure is, and its text: inches and points. Names and legends add to its height."""

    inches: float
    plot_inches: float  # height of what is drawn
    font_points: float
    title: bool  # a paper has captions, a slide has not


# A column of IEEE and ACM papers is 3.5 and 3.33 inches wide, both together 7.16 and 7.
WIDTHS = {
    "single": Width(inches=3.5, plot_inches=1.6, font_points=7, title=False),
    "double": Width(inches=7.16, plot_inches=1.8, font_points=7, title=False),
    "slide": Width(inches=10, plot_inches=3.6, font_points=13, title=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Colors of a figure."""

    paper: str
    ink: str
    faint: str
    strips: str  # matplotlib's color map of strips
    kind: int | None  # which of the two of each color; None: shades of gray

    def series(self, colors: list[str]) -> list[str]:
        """What matplotlib paints series with."""
        if self.kind is not None:
            return [COLORS[color][self.kind] for color in colors]
        shades = [0.15 + 0.7 * number / max(1, len(colors) - 1) for number in range(len(colors))]
        # Dark and light in turn: neighbors of a stack differ most.
        half = -(-len(shades) // 2)
        turns = [shades[number // 2 + (half if number % 2 else 0)] for number in range(len(shades))]
        return [f"{shade:.2f}" for shade in turns]


STYLES = {
    "paper": Style(paper="#ffffff", ink="#1a1a1a", faint="#d0d0d0", strips="cividis_r", kind=0),
    "dark": Style(paper="#14171a", ink="#e8e8e8", faint="#3c4248", strips="cividis", kind=1),
    "gray": Style(paper="#ffffff", ink="#000000", faint="#d0d0d0", strips="gray_r", kind=None),
}


def named(width: str, style: str) -> tuple[Width, Style]:
    """Both by name; raises SwatsimError."""
    for what, name, known in (("width", width, WIDTHS), ("style", style, STYLES)):
        if name not in known:
            raise SwatsimError(f"{what}: got {name!r}, expected one of {', '.join(known)}")
    return WIDTHS[width], STYLES[style]


def settings(width: Width, style: Style) -> dict[str, Any]:
    """What matplotlib is told, whatever its user's own settings are. The font comes with matplotlib."""
    size = width.font_points
    return {
        "font.family": "DejaVu Sans", "font.size": size, "axes.labelsize": size, "axes.titlesize": size * 1.15,
        "xtick.labelsize": size - 1, "ytick.labelsize": size - 1, "legend.fontsize": size - 1,
        "figure.facecolor": style.paper, "axes.facecolor": style.paper, "savefig.facecolor": style.paper,
        "text.color": style.ink, "axes.labelcolor": style.ink, "axes.edgecolor": style.ink, "xtick.color": style.ink,
        "ytick.color": style.ink, "grid.color": style.faint, "axes.linewidth": 0.6, "grid.linewidth": 0.5,
        "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "axes.axisbelow": True,
    }  # fmt: skip
