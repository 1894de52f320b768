"""What options of the commands have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from swatsim.errors import SwatsimError

Value = TypeVar("Value")
Made = TypeVar("Made", bound=Any)  # a frozen dataclass with the command that made it


def unique(option: str, pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """What an option gave by key; raises SwatsimError where a key comes twice."""
    found: dict[str, Value] = {}
    for key, value in pairs:
        if key in found:
            raise SwatsimError(f"{option} {key}: got it twice, expected each key once")
        found[key] = value
    return found


def with_command(
    result: Made, command: Sequence[str], options: Mapping[str, str | Sequence[str] | None], defaults: Mapping[str, str]
) -> Made:
    """The result with the command that gives it: the options that decide it, without those that say what is default."""
    import dataclasses  # no `--help` needs it

    found = ["swatsim", *command]
    for option, value in options.items():
        values = () if value is None or value == defaults.get(option) else [value] if isinstance(value, str) else value
        found += (part for each in values for part in (option, each))
    return dataclasses.replace(result, command=tuple(found))
