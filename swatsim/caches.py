"""Results of functions that are kept for the next call, all of them within bounded room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Of all functions together. An image of ResNet-50 makes about 20 MB; each layer of many images may make more.
MOST_KEPT_BYTES = 32 << 20
# That an entry takes besides its arrays, about.
_ENTRY_BYTES = 1 << 10
# Most of what keys and results consist of.
_WITHOUT_ARRAYS = frozenset({bool, int, str, type(None)})


class _Kept(NamedTuple):
    value: Any
    size_bytes: int


class _Room:
    """What all functions have kept, the longest unused first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.entries: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self.used_bytes = 0

    def keep(self, key: tuple[object, ...], value: object) -> None:
        """Keep one more, and drop what has been unused for longest: what is in use lives on where it is used."""
        # What a key is recognised by lives as long as the entry.
        kept = _Kept(value, array_bytes(value) + array_bytes(key) + _ENTRY_BYTES)
        with self.lock:
            self._drop(key)
            self.entries[key] = kept
            self.used_bytes += kept.size_bytes
            while self.used_bytes > MOST_KEPT_BYTES and len(self.entries) > 1:
                self._drop(next(iter(self.entries)))

    def forget(self, function: object) -> None:
        """Drop all that one function has kept."""
        with self.lock:
            for key in [key for key in self.entries if key[0] is function]:
                self._drop(key)

    def _drop(self, key: tuple[object, ...]) -> None:
        kept = self.entries.pop(key, None)
        if kept is not None:
            self.used_bytes -= kept.size_bytes


_room = _Room()


class CacheInfo(NamedTuple):
    """As that of `functools.lru_cache`."""

    hits: int
    misses: int


class bounded_cache(Generic[Given, Result]):  # noqa: N801  a decorator
    """As `functools.lru_cache`, for results whose arrays grow with images: bounded by bytes, not by their number."""

    __name__: str

    def __init__(self, function: Callable[Given, Result]) -> None:
        """Decorate a pure function; its arguments are hashable, and its result is never changed."""
        self._function = function
        self._hits = self._misses = 0
        update_wrapper(self, function)

    def __call__(self, *given: Given.args, **keywords: Given.kwargs) -> Result:
        """Give the kept result, or make it and keep it."""
        key = (self, *given, *keywords.items())
        with _room.lock:
            kept = _room.entries.get(key)
            if kept is not None:
                _room.entries.move_to_end(key)
                self._hits += 1
                found: Result = kept.value
                return found
            self._misses += 1
        made = self._function(*given, **keywords)
        _room.keep(key, made)
        return made

    def cache_info(self) -> CacheInfo:
        """How often a result was there, and was not."""
        return CacheInfo(self._hits, self._misses)

    def cache_parameters(self) -> dict[str, int]:
        """As that of `functools.lru_cache`, the bytes that all caches share."""
        return {"maxsize": MOST_KEPT_BYTES}

    def cache_clear(self) -> None:
        """Drop what is kept, and count from 0 again."""
        _room.forget(self)
        self._hits = self._misses = 0


def array_bytes(value: object) -> int:
    """Bytes of the arrays in a value: an array, or a tuple or dataclass of such values."""
    if type(value) in _WITHOUT_ARRAYS:
        return 0
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(map(array_bytes, value))
    names = getattr(type(value), "__dataclass_fields__", ())
    return sum(array_bytes(getattr(value, name)) for name in names)
