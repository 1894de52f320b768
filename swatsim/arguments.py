"""What users pass for the numbers of a layer, as the exact integers and fractions that it has."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.errors import LayerError
from swatsim.passes import OPERANDS, PASSES

_DIGITS = "[0-9]{0,1000}"
_NUMBER = re.compile(
    rf"\s*[+-]?({_DIGITS}\.?{_DIGITS}(?<=[0-9.])(e[+-]?[0-9]{{1,3}})?|[0-9]{{1,1000}}/[0-9]{{1,1000}})\s*",
    re.IGNORECASE,
)


def integer(value: Any, where: str) -> int:
    """An integer of Python or numpy; a bool or a float, even a whole one, is a mistake."""
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise LayerError(f"{where}: got {value!r}, expected an integer")


def exact_integers(value: Any, where: str, count: int | None = None) -> tuple[int, ...]:
    """A tuple or list of integers, so many if that is said."""
    if not isinstance(value, (tuple, list)) or count not in (None, len(value)):
        expected = "a tuple of integers" if count is None else f"a tuple of {count} integers"
        raise LayerError(f"{where}: got {value!r}, expected {expected}")
    return tuple(integer(part, where) for part in value)


def pair(value: Any, where: str, *, one_dimensional: bool) -> tuple[int, int]:
    """One integer or two, for height and width; one dimension has (1, s)."""
    values = _integers(value, where)
    if len(values) == 1:
        values = (1, values[0]) if one_dimensional else (values[0], values[0])
    if len(values) != 2:
        raise LayerError(f"{where}: got {value!r}, expected one integer or two")
    return (values[0], values[1])


def sides(value: Any, where: str, *, one_dimensional: bool) -> tuple[int, int, int, int]:
    """Padding as (top, bottom, left, right): of one integer, of two (height and width; left and right), or of four."""
    values = _integers(value, where)
    if len(values) == 4:
        return (values[0], values[1], values[2], values[3])
    if len(values) not in (1, 2):
        raise LayerError(f"{where}: got {value!r}, expected one, two or four integers")
    first, last = values[0], values[-1]
    return (0, 0, first, last) if one_dimensional else (first, first, last, last)


def budget(value: Any, where: str) -> Fraction:
    """A sparsity from 0 to 1, exact: 0.8 is 4/5."""
    fraction = exact_number(value)
    if fraction is None or not 0 <= fraction <= 1:
        raise LayerError(f"{where}: got {value!r}, expected a number from 0 to 1")
    return fraction


def exact_number(value: object) -> Fraction | None:
    """The number as it is written, a ratio too: 0.8 is 4/5, not the float next to it. None: it is no number."""
    if isinstance(value, Fraction):
        return value
    text = str(value)
    # Bounded: Fraction("1e-400000000") is computed for minutes.
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):  # a point alone
        return None


def numbers(value: Any, where: str) -> NDArray[Any]:
    """An array of numbers or booleans."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise LayerError(f"{where}: got rows of different lengths, expected an array") from None
    if array.dtype.kind not in "biufc":
        raise LayerError(f"{where}: got an array of {array.dtype}, expected numbers")
    return array


def by_operand(given: Any, name: str, passes: tuple[str, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Check a mapping pass -> operand -> anything against the passes that a layer makes."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise LayerError(f"{name}: got {given!r}, expected operands by pass, as in {{'forward': {{'weight': ...}}}}")
    for pass_name in given:
        if pass_name not in PASSES:
            raise LayerError(f"{name}: got pass {pass_name!r}, expected one of {', '.join(PASSES)}")
        if pass_name not in passes:
            raise LayerError(f"{name}: got {pass_name}, expected none of it where needs_input_grad is false")
        if not isinstance(given[pass_name], Mapping):
            raise LayerError(f"{name}: {pass_name}: got {given[pass_name]!r}, expected operands by role")
        for role in given[pass_name]:
            if role not in OPERANDS[pass_name]:
                expected = " and ".join(OPERANDS[pass_name])
                raise LayerError(f"{name}: {pass_name}: got operand {role!r}, expected {expected}")
    checked: Mapping[str, Mapping[str, Any]] = given
    return checked


def _integers(value: Any, where: str) -> tuple[int, ...]:
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return tuple(integer(part, where) for part in value)
    return (integer(value, where),)
