"""Text of strangers, such as names of files, as a terminal can show it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST_WORDS, _LONGEST_NAME, _LONGEST_LINE = 300, 400, 2000
_LONG_NAME = rf"\S{{{_LONGEST_NAME + 1},}}"


def printable(text: str) -> str:
    """Escape whatever would break the line or the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def encodable(text: str) -> str:
    """The same with escapes, as in JSON, for what is no text: bytes in a file's name that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def encodable_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table whose texts are all such."""
    return [{key: encodable(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows]


def words_of(error: BaseException) -> str:
    """What another library says, or a server through it, as a part of a message; its type, where it says nothing."""
    return printable((" ".join(str(error).split()) or type(error).__name__)[:_LONGEST_WORDS])


def one_line(text: str) -> str:
    """The same of a whole message, whose long names lack their middle, and which is cut where it is long in all."""
    named = re.sub(_LONG_NAME, lambda match: _shortened(match.group(), _LONGEST_NAME), printable(text))
    return _shortened(named, _LONGEST_LINE)


def _shortened(text: str, longest: int) -> str:
    """What an error is about stands at the beginning of its line, and what was expected at the end."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[-tail:]}"
