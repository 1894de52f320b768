"""Strict YAML: values with their places, and nothing that two readers of YAML could read in two ways.

Scalars are read as YAML 1.2's core schema reads them, decimal numbers only. Refused: duplicate keys, anchors, aliases,
tags, merge keys, leading zeros, several documents, deep nesting, more values than any architecture has.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

import yaml

from swatsim.keys.problems import Position, Problem, shown

LARGEST_FILE_BYTES = 1_000_000
DEEPEST_NESTING = 16
MOST_VALUES = 10_000
_FILES_KEPT = 32

# The path of a value: keys of mappings and indices of lists.
Path: TypeAlias = tuple[str | int, ...]

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")  # of YAML 1.1, not of 1.2
_LONGEST_NUMBER = 40  # characters; more digits than any number of an architecture needs
_LARGEST_EXPONENT = 30


@dataclass(slots=True)
class Document:
    """The tree of a file: dicts, lists and scalars, with the place of each value and of each key."""

    tree: Any = None
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    unreadable: set[Path] = field(default_factory=set)  # None in the tree; each has its problem already
    problems: list[Problem] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """PyYAML's scanner and parser; its constructors of values are not used."""


class _RefusedError(Exception):
    """The rest of the file cannot be read; its problem has been noted."""


def read_yaml(content: bytes, where: str) -> Document:
    """Read one YAML document of an architecture file.

    A problem after which nothing more can be read leaves `tree` None; a file without any value leaves `values` empty.
    """
    found = _read(content, where)
    # Who asks puts overrides into the tree, and more problems beside these.
    return replace(found, tree=deepcopy(found.tree), problems=[*found.problems])


# Parsing is most of what a machine takes to load, and a sweep loads one file for all of its values.
@lru_cache(maxsize=_FILES_KEPT)
def _read(content: bytes, where: str) -> Document:
    document = Document()
    if len(content) > LARGEST_FILE_BYTES:
        text = f"got {len(content)} bytes, expected at most {LARGEST_FILE_BYTES}"
        document.problems.append(Problem(where=where, position=None, text=text))
        return document
    content = content.removeprefix(BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        byte = content[error.start]
        position = _position_of(content[: error.start].decode())
        document.problems.append(Problem(where=where, position=position, text=f"got byte 0x{byte:02x}, expected UTF-8"))
        return document
    if (found := _OTHER_BREAKS.search(text)) is not None:
        got = (
            f"got the character U+{ord(found[0]):04X}, which some readers take for a line break, expected none, or "
            f'"\\u{ord(found[0]):04x}" in a string'
        )
        document.problems.append(Problem(where=where, position=_position_of(text[: found.start()]), text=got))
        return document
    _Builder(document, where).read(text)
    return document


def scalar(text: str) -> object:
    """Read a plain scalar as YAML 1.2's core schema does; raises ValueError where YAML 1.1 reads another number.

    Beyond the core schema, digits may be grouped (606_000_000), and a number with an exponent is an integer if it is
    whole (606e6). Hexadecimal, octal, binary, infinities and NaN stay text.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError("a number without leading zeros (YAML 1.1 reads it as octal)")
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    match = _FLOAT.fullmatch(text)
    return text if match is None else _number(text, match[2])


def _number(text: str, exponent: str | None) -> int | float:
    if exponent is None:
        return float(text)
    if abs(int(exponent[1:])) > _LARGEST_EXPONENT:
        raise ValueError(f"an exponent from -{_LARGEST_EXPONENT} to {_LARGEST_EXPONENT}")
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _position_of(text_before: str) -> Position:
    lines = re.split("\r\n|[\r\n]", text_before)
    return Position(len(lines), len(lines[-1]) + 1)


class _Builder:
    """Turns the parser's events into a Document."""

    def __init__(self, document: Document, where: str) -> None:
        self.document = document
        self.where = where
        self.events: Iterator[yaml.Event] = iter(())
        self.last = Position(1, 1)  # where the last value began
        self.values = 0

    def read(self, text: str) -> None:
        """Read the whole text; what cannot be read is noted as a problem."""
        try:
            self.events = iter(yaml.parse(text, Loader=_Loader))
            self.document.tree = self._read_stream()
        except yaml.reader.ReaderError as error:
            character = text[error.position]
            self._note(
                _position_of(text[: error.position]), f"got the character {character!r}, expected printable text"
            )
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            position = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
            context = "" if error.context is None else f" {error.context}"
            self._note(position, f"not YAML: {error.problem}{context}")
        except _RefusedError:
            pass

    def _next(self) -> yaml.Event:
        try:
            return next(self.events)
        except (ValueError, OverflowError):  # PyYAML's, on an escape or a version that is no number it can hold
            self._refuse(self.last, "not YAML: after this comes an escape or a version out of range")

    def _read_stream(self) -> object:
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        tree = self._read_value(self._next(), ())
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(_start(event), "got a second document, expected one")
        return tree

    def _read_value(self, event: yaml.Event, path: Path) -> object:
        position = self.last = _start(event)
        self.document.values.setdefault(path, position)
        if isinstance(event, yaml.AliasEvent):
            self._note(position, f"got the alias *{event.anchor}, expected the value itself")
            self.document.unreadable.add(path)
            return None
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # all that the parser can send here
        if len(path) > DEEPEST_NESTING:
            self._refuse(position, f"got a value nested {len(path)} deep, expected at most {DEEPEST_NESTING}")
        self.values += 1
        if self.values > MOST_VALUES:
            self._refuse(position, f"got one more value, expected at most {MOST_VALUES}")
        if event.anchor is not None:
            self._note(position, f"got the anchor &{event.anchor}, expected the value alone")
        if event.tag is not None:
            self._note(position, f"got the tag {event.tag}, expected the value alone")
            if isinstance(event, yaml.ScalarEvent):
                self.document.unreadable.add(path)
        if isinstance(event, yaml.ScalarEvent):
            return self._read_scalar(event, path)
        return self._read_mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._read_list(path)

    def _read_scalar(self, event: yaml.ScalarEvent, path: Path) -> object:
        self._refuse_surrogates(event)
        if not event.implicit[0]:  # quoted or block text; a tag was refused already
            return event.value
        try:
            return scalar(event.value)
        except ValueError as error:
            key = f"{dotted(path)}: " if path else ""
            self._note(_start(event), f"{key}got {event.value}, expected {error}")
            self.document.unreadable.add(path)
            return None

    def _read_list(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._read_value(event, (*path, len(items))))
        return items

    def _read_mapping(self, path: Path) -> dict[str, object]:
        mapping: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._read_key(event, path)
            position = _start(event)
            if key in mapping:
                first = self.document.keys[*path, key]
                text = f"{dotted((*path, key))}: got the key a second time, it is already on line {first.line}"
                self._note(position, text)
            self.document.keys.setdefault((*path, key), position)
            value = self._read_value(self._next(), (*path, key))
            mapping.setdefault(key, value)
        return mapping

    def _read_key(self, event: yaml.Event, path: Path) -> str:
        position = _start(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(position, "got a list, mapping or alias as a key, expected a name")
        if event.anchor is not None or event.tag is not None:
            self._note(position, "got a key with an anchor or a tag, expected the name alone")
        self._refuse_surrogates(event)
        if event.value == "<<" and event.implicit[0]:
            self._refuse(position, "got the merge key <<, expected each key written out")
        return str(event.value)

    def _refuse_surrogates(self, event: yaml.ScalarEvent) -> None:
        """Half a character, which an escape can make, is nothing that the libraries below can take."""
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self._refuse(_start(event), "got an escape that is half a character, expected whole ones")

    def _note(self, position: Position, text: str) -> None:
        self.document.problems.append(Problem(where=self.where, position=position, text=text))

    def _refuse(self, position: Position, text: str) -> NoReturn:
        self._note(position, text)
        raise _RefusedError


def dotted(path: Path) -> str:
    """Write a path as users do: datapath.moves[2][0]; a name that is long or odd is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if re.fullmatch(r"[A-Za-z0-9_]{1,60}", part) else shown(part)
        text += f".{name}" if text else name
    return text


def _start(event: yaml.Event) -> Position:
    mark = event.start_mark
    assert mark is not None  # only events made without a parser have none
    return Position(mark.line + 1, mark.column + 1)
