"""What is swept over: each key with its values, and all their combinations in order."""

from __future__ import annotations

import fnmatch
import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swatsim.architecture.loader import check_regular
from swatsim.architecture.overrides import parse_override, plain
from swatsim.architecture.yaml_reader import LARGEST_FILE_BYTES, dotted, read_yaml
from swatsim.errors import SwatsimError, TraceError, YamlError
from swatsim.files import is_address
from swatsim.keys.problems import message, shown
from swatsim.mapper import OBJECTIVES
from swatsim.saved import parse_saved
from swatsim.trace.records import MANIFEST_NAME

Name = str | os.PathLike[str]
MOST_POINTS = 1_000_000
_PATTERN = re.compile(r"[*?\[]")
_LONGEST_PATTERN = 1000
_MOST_ENTRIES = 100_000  # of directories that a pattern looks through, which links may lead round in
# Keys of a point besides those of its machine.
ARCH, TRACE, OBJECTIVE, LAYERS = "arch", "trace", "objective", "layers"
OWN_KEYS = (ARCH, TRACE, OBJECTIVE)
_FILE_KEYS = (ARCH, TRACE, "set", OBJECTIVE, LAYERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Values of each key; every combination is a point.

    overrides : the values of keys of the architecture, as in {"tile.rows": (4, 8)}.
    """

    arch: Sequence[str]
    trace: Sequence[str]
    overrides: Mapping[str, Iterable[object]] = field(default_factory=dict)
    objective: Sequence[str] = ("cycles",)
    layers: str = "*"

    def __post_init__(self) -> None:
        """What can be read once only, or changes later, is read here."""
        for name in OWN_KEYS:
            values = tuple(getattr(self, name))
            _check_names(name, values)
            object.__setattr__(self, name, values)
        if not isinstance(self.overrides, Mapping):
            raise SwatsimError(f"set: got {shown(self.overrides)}, expected keys of the architecture, with values")
        object.__setattr__(self, "overrides", {key: _values(key, given) for key, given in self.overrides.items()})
        if not isinstance(self.layers, str) or len(self.layers) > _LONGEST_PATTERN:
            raise SwatsimError(f"{LAYERS}: got {shown(self.layers)}, expected a pattern of names")
        for objective in self.objective:
            if objective not in OBJECTIVES:
                raise SwatsimError(f"objective: got {shown(objective)}, expected one of {', '.join(OBJECTIVES)}")
        for key in self.overrides:
            if key in OWN_KEYS:
                raise SwatsimError(f"set: got {shown(key)}, expected a key of the architecture, such as tile.rows")
        for key, values in self.axes.items():
            written = [_written(key, value) for value in values]
            if not written:
                raise SwatsimError(f"{key}: got no value, expected at least one")
            first = {text: number for number, text in reversed(list(enumerate(written)))}
            for number, text in enumerate(written):
                if first[text] < number:
                    raise SwatsimError(f"{key}: got {shown(values[number])} twice, expected each value once")
        count = self._count()  # more than `len` can give would be an OverflowError there
        if count > MOST_POINTS:
            raise SwatsimError(f"grid: got {shown(count)} points, expected at most {MOST_POINTS}")

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The keys and their values, the one that changes fastest last."""
        return {
            ARCH: tuple(self.arch), TRACE: tuple(self.trace), OBJECTIVE: tuple(self.objective),
            **{key: tuple(map(plain, values)) for key, values in self.overrides.items()},
        }  # fmt: skip

    def __len__(self) -> int:
        """Points in all."""
        return self._count()

    def _count(self) -> int:
        return math.prod(map(len, self.axes.values()))

    def points(self) -> Iterator[dict[str, Any]]:
        """The value of each key, point by point."""
        axes = self.axes
        for values in itertools.product(*axes.values()):
            yield dict(zip(axes, values, strict=True))


def read_grid(path: str) -> Grid:
    """Read a grid from YAML: `arch`, `trace` and `objective` as a name or a list, `layers`, and `set` by key.

    Names of files are relative to the grid's own. Raises SwatsimError with one line for each problem.
    """
    try:
        with Path(path).open("rb") as file:
            document = read_yaml(file.read(LARGEST_FILE_BYTES + 1), path)
    except OSError as error:
        raise SwatsimError(f"{path}: cannot be read: {error.strerror}") from None
    if document.problems:
        raise YamlError(message(document.problems))
    tree = document.tree
    if not isinstance(tree, dict):
        raise SwatsimError(f"{path}: got {shown(tree)}, expected the keys {', '.join(_FILE_KEYS)}")
    for key in tree:
        if key not in _FILE_KEYS:
            raise SwatsimError(f"{path}: {dotted((key,))}: unknown key, expected one of {', '.join(_FILE_KEYS)}")
    overrides = tree.get("set") or {}
    if not isinstance(overrides, dict):
        raise SwatsimError(f"{path}: set: got {shown(overrides)}, expected keys of the architecture")
    beside = Path(path).parent
    try:
        # Before any of them is taken for a pattern of files.
        _check_names(TRACE, _listed(tree.get(TRACE)))
        return Grid(
            arch=[_regular(_beside(beside, name)) for name in _listed(tree.get(ARCH))],
            trace=[name for pattern in _listed(tree.get(TRACE)) for name in matching(_beside(beside, pattern))],
            overrides={key: tuple(_listed(values)) for key, values in overrides.items()},
            objective=tuple(_listed(tree.get(OBJECTIVE, "cycles"))), layers=tree.get(LAYERS, "*"),
        )  # fmt: skip
    except SwatsimError as error:
        raise SwatsimError(f"{path}: {error}") from None


def _values(key: object, given: object) -> tuple[object, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise SwatsimError(f"{key}: got {shown(given)}, expected a list of values")
    return tuple(given)


def _written(key: str, value: object) -> str:
    """As a kept point has it; raises SwatsimError where that could not be read again."""
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
        parse_saved(f"[{text}]".encode(), key)
    except (TypeError, ValueError, TraceError):
        raise SwatsimError(f"{key}: got {shown(value)}, expected a value that JSON can have, of few digits") from None
    return text


def _check_names(key: str, values: Sequence[object]) -> None:
    if not values or not all(isinstance(value, str) and value for value in values):
        raise SwatsimError(f"{key}: got {shown(list(values))}, expected at least one name")


def as_names(value: Name | Iterable[Name]) -> list[str]:
    """One name or path, or several."""
    several = [value] if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable) else value
    return [os.fspath(each) if isinstance(each, os.PathLike) else each for each in several]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _beside(folder: Path, name: object) -> str:
    """A file's name as it is from here; bare names and addresses are no files of the folder."""
    if not isinstance(name, str) or is_address(name) or ("/" not in name and not name.endswith(".yaml")):
        return name  # type: ignore[return-value]  # the grid refuses what is no text
    return str(folder / name)


def _regular(name: str) -> str:
    if isinstance(name, str):  # the grid refuses what is no text
        check_regular(name, ARCH)
    return name


def matching(pattern: str) -> list[str]:
    """The traces that a pattern such as traces/* matches; what is no pattern is taken as it is."""
    if is_address(pattern) or _PATTERN.search(pattern) is None:
        return [pattern]
    if "**" in pattern or len(pattern) > _LONGEST_PATTERN:
        expected = f"a pattern of directories with * or ?, no **, of at most {_LONGEST_PATTERN} characters"
        raise SwatsimError(f"trace: got {shown(pattern)}, expected {expected}")
    looked_at = itertools.count(1)

    def entries(folders: list[str], part: str) -> Iterator[str]:
        matches = re.compile(fnmatch.translate(part)).match
        for folder in folders:
            with suppress(OSError, ValueError), os.scandir(folder or ".") as found:
                for entry in found:
                    if next(looked_at) > _MOST_ENTRIES:
                        expected = f"at most {_MOST_ENTRIES} files and directories to look at"
                        raise SwatsimError(f"trace: got {shown(pattern)}, expected {expected}")
                    if matches(entry.name):
                        yield os.path.join(folder, entry.name)  # noqa: PTH118  many

    path = Path(pattern)
    folders = [path.anchor]
    for wild, parts in itertools.groupby(
        path.parts[bool(path.anchor) :], lambda part: _PATTERN.search(part) is not None
    ):
        if wild:
            for part in parts:
                folders = list(entries(folders, part))
        else:
            literal = os.path.join(*parts)  # noqa: PTH118
            folders = [os.path.join(folder, literal) for folder in folders]  # noqa: PTH118
    found = sorted(filter(_is_trace, folders))
    if not found:
        raise SwatsimError(f"trace: got {shown(pattern)}, which matches no trace: a directory with a manifest.json")
    return found


def _is_trace(folder: str) -> bool:
    try:
        return Path(folder, MANIFEST_NAME).is_file()
    except (OSError, ValueError):  # it may be another user's
        return False


def parse_axis(text: str) -> tuple[str, tuple[object, ...]]:
    """Split KEY=VALUE,VALUE,... into the key and its values; brackets hold a list together."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise SwatsimError(f"--set {text}: got no '=', expected KEY=VALUE,VALUE,..., such as tile.rows=4,8,16")
    parsed = [parse_override(f"{key}={value}")[1] for value in _split(values)]
    return key.strip(), tuple(parsed)


def _split(text: str) -> list[str]:
    """The parts between commas that are in no brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
