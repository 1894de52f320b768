"""JSON from strangers: parsed strictly, and read through nodes that know where they are."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

from swatsim.errors import TraceError
from swatsim.layer import CONTROL
from swatsim.trace.records import MOST_DIMENSIONS

_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FRACTION = re.compile(r"(?:0|1|0\.[0-9]{1,30}|[0-9]{1,1000}/[1-9][0-9]{0,999})")
# Possessive: a match keeps nothing to go back to, for megabytes of text.
_SCALARS = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?(?:Infinity|NaN|[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+)', re.DOTALL
)
_LONGEST_SHOWN = 80
_MOST_DIGITS = 20


def parse_json(data: bytes, where: str, *, largest: float = sys.float_info.max) -> Any:
    """Parse UTF-8 JSON; duplicate keys, NaN, numbers beyond `largest` and deep nesting are errors.

    Raises TraceError.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(f"{where}: got byte {data[error.start]:#04x} at {error.start}, expected UTF-8") from None

    def fail(got: str) -> NoReturn:
        raise TraceError(f"{where}: got {got}")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            fail(f"key {shown(twice)} twice in an object, expected it once")
        return found

    def fail_at(number: str, got: str) -> NoReturn:
        start = _place(text, number)
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        raise TraceError(f"{where}:{line}:{column}: got {got}")

    def integer(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            fail_at(digits, f"an integer of {len(digits)} digits, expected at most {_MOST_DIGITS}")
        return int(digits)

    def real(digits: str) -> float:
        found = float(digits)
        if abs(found) > largest:
            fail_at(digits, f"{_short(digits)}, expected a number of at most {largest:.2g}")
        return found

    def constant(word: str) -> NoReturn:
        fail_at(word, f"{word}, expected JSON, which has no such number")

    try:
        return json.loads(text, object_pairs_hook=members, parse_int=integer, parse_float=real, parse_constant=constant)
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise TraceError(f"{place}: got text that is not JSON: {error.msg}, expected JSON") from None
    except RecursionError:
        raise TraceError(f"{where}: got values nested too deep to read, expected at most 8 levels") from None


def _place(text: str, number: str) -> int:
    """Where the first such number, or word that stands for one, is outside of strings; what is before it is JSON."""
    return next(
        found.start()
        for found in _SCALARS.finditer(text)
        if found.end() - found.start() == len(number) and text.startswith(number, found.start())
    )


def shown(value: Any) -> str:
    """A value as one short line of JSON."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "a value nested too deep"
    except (TypeError, ValueError):  # of Python's own
        text = repr(value)
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and where it stands, such as `layers[3].stride` in a file.

    Every method checks the value's type and range, and raises TraceError where it does not fit.
    """

    value: Any
    source: str
    path: str = ""

    def fail(self, expected: str, *, got: str | None = None) -> NoReturn:
        """Raise the one-line error of this value."""
        where = f"{self.source}: {self.path}" if self.path else self.source
        raise TraceError(f"{where}: got {shown(self.value) if got is None else got}, expected {expected}")

    def object(self) -> dict[str, Any]:
        """Require an object."""
        if not isinstance(self.value, dict):
            self.fail("an object")
        return self.value

    def members(self, keys: Sequence[str]) -> dict[str, Node]:
        """Require an object with exactly these keys."""
        found = self.object()
        for key in found:
            if key not in keys:
                self.fail(f"only {', '.join(keys)}", got=f"key {shown(key)}")
        for key in keys:
            if key not in found:
                self.fail(f"all of {', '.join(keys)}", got=f"no {key}")
        return {key: self.member(key) for key in keys}

    def member(self, key: str) -> Node:
        """Give one member of an object that is known to have it."""
        return Node(self.value[key], self.source, f"{self.path}.{key}" if self.path else key)

    def entries(self, most: int | None = None) -> Iterator[tuple[str, Node]]:
        """Require an object; give its members, whatever their keys."""
        found = self.object()
        if most is not None and len(found) > most:
            self.fail(f"at most {most}", got=f"{len(found)} keys")
        for key, value in found.items():
            yield key, Node(value, self.source, f"{self.path}[{shown(key)}]")

    def items(self, most: int | None = None) -> Iterator[Node]:
        """Require an array; give its elements."""
        if not isinstance(self.value, list):
            self.fail("an array")
        if most is not None and len(self.value) > most:
            self.fail(f"at most {most}", got=f"{len(self.value)} elements")
        for index, value in enumerate(self.value):
            yield Node(value, self.source, f"{self.path}[{index}]")

    def text(self, longest: int | None = None, *, lines: bool = False, empty: bool = True) -> str:
        """Require a string without control characters (`lines`: but line breaks and tabs)."""
        if not isinstance(self.value, str) or (not self.value and not empty):
            self.fail("a string" if empty else "a string that is not empty")
        if longest is not None and len(self.value) > longest:
            self.fail(f"at most {longest} characters", got=f"a string of {len(self.value)}")
        if (_CONTROL_IN_LINES if lines else CONTROL).search(self.value):
            self.fail("no control characters")
        return self.value

    def boolean(self) -> bool:
        """Require true or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return self.value

    def integer(self, lowest: int, highest: int) -> int:
        """Require an integer in a range; true and 1.0 are not integers."""
        if type(self.value) is not int or not lowest <= self.value <= highest:
            self.fail(f"an integer from {lowest} to {highest}")
        return self.value

    def integers(self, lowest: int, highest: int, count: int) -> tuple[int, ...]:
        """Require an array of `count` integers in a range."""
        if not isinstance(self.value, list) or len(self.value) != count or not _in_range(self.value, lowest, highest):
            self.fail(f"{ {2: 'two', 4: 'four'}.get(count, count) } integers from {lowest} to {highest}")
        return tuple(self.value)

    def shape(self, lowest: int, highest: int) -> tuple[int, ...]:
        """Require an array of any few integers in a range."""
        if not isinstance(self.value, list) or len(self.value) > MOST_DIMENSIONS:
            self.fail(f"an array of at most {MOST_DIMENSIONS} integers")
        if not _in_range(self.value, lowest, highest):
            self.fail(f"integers from {lowest} to {highest}")
        return tuple(self.value)

    def fraction(self) -> Fraction:
        """Require a string such as "0.8" or "1/3" whose value is between 0 and 1."""
        written = isinstance(self.value, str) and _FRACTION.fullmatch(self.value)
        if not written or Fraction(self.value) > 1:
            self.fail('a string such as "0.8" or "1/3", from 0 to 1')
        return Fraction(self.value)

    @property
    def absent(self) -> bool:
        """Whether the value is null."""
        return self.value is None


def _in_range(values: list[Any], lowest: int, highest: int) -> bool:
    return all(type(number) is int and lowest <= number <= highest for number in values)


def fraction_text(value: Fraction) -> str:
    """The exact text of a fraction: a decimal of up to 30 places where there is one, or a ratio."""
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    places = max(twos, fives)
    if rest != 1 or places > 30 or not 0 <= value <= 1:
        return f"{value.numerator}/{value.denominator}"
    if places == 0:
        return str(value.numerator)
    scaled = value.numerator * 10**places // value.denominator
    return f"0.{scaled:0{places}d}"
