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


@pytest.mark.skipif(INSIDE in os.environ, reason="already inside of such a run")
@pytest.mark.parametrize("setting", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_kernels_with(setting):
    """Uncompiled, Python's own rules hold; with bounds checked, a wild index is an error and not a wrong number."""
    assert len(FILES) >= 5
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NUMBA_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES]
    result = subprocess.run(
        command, env=environment | {setting: "1", INSIDE: "1"}, cwd=HERE.parent.parent, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
