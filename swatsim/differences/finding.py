"""What differs between two reports: settings by key, rows by column, in the order of the reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from swatsim.report.columns import Value
from swatsim.saved import places_of

Document: TypeAlias = Mapping[str, Any]
# Where what was simulated is said; the rest is what was found.
_SETTINGS = ("swatsim", "architecture", "trace", "simulation")
MISSING = "(none)"


class Place(NamedTuple):
    """Which row of a report: a layer or stream and its pass, or the total of a pass."""

    layer: str
    pass_name: str
    is_total: bool


class Setting(NamedTuple):
    """A key of what was simulated whose values differ, such as architecture.tile.rows; one may be MISSING."""

    key: str
    before: Any
    after: Any


class Change(NamedTuple):
    """A column of a row whose values differ."""

    place: Place
    column: str
    before: Value
    after: Value

    @property
    def ratio(self) -> float | None:
        """After by before; None where one is no number, or before is 0."""
        if not isinstance(self.before, int | float) or not isinstance(self.after, int | float) or not self.before:
            return None
        return self.after / self.before

    def exceeds(self, tolerance: Fraction) -> bool:
        """Whether it is more than this share of what was before; what is no number may not change at all."""
        if not isinstance(self.before, int | float) or not isinstance(self.after, int | float):
            return True
        return abs(Fraction(self.after) - Fraction(self.before)) > tolerance * abs(Fraction(self.before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """All that differs between two reports, the one before and the one after."""

    settings: tuple[Setting, ...]
    only_before: tuple[Place, ...]  # rows
    only_after: tuple[Place, ...]
    columns_only_before: tuple[str, ...]
    columns_only_after: tuple[str, ...]
    changes: tuple[Change, ...]
    compared: int  # rows that both have

    @property
    def none(self) -> bool:
        """Whether the reports find the same."""
        return not (
            self.only_before or self.only_after or self.columns_only_before or self.columns_only_after or self.changes
        )

    def of(self, columns: Sequence[str]) -> tuple[Change, ...]:
        """The changes in these columns."""
        return tuple(change for change in self.changes if change.column in columns)

    @property
    def changed_columns(self) -> tuple[str, ...]:
        """Columns in which any row differs."""
        return tuple(dict.fromkeys(change.column for change in self.changes))


def differences(before: Document, after: Document) -> Differences:
    """Compare the documents of two runs, of the structure that their schema has."""
    rows, others = _by_place(before), _by_place(after)
    columns, other_columns = (dict.fromkeys(name for row in found.values() for name in row) for found in (rows, others))
    shared = [name for name in columns if name in other_columns]
    places = [place for place in rows if place in others]
    return Differences(
        settings=tuple(_settings(before, after)),
        only_before=tuple(place for place in rows if place not in others),
        only_after=tuple(place for place in others if place not in rows),
        columns_only_before=tuple(name for name in columns if name not in other_columns),
        columns_only_after=tuple(name for name in other_columns if name not in columns),
        changes=tuple(
            Change(place, name, rows[place].get(name), others[place].get(name))
            for place in places for name in shared if rows[place].get(name) != others[place].get(name)
        ),
        compared=len(places),
    )  # fmt: skip


def _by_place(document: Document) -> dict[Place, Mapping[str, Value]]:
    return {Place(*place): row for place, row in zip(places_of(document), document["rows"], strict=True)}


def _settings(before: Document, after: Document) -> Iterator[Setting]:
    one, other = ({key: value for name in _SETTINGS for key, value in _flat(name, document[name])} for document in (
        before, after
    ))  # fmt: skip
    for key in dict.fromkeys((*one, *other)):
        values = one.get(key, MISSING), other.get(key, MISSING)
        if values[0] != values[1] or type(values[0]) is not type(values[1]):
            yield Setting(key, *values)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    for key, inner in value.items():
        yield from _flat(f"{name}.{key}", inner)
