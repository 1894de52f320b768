"""Hypothesis profiles: `ci` repeats the same examples everywhere, `nightly` looks further (HYPOTHESIS_PROFILE).

`mutation` is `ci` that ends at the first failure, without a search for its smallest example.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

# The first example compiles the kernels, so neither a deadline nor a slow start says anything about the code.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

_CI = {"derandomize": True, "max_examples": 120, "database": None, **_COMMON}
settings.register_profile("ci", **_CI)
_FIRST = {"phases": (Phase.explicit, Phase.generate), "report_multiple_bugs": False}
settings.register_profile("mutation", **_CI, **_FIRST)
settings.register_profile("nightly", max_examples=5000, print_blob=True, **_COMMON)
# Of benchmarks/differential.py, which gives the seed and the number.
_DRAWN = {"max_examples": int(os.environ.get("SWATSIM_EXAMPLES", "1000")), "database": None, "print_blob": True}
settings.register_profile("differential", **_DRAWN, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Files with tests of a minute and more: begun first, they do not leave one worker at work alone at the end.
_LONG = (
    "test_kernels_settings.py", "test_startup.py", "test_sweeping.py", "test_sampling.py", "test_sweeping_dask.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_runtest_setup(item):
    for mark in item.iter_markers("extra"):
        for module in mark.args:
            pytest.importorskip(module, reason=f"needs {module}, which an extra installs")
