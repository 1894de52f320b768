"""The parts of a page."""

from __future__ import annotations

from dataclasses import dataclass

from swatsim.pages.markup import element


@dataclass(frozen=True, slots=True)
class Section:
    """A part with a heading, to which the list at the top leads."""

    key: str
    title: str
    content: str


def beside(*figures: str) -> str:
    """Figures side by side where there is room."""
    return element("div", figures, class_="beside")
