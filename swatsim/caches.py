"""Results of functions that are kept for the next call, in bounded room (docs/model.md says what is computed once)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import _lru_cache_wrapper, lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Of all functions together. One image of ResNet-50 makes 15 MB; of many images each layer makes more than that.
MOST_KEPT_BYTES = 32 << 20


class _Room:
    """What has been put into the caches since they were empty."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.caches: list[_lru_cache_wrapper[object]] = []
        self.used_bytes = 0

    def make(self, size_bytes: int) -> None:
        """Empty all caches where so many bytes more are too many: what is in use lives on where it is used."""
        with self.lock:
            self.used_bytes += size_bytes
            if self.used_bytes > MOST_KEPT_BYTES:
                for cache in self.caches:
                    cache.cache_clear()
                self.used_bytes = size_bytes


_room = _Room()


def bounded_cache(most: int) -> Callable[[Callable[Given, Result]], _lru_cache_wrapper[Result]]:
    """As `lru_cache(maxsize=most)`, for results of arrays that grow with images: they are kept while all have room."""

    def keep(function: Callable[Given, Result]) -> _lru_cache_wrapper[Result]:
        @wraps(function)
        def make(*given: Given.args, **keywords: Given.kwargs) -> Result:
            found = function(*given, **keywords)
            _room.make(array_bytes(found))
            return found

        cache = lru_cache(maxsize=most)(make)
        _room.caches.append(cache)
        return cache

    return keep


def array_bytes(value: object) -> int:
    """Bytes of the arrays in a value: an array, or a tuple or dataclass of such values."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(map(array_bytes, value))
    if is_dataclass(value):
        return sum(array_bytes(getattr(value, field.name)) for field in fields(value))
    return 0
