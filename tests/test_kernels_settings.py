"""The kernel tests once more, uncompiled and with bounds checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__)
FILES = sorted(str(path) for path in HERE.parent.glob("test_kernels_*.py") if path != HERE)
INSIDE = "SWATSIM_KERNEL_SETTINGS_TEST"
SETTINGS = {
    "uncompiled": {"NUMBA_DISABLE_JIT": "1"},
    # Compiled anew: with what is quickest to compile. Bounds are checked whatever is optimized after that.
    "bounds checked": {"NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "1"},
}
# Each is a test of its own, so that pytest's workers share them.
PARTS = 2


@pytest.mark.skipif(INSIDE in os.environ, reason="already inside of such a run")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("setting", SETTINGS)
def test_kernels_with(setting, part):
    """Uncompiled, Python's own rules hold; with bounds checked, a wild index is an error and not a wrong number."""
    assert len(FILES) >= 5
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NUMBA_"))}
    environment = {"HYPOTHESIS_PROFILE": "again"} | environment | SETTINGS[setting] | {INSIDE: "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES[part::PARTS]]
    result = subprocess.run(
        command, env=environment, cwd=HERE.parent.parent, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
