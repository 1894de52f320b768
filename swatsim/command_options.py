"""What options of the commands have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from swatsim.errors import SwatsimError

Value = TypeVar("Value")


def unique(option: str, pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """What an option gave by key; raises SwatsimError where a key comes twice."""
    found: dict[str, Value] = {}
    for key, value in pairs:
        if key in found:
            raise SwatsimError(f"{option} {key}: got it twice, expected each key once")
        found[key] = value
    return found
