"""A view as a small HTML table, as notebooks show what the last line of a cell gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from swatsim.report.view import View


def view_html(title: str, view: View, lines: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """A caption, the view's headings over these lines of cells, and notes; all of it escaped."""
    return "".join(_parts(title, view, lines, notes))


def _parts(title: str, view: View, lines: Iterable[Sequence[str]], notes: Iterable[str]) -> Iterator[str]:
    aligned = ["left" if name in view.left else "right" for name in view.headings]
    yield f'<table><caption style="text-align:left">{escape(title)}</caption><thead><tr>'
    yield from _cells("th", view.headings, aligned)
    yield "</tr></thead><tbody>"
    for cells in lines:
        yield "<tr>"
        yield from _cells("td", cells, aligned)
        yield "</tr>"
    yield "</tbody></table>"
    yield from (f"<p>{escape(note)}</p>" for note in notes)


def _cells(tag: str, cells: Sequence[str], aligned: Sequence[str]) -> Iterator[str]:
    for text, side in zip(cells, aligned, strict=True):
        yield f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>'
