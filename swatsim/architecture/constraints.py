"""What a value of an architecture file may be: each constraint checks it and says what it expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# The type of every pydantic error that a constraint raises; its message is the phrase after "expected".
EXPECTED = "expected"


def _expecting(schema: CoreSchema, phrase: str) -> CoreSchema:
    """Replace whatever error `schema` finds by the one phrase."""
    return core_schema.custom_error_schema(schema, EXPECTED, custom_error_message=phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number from `low` to `high`; `null` says what null means where null is allowed."""

    low: int
    high: int
    null: str | None = None

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        alternative = "" if self.null is None else f", or null ({self.null})"
        return f"an integer from {self.low} to {self.high}{alternative}"

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

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        return f"a number from {self.low} to {self.high}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = core_schema.float_schema(ge=self.low, le=self.high, strict=True)
        return _expecting(schema, self.phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the words of a Literal; `words` must be the Literal's own (checked when the model is built)."""

    words: tuple[str, ...]

    @property
    def phrase(self) -> str:
        """What is expected, as it follows "expected" in a message."""
        return f"one of {', '.join(self.words)}" if len(self.words) > 1 else self.words[0]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if get_args(source) != self.words:
            raise TypeError(f"{self.words} are not the words of {source}")
        return _expecting(core_schema.literal_schema(list(self.words)), self.phrase)


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
        alternative = "" if self.null is None else f", or null ({self.null})"
        return f"a list of {count} {self.what}{alternative}"

    def _check(self, value: Any) -> tuple[Any, ...] | None:
        if value is None and self.null is not None:
            return None
        if not isinstance(value, list | tuple) or not self.fewest <= len(value) <= self.most:
            raise PydanticCustomError(EXPECTED, "{phrase}", {"phrase": self.phrase})
        return tuple(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))


Constraint = Integer | Number | Choice | Text | Items


def constraint_of(metadata: Sequence[object]) -> Constraint | None:
    """Find the constraint among the annotations of a model's field; None for a nested mapping."""
    return next((item for item in metadata if isinstance(item, Constraint)), None)
