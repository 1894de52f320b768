"""Values given beside the file, as `--set tile.rows=4` does: put into the file's tree before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from swatsim.architecture.keys import named_at
from swatsim.architecture.yaml_reader import Path, dotted, read_yaml
from swatsim.errors import ArchitectureError
from swatsim.keys.problems import LONGEST_SHOWN, Problem, message, shown


def parse_override(text: str) -> tuple[str, object]:
    """Split `tile.rows=4` into its key and its value, read by the rules of the file; lists as in [[1, 0], [2, 0]].

    Raises ArchitectureError where the text is not KEY=VALUE.
    """
    key, equals, written = text.partition("=")
    key = key.strip()
    where = f"--set {text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + '…'}"
    if not equals or not key:
        raise ArchitectureError(_line(where, "expected KEY=VALUE, as in tile.rows=4"))
    document = read_yaml(written.encode("utf-8", "surrogateescape"), where)
    if document.problems:
        raise ArchitectureError(_line(where, document.problems[0].text))
    if not written.strip() or not document.values:
        raise ArchitectureError(_line(where, "got no value, expected one (null for none)"))
    if isinstance(document.tree, dict):
        raise ArchitectureError(_line(where, "got a mapping, expected a value or a list (quote text that has a colon)"))
    return key, document.tree


def place_of(key: str, value: object) -> str:
    """Name an override in a message."""
    plain = isinstance(value, str) and len(value) <= LONGEST_SHOWN
    return f"--set {key}={value if plain else shown(value)}"


def apply_overrides(tree: Any, overrides: Mapping[str, object]) -> tuple[dict[Path, str], list[Problem]]:
    """Put each value into the tree, in place.

    Returns the name of the override at each path it set, and the overrides that have no place.
    """
    places: dict[Path, str] = {}
    problems: list[Problem] = []
    for name, given in overrides.items():
        key, value = str(name), plain(given)
        place = place_of(key, value)
        path = tuple(key.split("."))
        if not key.isprintable():
            problems.append(Problem(where=place, position=None, text="unknown key, expected one such as tile.rows"))
            continue
        fault = _put(tree, path, value)
        if fault is None:
            places[path] = place
        else:
            problems.append(Problem(where=place, position=None, text=fault))
    return places, problems


def _put(tree: Any, path: tuple[str, ...], value: object) -> str | None:
    """Set the value; returns what is wrong if it has no place."""
    for depth, name in enumerate(path[:-1]):
        named = named_at(path[:depth])
        if named is not None and tree and name not in tree:
            # A new one can only be given whole: of its keys one by one, each would be told as incomplete.
            return f"{dotted(path[: depth + 1])}: the file has none of this name, {_meant(path[:depth], name, tree)}"
        if tree.get(name) is None:
            tree[name] = {}
        tree = tree[name]
        if not isinstance(tree, dict):
            return f"{dotted(path)}: {dotted(path[: depth + 1])} is not a mapping, expected a key such as tile.rows"
    tree[path[-1]] = value
    return None


def _meant(around: Path, name: str, names: Mapping[str, object]) -> str:
    """Advice on a name that the file does not have: the one that was probably meant, or all that there are."""
    close = get_close_matches(name, names, n=1)
    return f"did you mean {dotted((*around, close[0]))}?" if close else f"expected one of {', '.join(names)}"


def plain(value: object) -> object:
    """Lists for tuples, numbers of Python for numpy's, new dicts for mappings: what the file itself could hold."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _line(where: str, text: str) -> str:
    return message([Problem(where=where, position=None, text=text)])
