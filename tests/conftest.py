"""Hypothesis profiles: `ci` repeats the same examples everywhere, `nightly` looks further (HYPOTHESIS_PROFILE).

`mutation` is `ci` that ends at the first failure, without a search for its smallest example.
"""

import gc
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import none

# The first example compiles the kernels, so neither a deadline nor a slow start says anything about the code.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

_CI = {"derandomize": True, "max_examples": 120, "database": None, **_COMMON}
settings.register_profile("ci", **_CI)
# Of tests/test_kernels_settings.py, which repeats cases that the suite has compared already: the first half of them.
settings.register_profile("again", **_CI | {"max_examples": 60})
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


# Why tests may be skipped where every extra is installed.
_MAY_BE_SKIPPED = ("needs a CUDA device", "nothing is forked")
_UNEXPECTED = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped, but for a few reasons")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of xdist has none: the process that started it is told of its tests.
    if reporter is None or not session.config.getoption("--no-skips"):
        return
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", ())]
    found = sorted({reason for reason in reasons if not any(known in reason for known in _MAY_BE_SKIPPED)})
    session.config.stash[_UNEXPECTED] = found
    if found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for reason in config.stash.get(_UNEXPECTED, []):
        terminalreporter.write_line(f"--no-skips: a test is skipped: {reason}", red=True)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_runtest_setup(item):
    for mark in item.iter_markers("extra"):
        for module in mark.args:
            pytest.importorskip(module, reason=f"needs {module}, which an extra installs")


def pytest_collection_finish():
    # Hypothesis asks once, at its first test, who holds its random numbers: it would not find one that is frozen.
    given(none())(lambda _: None)()
    # The tests themselves live until the end: neither a collection of garbage nor a forked process looks at them.
    gc.collect()
    gc.freeze()


@pytest.fixture
def forking():
    """Where work is forked; asked when a test begins: tests before it may have left threads of a library."""
    from swatsim.apart import may_fork

    if not may_fork():
        pytest.skip("nothing is forked on this system, or beside other threads")
