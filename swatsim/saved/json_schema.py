"""Checks JSON values by the keywords of JSON Schema (draft 2020-12) that swatsim's own schemas use.

A document of ten thousand points has millions of values: a schema is turned into nested functions once, and where a
value stands is only put together for the one that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from swatsim.errors import SwatsimError
from swatsim.trace.json_values import shown

Check: TypeAlias = Callable[[Any], None]
Schema: TypeAlias = Mapping[str, Any]

_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "object": ("an object", lambda value: isinstance(value, dict)),
    "array": ("an array", lambda value: isinstance(value, list)),
    "string": ("a string", lambda value: isinstance(value, str)),
    # true and 5.0 are no integers here: swatsim writes neither where it counts.
    "integer": ("an integer", lambda value: type(value) is int),
    "number": ("a number", lambda value: type(value) in (int, float)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "null": ("null", lambda value: value is None),
}
_NUMBERS = ("integer", "number")
_NOTES = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "default"})
# Of an object of the schema: what a document names, such as layers and levels, is without end over many documents.
_MOST_KEYS_KEPT = 1000


class MismatchError(Exception):
    """A value that its schema does not allow; `path` is put together outwards."""

    def __init__(self, got: str, expected: str) -> None:
        super().__init__(got)
        self.got, self.expected = got, expected
        self.path = ""

    def under(self, key: str | int) -> MismatchError:
        """The same, seen from the object or array that holds the value."""
        if isinstance(key, int):
            here = f"[{key}]"
        else:
            here = f".{key}" if re.fullmatch(r"[$\w]{1,60}", key, re.ASCII) else f"[{shown(key)}]"
        self.path = here + self.path
        return self


def check_document(value: Any, check: Check, where: str) -> None:
    """Raise SwatsimError where `check`, of a schema that `compiled` gave it for, refuses `value`.

    The message is `where: key path: got X, expected Y`.
    """
    try:
        check(value)
    except MismatchError as error:
        path = error.path.removeprefix(".")
        raise SwatsimError(
            f"{where}: {f'{path}: ' if path else ''}got {error.got}, expected {error.expected}"
        ) from None


def compiled(schema: Schema | bool, root: Schema) -> Check:
    """A function that raises MismatchError for what `schema`, a part of `root`, does not allow.

    Raises ValueError for a keyword that it would not check.
    """
    if isinstance(schema, bool):
        return _anything if schema else _nothing
    keywords = {"$ref"} if "$ref" in schema else set(_KEYWORDS)
    unknown = set(schema) - _NOTES - keywords
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not checked, expected one of {', '.join(_KEYWORDS)}")
    if "$ref" in schema:
        return compiled(part_of(root, schema["$ref"]), root)
    makers = dict.fromkeys(_KEYWORDS[key] for key in schema if key in _KEYWORDS)
    return _all([make(schema, root) for make in makers])


def _all(checks: Sequence[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> None:
        for each in checks:
            each(value)

    return check


def part_of(root: Schema, reference: str) -> Schema:
    """The part of a schema that a reference as `#/$defs/point` names."""
    found: Schema = root
    for name in filter(None, reference.removeprefix("#/").split("/")):
        found = found[name]
    return found


def _anything(_: Any) -> None:
    pass


def _nothing(value: Any) -> None:
    raise MismatchError(shown(value), "nothing here")


def _type(schema: Schema, _: Schema) -> Check:
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    tests = [_TYPES[name][1] for name in names]
    # A number that must be in a range is said whole, whichever of the two it is not.
    expected = " or ".join(_range_phrase(schema, name) if name in _NUMBERS else _TYPES[name][0] for name in names)
    if len(tests) == 1:
        only = tests[0]

        def check_one(value: Any) -> None:
            if not only(value):
                raise MismatchError(shown(value), expected)

        return check_one

    def check(value: Any) -> None:
        if not any(test(value) for test in tests):
            raise MismatchError(shown(value), expected)

    return check


def _range_phrase(schema: Schema, name: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    phrase = _TYPES[name][0]
    if low is None and high is None:
        return phrase
    return f"{phrase} from {low}" if high is None else f"{phrase} from {low} to {high}"


def _allowed(schema: Schema, _: Schema) -> Check:
    values = schema.get("enum", [schema.get("const")])
    phrase = ", ".join(map(shown, values))
    expected = phrase if len(values) == 1 else f"one of {phrase}"

    def check(value: Any) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            raise MismatchError(shown(value), expected)

    return check


def _range(schema: Schema, _: Schema) -> Check:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    expected = _range_phrase(schema, next(name for name in _NUMBERS if name in schema["type"]))

    def check(value: Any) -> None:
        if type(value) in (int, float) and not low <= value <= high:
            raise MismatchError(shown(value), expected)

    return check


def _pattern(schema: Schema, _: Schema) -> Check:
    search = re.compile(schema["pattern"]).search
    expected = f"text that matches {schema['pattern']}"

    def check(value: Any) -> None:
        if isinstance(value, str) and not search(value):
            raise MismatchError(shown(value), expected)

    return check


def _object(schema: Schema, root: Schema) -> Check:
    required = schema.get("required", ())
    known = {key: compiled(part, root) for key, part in schema.get("properties", {}).items()}
    patterns = [(re.compile(text), compiled(part, root)) for text, part in schema.get("patternProperties", {}).items()]
    other = compiled(schema.get("additionalProperties", True), root)
    found: dict[str, Check] = {}

    def check_of(key: str) -> Check:
        parts = [known[key]] if key in known else []
        parts += [check for pattern, check in patterns if pattern.search(key)]
        joined = _all(parts or [other])
        if len(found) < _MOST_KEYS_KEPT:
            found[key] = joined
        return joined

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            return
        for key in required:
            if key not in value:
                raise MismatchError(f"no key {key}", "it")
        for key, each in value.items():
            try:
                (found.get(key) or check_of(key))(each)
            except MismatchError as error:
                raise error.under(key) from None

    return check


def _array(schema: Schema, root: Schema) -> Check:
    fewest = schema.get("minItems", 0)
    each = compiled(schema.get("items", True), root)

    def check(value: Any) -> None:
        if not isinstance(value, list):
            return
        if len(value) < fewest:
            raise MismatchError(f"an array of {len(value)}", f"at least {fewest}")
        for index, item in enumerate(value):
            try:
                each(item)
            except MismatchError as error:
                raise error.under(index) from None

    return check


# What makes the check of each keyword; keywords of one maker are checked together.
_KEYWORDS: dict[str, Callable[[Schema, Schema], Check]] = {
    "type": _type,
    "const": _allowed,
    "enum": _allowed,
    "minimum": _range,
    "maximum": _range,
    "pattern": _pattern,
    "properties": _object,
    "required": _object,
    "patternProperties": _object,
    "additionalProperties": _object,
    "items": _array,
    "minItems": _array,
}
