"""Short names of machines for tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from swatsim.plain_text import printable

_SUFFIXES = (".yaml", ".yml")


def short_names(names: Sequence[str], longest: int) -> list[str]:
    """At most `longest` characters for each name, all of them different.

    A file's folder and suffix are left out where it is told apart without them. What is too long lacks its middle:
    variants of a machine often differ at their ends.
    """
    stems = [_stem(name) for name in names]
    often = Counter(stems)
    plain = [
        printable(stem if often[stem] == 1 else name) for name, stem in zip(names, stems, strict=True)
    ]  # fmt: skip
    cut = [_cut(name, longest) for name in plain]
    often = Counter(cut)
    return [name if often[name] == 1 else _cut(f"{number} {name}", longest) for number, name in enumerate(cut, start=1)]


def _stem(name: str) -> str:
    path = PurePath(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else name


def _cut(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[len(name) - tail :]}"
