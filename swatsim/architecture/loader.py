"""From an architecture file to an Architecture, or to every one of its errors at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from swatsim.architecture.keys import default_of, expected_keys, kinds_phrase, model_at, suggestion
from swatsim.architecture.model import Architecture
from swatsim.architecture.overrides import apply_overrides
from swatsim.architecture.rules import CONTRADICTION, KIND, contradictions
from swatsim.architecture.shipped import is_bare_name, shipped_file
from swatsim.architecture.yaml_reader import LARGEST_FILE_BYTES, Document, Path, dotted, read_yaml
from swatsim.errors import ArchitectureError, SwatsimError
from swatsim.given import path_text
from swatsim.keys import constraints
from swatsim.keys.part import Part
from swatsim.keys.problems import Position, Problem, message, shown
from swatsim.keys.rule import Key
from swatsim.plain_text import printable


def load_architecture(
    path_or_name: str | os.PathLike[str], overrides: Mapping[str, object] | None = None
) -> Architecture:
    """Read an architecture file, or the shipped one of a bare name such as "dadiannao".

    `overrides` replaces values before anything is checked: {"tile.rows": 4, "datapath.moves": [[1, 0]]}.

    Raises ArchitectureError with one line for each error.
    """
    path_text(path_or_name, "architecture")
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ArchitectureError(f"overrides: got {shown(overrides)}, expected keys and their values")
    return read_architecture(*read_file(path_or_name), overrides)


def read_file(path_or_name: str | os.PathLike[str]) -> tuple[bytes, str]:
    """The content of an architecture file, and what messages call it; raises ArchitectureError."""
    name = os.fspath(path_or_name)
    try:
        if isinstance(path_or_name, str) and is_bare_name(name):
            source = shipped_file(name)
            where = str(source)
            with source.open("rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
        else:
            where = name
            with FilePath(name).open("rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchitectureError(printable(f"{name}: cannot be read: {reason}")) from None
    return content, where


def check_regular(name: str, where: str) -> None:
    """Refuse what a document names and is there, but is no file: a pipe would be waited for. Raises SwatsimError.

    A bare name is that of a shipped one, and may be.
    """
    path = FilePath(name)
    try:
        refused = not is_bare_name(name) and path.exists() and not path.is_file()
    except (OSError, ValueError):  # which reading it says better
        return
    if refused:
        raise SwatsimError(f"{where}: got {shown(name)}, which is no file, expected that of an architecture")


def read_architecture(content: bytes, where: str, overrides: Mapping[str, object] | None = None) -> Architecture:
    """Read the content of an architecture file; `where` names it in messages.

    Raises ArchitectureError with one line for each error.
    """
    document = read_yaml(content, where)
    if not isinstance(document.tree, dict):
        if not document.problems:
            got = shown(document.tree) if document.values else "an empty file"
            position = document.values.get((), Position(1, 1))
            text = f"got {got}, expected the keys of an architecture"
            document.problems.append(Problem(where=where, position=position, text=text))
        raise ArchitectureError(message(document.problems))
    places, problems = apply_overrides(document.tree, overrides or {})
    architecture = None
    try:
        architecture = Architecture.model_validate(document.tree)
    except ValidationError as error:
        problems += _Translator(document, where, places).translate(error)
    if document.problems or problems or architecture is None:
        raise ArchitectureError(message([*document.problems, *problems]))
    return architecture


@dataclass(frozen=True, slots=True)
class _Translator:
    """Turns what pydantic found into lines of the file and overrides."""

    document: Document
    where: str
    places: Mapping[Path, str]  # where overrides were put

    def translate(self, error: ValidationError) -> list[Problem]:
        details = [_placed(detail) for detail in error.errors(include_url=False) if detail["type"] != CONTRADICTION]
        wrong = {detail["loc"] for detail in details} | self.document.unreadable
        if KIND in wrong:
            wrong.add(KIND[:1])  # the keys of a datapath belong to its kind: of an unknown one, none can be judged
        told = [detail for detail in details if not _beneath(detail["loc"], self.document.unreadable)]
        return [self._problem(detail) for detail in told] + list(self._contradictions(wrong))

    def _problem(self, detail: ErrorDetails) -> Problem:
        path, got = detail["loc"], detail["input"]
        key, kind = dotted(path), _kind(self.document.tree)
        match detail["type"]:
            case "union_tag_invalid":
                expected = kinds_phrase()
            case "missing" | "union_tag_not_found":
                expected = kinds_phrase() if path == KIND else expected_keys(model_at(path[:-1], kind))[str(path[-1])]
                return self._at(path, f"{key}: missing, expected {expected}", self._key_position(path[:-1]))
            case "extra_forbidden":
                advice = suggestion(path, partial(_names, self.document.tree), kind)
                return self._at(path, f"{key}: unknown key, {advice}", self._key_position(path))
            case constraints.BAD_NAME:
                *around, name, _ = path  # pydantic puts "[key]" behind the key
                text = f"{dotted(tuple(around))}: got the name {shown(name)}, expected {detail['msg']}"
                return self._at(path[:-1], text, self._key_position(path[:-1]))
            case "model_type" | "model_attributes_type":
                expected = f"the keys {', '.join(expected_keys(model_at(path, kind)))}"
            case _:
                expected = detail["msg"]
        return self._at(path, f"{key}: got {shown(got)}, expected {expected}", self._position(path))

    def _contradictions(self, wrong: set[Path]) -> Iterator[Problem]:
        """Check the rules between keys, those whose keys are themselves in order, on what the file says."""
        tree = self.document.tree

        def usable(path: Key) -> bool:
            return not _beneath(path, wrong) and not any(found[: len(path)] == path for found in wrong)

        for found in contradictions(lambda key: _value(tree, key), usable):
            places = dict.fromkeys(place for path in found.keys if (place := self._override(path)) is not None)
            text = f"{dotted(found.key)}: {found.text}"
            if places:
                yield Problem(where=" ".join(places), position=None, text=text)
                continue
            # A value that is not in the file is a default: point at the key that it does not go with.
            written = next((path for path in found.keys if path in self.document.values), ())
            yield Problem(where=self.where, position=self.document.values[written], text=text)

    def _at(self, path: Path, text: str, position: Position) -> Problem:
        place = self._override(path)
        if place is not None:
            return Problem(where=place, position=None, text=text)
        return Problem(where=self.where, position=position, text=text)

    def _override(self, path: Path) -> str | None:
        """The override that set this value, what holds it, or what it holds where the file has nothing there."""
        prefixes = [path[:depth] for depth in range(len(path), 0, -1)]
        above = next((self.places[prefix] for prefix in prefixes if prefix in self.places), None)
        if above is not None or path in self.document.values:
            return above
        return next((place for put, place in self.places.items() if put[: len(path)] == path), None)

    def _position(self, path: Path) -> Position:
        """The place of the value, or of the nearest thing around it that is in the file."""
        prefixes = [path[:depth] for depth in range(len(path), -1, -1)]
        return next(self.document.values[prefix] for prefix in prefixes if prefix in self.document.values)

    def _key_position(self, path: Path) -> Position:
        return self.document.keys.get(path) or self._position(path)


def _placed(detail: ErrorDetails) -> ErrorDetails:
    """The error at the path that the file has: without a known kind, at `datapath.kind`."""
    if detail["loc"] == KIND[:1] and detail["type"].startswith("union_tag"):
        got = detail["input"]["kind"] if detail["type"] == "union_tag_invalid" else detail["input"]
        return {**detail, "loc": KIND, "input": got}
    return detail


def _kind(tree: Any) -> str | None:
    """The kind of datapath that the file asks for, if it says one."""
    datapath = tree.get("datapath") if isinstance(tree, dict) else None
    kind = datapath.get("kind") if isinstance(datapath, dict) else None
    return kind if isinstance(kind, str) else None


def _beneath(path: Path, paths: set[Path]) -> bool:
    """Whether the path, or anything that holds it, is one of these."""
    return any(path[:depth] in paths for depth in range(1, len(path) + 1))


def _value(tree: Any, key: Path) -> object:
    """The value of a key in the file, or its default."""
    value = tree
    for depth, name in enumerate(key, start=1):
        if isinstance(value, Part):  # the default of a whole section
            value = getattr(value, str(name))
        else:
            value = value[name] if name in value else default_of(key[:depth], _kind(tree))
    return value


def _names(tree: Any, path: Path) -> list[str]:
    """The names that the file has in a mapping of free names."""
    value = _value(tree, path)
    return list(value) if isinstance(value, dict) else []
