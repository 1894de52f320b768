"""A chart with its heading and legend, and what SVG charts have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swatsim.charts.model import Series
from swatsim.pages.markup import element, percent, text

CHARACTER, SMALL = 6.7, 5.6  # pixels of a character of a name, and of a small one, as wide as they come
_TALL = 700  # pixels of what is printed smaller
AXIS = 20  # pixels above and below a plot for the numbers of its axis
FEW_TICKS = 4  # that fit on a phone; of more, every other has no number there


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Names at the left, amounts at the right, and between them a plot that takes all other room."""

    names: Sequence[str]
    names_width: float
    plot: Sequence[str]
    height: float
    about: str  # for those who do not see it
    amounts: Sequence[str] = ()  # in a column at the right
    amounts_width: float = 0


def figure(key: str, title: str, legend: Iterable[str], drawing: Drawing, note: str = "", head: str = "") -> str:
    """The figure; `key` is its own on the page, `head` what stands above the drawing."""
    amounts = element("svg", drawing.amounts, width=drawing.amounts_width, height=drawing.height, class_="names",
                      aria_hidden="true")  # fmt: skip
    size = {"height": drawing.height}
    return element("figure", [
        element("figcaption", text(title), id=f"{key}-title"),
        element("ul", legend, class_="legend") if legend else "",
        head,
        element("div", [
            element("svg", drawing.names, width=drawing.names_width, **size, class_="names", aria_hidden="true"),
            element("svg", [element("desc", text(drawing.about), id=f"{key}-about"), *drawing.plot], class_="plot",
                    width="100%", **size, role="img", aria_labelledby=f"{key}-title", aria_describedby=f"{key}-about"),
            amounts if drawing.amounts else "",
        ], class_="chart"),
        element("p", text(note), class_="hint") if note else "",
    ], id=f"figure-{key}", class_="tall" if drawing.height > _TALL else None)  # fmt: skip


def legend_of(series: Iterable[Series], mark: str = "", band: str = "") -> list[str]:
    """Names with their colors, and what marks and bands are."""
    items = [element("li", _swatch(element("rect", width=10, height=10, class_=each.color)) + text(each.name))
             for each in series]  # fmt: skip
    if mark:
        items.append(element("li", _swatch(element("line", x1=5, x2=5, y1=0, y2=10, class_="mark")) + text(mark)))
    if band:
        items.append(element("li", _swatch(element("line", x1=0, x2=10, y1=5, y2=5, class_="band")) + text(band)))
    return items


def _swatch(shape: str) -> str:
    return element("svg", shape, width=10, height=10, class_="swatch", aria_hidden="true")


def vertical_grid(
    places: Sequence[tuple[float, str]], top: float, bottom: float, *, above: bool = False, inside: bool = True
) -> Iterator[str]:
    """Lines at shares of the width, with their numbers below the plot, and above it too where it is tall.

    inside: the last number ends where the plot does.
    """
    for number, (share, shown) in enumerate(places):
        x = percent(share)
        yield element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid")
        anchor = "start" if number == 0 else "end" if inside and number == len(places) - 1 else "middle"
        hidden = len(places) > FEW_TICKS and number % 2 == 1
        for y in (top - 6, bottom + 14) if above else (bottom + 14,):
            yield element("text", text(shown), x=x, y=y, class_="small wide" if hidden else "small", text_anchor=anchor)


def tip(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """What is said of the thing under the pointer: a title, then a name and a value on each line."""
    return "\n".join((_line(title), *(f"{_line(name)}\t{value}" for name, value in facts)))


def _line(name: str) -> str:
    return name.replace("\n", " ").replace("\t", " ")
