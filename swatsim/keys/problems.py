"""One error of an architecture file: where it is, what is there and what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from swatsim.plain_text import printable

LONGEST_SHOWN = 60
_MOST_LINES = 200


class Position(NamedTuple):
    """A place in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error; its line of the message is `where: text`."""

    where: str
    position: Position | None  # None: an override, or the file as a whole
    text: str

    def __str__(self) -> str:
        place = "" if self.position is None else f":{self.position.line}:{self.position.column}"
        return f"{printable(self.where)}{place}: {printable(self.text)}"


def message(problems: Iterable[Problem]) -> str:
    """One line for each problem: those of the file by line and column, then those of the overrides."""
    last = Position(1 << 62, 0)
    ordered = sorted(problems, key=lambda problem: problem.position or last)
    lines = [str(problem) for problem in ordered]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"and {len(lines) - _MOST_LINES} more errors"]
    return "\n".join(lines)


def shown(value: object) -> str:
    """Write a value as it would stand in the file, cut where it is long."""
    text = _written(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _written(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        # A long list is cut anyway: do not write all of it first.
        return "[" + ", ".join(_written(item) for item in value[:LONGEST_SHOWN]) + "]"
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of many digits"
    return repr(value[: 2 * LONGEST_SHOWN] if isinstance(value, str) else value)
