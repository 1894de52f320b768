"""HTML and SVG as text, in which names are never markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from swatsim.plain_text import printable


def text(name: object) -> str:
    """Anyone's text as it may stand between tags and in attributes."""
    return escape(printable(str(name)))


def element(name: str, content: str | Iterable[str] = "", /, **attributes: object) -> str:
    """An element whose content is markup already; attribute values become text.

    In names of attributes `_` stands for `-`, and one at the end keeps them apart from Python's words; those whose
    value is None are left out.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = content if isinstance(content, str) else "".join(content)
    return f"<{name}{shown}>{inside}</{name}>"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    # Line feeds and tabs separate what a tip says; all else that is not printable is escaped.
    return "&#10;".join("&#9;".join(map(text, line.split("\t"))) for line in str(value).split("\n"))


def percent(share: float) -> str:
    """A place along an axis that is as wide as there is room."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"
