"""A pytest plugin that counts the random cases of each test, into the file that COUNTED_EXAMPLES names."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path

import pytest

_counts: Counter[str] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the calls of what Hypothesis calls with each case."""
    wrapped = set()
    for item in items:
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        if handle is not None and id(handle) not in wrapped:
            wrapped.add(id(handle))
            handle.inner_test = _counted(handle.inner_test, item.nodeid.partition("[")[0])


def _counted(test, name):
    @functools.wraps(test)
    def called(*arguments, **named):
        _counts[name] += 1
        return test(*arguments, **named)

    return called


def pytest_sessionfinish() -> None:
    """Write the counts."""
    Path(os.environ["COUNTED_EXAMPLES"]).write_text(json.dumps(_counts), encoding="utf-8")
