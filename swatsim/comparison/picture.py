"""A comparison as a picture: bars over the baseline, and on each a mark at the speedup over its own dense machine.

The file is complete in itself: it needs no font, no script and no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from swatsim.charts.colors import COLORS, OF_PASS
from swatsim.charts.names import short_names
from swatsim.charts.ticks import ticks
from swatsim.comparison.notes import MEASURED, normalization_phrase, title
from swatsim.comparison.result import Comparison, Contender, Entry
from swatsim.plain_text import printable
from swatsim.report.records import OTHER

_WIDTH, _LEFT, _RIGHT = 900, 200, 60
_BAR, _BAR_GAP, _GROUP_GAP = 11, 2, 14
_TOP, _BOTTOM = 92, 34
_LONGEST_NAME = 28


def to_svg(comparison: Comparison, by: str) -> str:
    """Draw machine below machine, a bar for each of what is compared; the same input gives the same bytes."""
    return "\n".join(_lines(_Picture.of(comparison, by))) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """Where things are, in pixels."""

    comparison: Comparison
    by: str
    names: tuple[str, ...]  # of what is compared, with a bar each
    most: float  # speedup at the right end
    ticks: tuple[float, ...]

    @staticmethod
    def of(comparison: Comparison, by: str) -> _Picture:
        names = tuple(name for name in comparison.compared if name != OTHER)
        shown = [entry for entry in comparison.entries if entry.total.pass_name in names]
        most = max(1.0, *(value for entry in shown for value in (entry.speedup(by) or 0.0, _own(entry, by))))
        marks = ticks(most)
        return _Picture(comparison=comparison, by=by, names=names, most=max(most, marks[-1]), ticks=marks)

    @property
    def group_height(self) -> int:
        return len(self.names) * (_BAR + _BAR_GAP) + _GROUP_GAP

    @property
    def height(self) -> int:
        return _TOP + len(self.comparison.machines) * self.group_height + _BOTTOM

    def x(self, speedup: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * speedup / self.most


def _own(entry: Entry, by: str) -> float:
    return entry.own_speedup(by) or 0.0


def _lines(picture: _Picture) -> Iterator[str]:
    comparison = picture.comparison
    heading = f"Speedup over {printable(comparison.baseline.architecture_name)} with skipping off"
    below = f"{title(comparison)}; {normalization_phrase(comparison)}; {MEASURED[picture.by]}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {picture.height}" width="{_WIDTH}" '
        f'height="{picture.height}" role="img" aria-labelledby="heading below">'
    )
    yield from _style(picture.names)
    yield f'<rect class="paper" width="{_WIDTH}" height="{picture.height}"/>'
    yield f'<text id="heading" class="heading" x="16" y="26">{escape(heading)}</text>'
    yield f'<text id="below" x="16" y="46">{escape(below)}</text>'
    yield from _legend(picture.names)
    yield from _axis(picture)
    shown = short_names([machine.name for machine in comparison.machines], _LONGEST_NAME)
    for number, (machine, name) in enumerate(zip(comparison.machines, shown, strict=True)):
        yield from _group(picture, machine, name, _TOP + number * picture.group_height)
    yield "</svg>"


def _style(names: Sequence[str]) -> Iterator[str]:
    def rules(dark: int) -> str:
        paper, ink, grid = (("#ffffff", "#1a1a1a", "#d0d0d0"), ("#14171a", "#e8e8e8", "#3c4248"))[dark]
        bars = "".join(f".{name}{{fill:{COLORS[OF_PASS[name]][dark]}}}" for name in names)
        return (
            f".paper{{fill:{paper}}}text{{fill:{ink}}}.grid{{stroke:{grid}}}.one{{stroke:{ink}}}"
            f".own{{stroke:{ink}}}.rim{{stroke:{paper}}}{bars}"
        )

    yield "<style>"
    yield "text{font:12px system-ui,sans-serif}.heading{font-size:16px;font-weight:600}.small{font-size:10px}"
    yield ".end{text-anchor:end}.middle{text-anchor:middle}.own{stroke-width:2}.rim{stroke-width:4}"
    yield rules(0)
    yield f"@media(prefers-color-scheme:dark){{{rules(1)}}}"
    yield "</style>"


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = 16
    for name in names:
        yield f'<rect class="{name}" x="{x}" y="58" width="10" height="10"/>'
        yield f'<text x="{x + 15}" y="67">{name}</text>'
        x += 15 + 7 * len(name) + 18
    yield f'<line class="own" x1="{x + 5}" x2="{x + 5}" y1="57" y2="69"/>'
    yield f'<text x="{x + 15}" y="67">over its own dense machine</text>'


def _axis(picture: _Picture) -> Iterator[str]:
    bottom = picture.height - _BOTTOM
    for tick in picture.ticks:
        x = f"{picture.x(tick):.1f}"
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}"/>'
        yield f'<text class="middle" x="{x}" y="{bottom + 16}">{tick:g}x</text>'
    x = f"{picture.x(1.0):.1f}"
    yield f'<line class="one" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}" stroke-dasharray="3 3"/>'


def _group(picture: _Picture, machine: Contender, name: str, top: int) -> Iterator[str]:
    middle = top + (picture.group_height - _GROUP_GAP) / 2 + 4
    yield f"<g><title>{escape(printable(machine.name))}: {escape(printable(machine.architecture_name))}</title>"
    yield f'<text class="end" x="{_LEFT - 10}" y="{middle:.1f}">{escape(name)}</text>'
    if machine.scale.factor is None:
        reason = f"no number: {machine.scale.reason}"
        yield f'<text x="{picture.x(0) + 6:.1f}" y="{middle:.1f}">{escape(reason)}</text>'
    else:
        for number, compared in enumerate(picture.names):
            entry = Entry(
                machine=machine, total=machine.totals[compared], baseline=picture.comparison.baseline.totals[compared]
            )
            yield from _bar(picture, entry, top + number * (_BAR + _BAR_GAP))
    yield "</g>"


def _bar(picture: _Picture, entry: Entry, y: int) -> Iterator[str]:
    speedup, own = entry.speedup(picture.by), entry.own_speedup(picture.by)
    if speedup is None or own is None:  # nothing takes time
        return
    end, mark = picture.x(speedup), picture.x(own)
    name = entry.total.pass_name
    yield f'<rect class="{name}" x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}"/>'
    for kind in ("rim", "own"):  # the rim of paper keeps the mark apart from its bar
        yield f'<line class="{kind}" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y}" y2="{y + _BAR}"/>'
    text = max(end, mark if mark < end + 40 else end) + 5
    yield f'<text class="small" x="{text:.1f}" y="{y + _BAR - 2}">{speedup:.2f}x</text>'
