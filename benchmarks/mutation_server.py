"""Runs tests in a copy of the checkout, one process for each mutant, forked where all that tests import is loaded.

python -m benchmarks.mutation starts it; standard input has one JSON object a line, and so has standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

MEMORY_BYTES = 8 << 30
LOOK_S = 0.02
# Plugins that are loaded before pytest begins.
REWRITTEN = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]


def load_packages() -> None:
    """Import what tests need, but for swatsim itself, which is another one for each mutant."""
    import hypothesis.extra.numpy
    import hypothesis.strategies
    import jsonschema
    import numba.core.registry
    import numpy as np
    import pandas as pd
    import pydantic
    import pytest
    import rich.table
    import yaml

    loaded = (hypothesis, jsonschema, numba, np, pd, pydantic, pytest, rich, yaml)
    assert all(loaded)
    assert not any(name.split(".")[0] == "swatsim" for name in sys.modules)


def run_tests(folder: Path, tests: list[str], cpu_s: int, output: Path) -> int:
    """In the forked process: pytest's exit code."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    os.chdir(folder)
    import pytest

    options = ["-x", "-q", "--tb=line", "-n", "0", "-p", "no:cacheprovider", "-p", "no:benchmark", *REWRITTEN]
    return int(pytest.main([*options, *tests]))


def wait(process: int, seconds: float) -> tuple[int | None, float]:
    """The process's exit code, or None where it was stopped after `seconds`, and its processor time."""
    # Looks are counted, and not the clock, which goes on while a machine or both processes are held.
    for _ in range(int(seconds / LOOK_S) + 1):
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code in {-signal.SIGXCPU, -signal.SIGKILL} else code, usage.ru_utime + usage.ru_stime
        time.sleep(LOOK_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    _, _, usage = os.wait4(process, 0)
    return None, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Answer the jobs of standard input in turn."""
    load_packages()
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    for line in sys.stdin:
        job = json.loads(line)
        process = os.fork()
        if not process:
            os.setpgid(0, 0)
            code = 70
            try:
                code = run_tests(folder, job["tests"], job["cpu_s"], output)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        code, seconds = wait(process, job["wall_s"])
        # What tests themselves started goes with them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        said = output.read_text(errors="replace")
        print(json.dumps({"code": code, "cpu_s": seconds, "said": said[-1500:]}), flush=True)


if __name__ == "__main__":
    main()
