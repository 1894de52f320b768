"""What a value of an architecture file may be: each constraint checks it and says what it expects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# The type of every pydantic error that a constraint raises; its message is the phrase after "expected".
EXPECTED = "expected"
# The same, where a key is wrong rather than its value.
BAD_NAME = "bad_name"


def _expecting(schema: CoreSchema, phrase: str) -> CoreSchema:
    """Replace whatever error `schema` finds by the one phrase."""
    return core_schema.custom_error_schema(schema, EXPECTED, custom_error_message=phrase)


def _alternative(null: str | None) -> str:
    return "" if null is None else f", or null ({null})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number from `low` to `high`; `null` says what null means where null is allowed."""

    low: int
    high: int
    null: str | None = None

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        return f"an integer from {self.low} to {self.high}" + _alternative(self.null)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = core_schema.int_schema(ge=self.low, le=self.high, strict=True)
        if self.null is not None:
            schema = core_schema.nullable_schema(schema)
        return _expecting(schema, self.phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number (never infinite or NaN) from `low` to `high`, with or without a fraction."""

    low: int
    high: int
    null: str | None = None

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        return f"a number from {self.low} to {self.high}" + _alternative(self.null)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = core_schema.float_schema(ge=self.low, le=self.high, strict=True)
        if self.null is not None:
            schema = core_schema.nullable_schema(schema)
        return _expecting(schema, self.phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the words of a Literal; `words` must be the Literal's own (checked when the model is built)."""

    words: tuple[str, ...]
    null: str | None = None

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        words = f"one of {', '.join(self.words)}" if len(self.words) > 1 else self.words[0]
        return words + _alternative(self.null)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        literal = source if self.null is None else get_args(source)[0]
        if get_args(literal) != self.words:
            raise TypeError(f"{self.words} are not the words of {source}")
        schema: CoreSchema = core_schema.literal_schema(list(self.words))
        if self.null is not None:
            schema = core_schema.nullable_schema(schema)
        return _expecting(schema, self.phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text of at most `longest` characters; `one_line` text has no line break and is not blank."""

    longest: int
    one_line: bool

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        kind = "one line of text" if self.one_line else "text"
        return f"{kind} of at most {self.longest} characters (in quotes if it looks like a number)"

    def _check(self, text: str) -> str:
        if self.one_line and (not text.strip() or not text.isprintable()):
            raise PydanticCustomError(EXPECTED, "one line")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.str_schema(max_length=self.longest, strict=True)
        return _expecting(core_schema.no_info_after_validator_function(self._check, inner), self.phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list of `fewest` to `most` items, read into a tuple; each item has a constraint of its own."""

    what: str
    fewest: int
    most: int
    null: str | None = None

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        count = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
        return f"a list of {count} {self.what}" + _alternative(self.null)

    def _check(self, value: Any) -> tuple[Any, ...] | None:
        if value is None and self.null is not None:
            return None
        if not isinstance(value, list | tuple) or not self.fewest <= len(value) <= self.most:
            raise PydanticCustomError(EXPECTED, "{phrase}", {"phrase": self.phrase})
        return tuple(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A mapping whose keys are names of the file's own choice, each to a mapping of the same fixed keys.

    How many there are is a matter for the rules: to count them here would hide the errors inside of them.
    """

    one: str
    what: str
    fewest: int
    most: int
    reserved: tuple[str, ...]

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        return f"a mapping of {self.count}"

    @property
    def count(self) -> str:
        """How many there are to be."""
        return f"{self.fewest} to {self.most} {self.what}"

    @property
    def name_phrase(self) -> str:
        """What is expected of a name."""
        return (
            f"a name of at most {_LONGEST_NAME} small letters, digits and _, a letter first, "
            f"and none of {', '.join(self.reserved)}"
        )

    def _check(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise PydanticCustomError(EXPECTED, "{phrase}", {"phrase": self.phrase})
        return value

    def _check_name(self, name: str) -> str:
        if not _NAME.fullmatch(name) or name in self.reserved:
            raise PydanticCustomError(BAD_NAME, "{phrase}", {"phrase": self.name_phrase})
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        names = core_schema.no_info_after_validator_function(self._check_name, core_schema.str_schema(strict=True))
        schema = core_schema.dict_schema(names, handler.generate_schema(get_args(source)[1]))
        return core_schema.no_info_before_validator_function(self._check, schema)


_LONGEST_NAME = 32
NAME_PATTERN = f"[a-z][a-z0-9_]{{0,{_LONGEST_NAME - 1}}}"
_NAME = re.compile(NAME_PATTERN, re.ASCII)

Constraint = Integer | Number | Choice | Text | Items


def constraint_of(metadata: Sequence[object]) -> Constraint | None:
    """Find the constraint among the annotations of a model's field; None for a nested mapping."""
    return next((item for item in metadata if isinstance(item, Constraint)), None)
