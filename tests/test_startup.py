"""What a command imports before it does its work, and what it leaves alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import numba
import pytest
from trace_files import small_trace

from swatsim.datapaths import datapaths

HEAVY = {
    "dataclasses", "fractions", "json", "llvmlite", "multiprocessing", "numba", "numpy", "pandas", "pydantic", "rich",
    "secrets", "yaml", "zstandard",
}  # fmt: skip


def modules_after(code, **environment):
    """Names of the modules that a new interpreter has imported once it has run `code`."""
    code = f"{textwrap.dedent(code)}\nimport sys; print('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES ")[2].split())


def after_command(*arguments):
    """The same of a command."""
    return modules_after(f"from swatsim.cli import cli; cli.main({list(arguments)!r}, standalone_mode=False)")


@pytest.fixture(scope="module")
def after_run(trace):
    subprocess.run([sys.executable, "-m", "swatsim", "warmup", "--arch", "systolic"], check=False, capture_output=True)
    return after_command("run", "--arch", "systolic", "--trace", str(trace), "--layers", "last")


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("startup") / "trace")


COMMANDS = (
    "run", "trace", "compare", "explain", "warmup", "check", "completion", "diff", "doctor", "list", "schema", "plot",
    "report", "sweep", "explore",
)  # fmt: skip


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_imports_nothing_heavy(command):
    found = after_command(*command, "--help")
    assert not found & HEAVY
    assert not {name for name in found if name.startswith("swatsim.")} & {"swatsim.architecture", "swatsim.trace"}


def test_a_run_needs_no_pandas_and_no_processes(after_run):
    assert not after_run & {
        "concurrent.futures.process", "multiprocessing.pool", "numpy.ma", "pandas", "swatsim.warmup"
    }  # fmt: skip


def test_a_run_that_draws_no_page_needs_no_charts(after_run):
    assert not {name for name in after_run if name.startswith(("swatsim.charts", "swatsim.pages.p", "matplotlib"))}


def test_a_run_imports_the_datapath_of_its_machine_alone(after_run):
    found = {kind for kind in datapaths() if f"swatsim.datapaths.{kind}" in after_run}
    assert found == {"systolic"}


def test_a_run_that_draws_no_table_needs_no_rich(trace):
    found = after_command("run", "--arch", "systolic", "--trace", str(trace), "--layers", "last", "--csv", "-")
    assert "numba" in found
    assert "rich" not in found


def test_a_datapath_is_found_by_its_name():
    assert {kind: datapath.KIND for kind, datapath in datapaths().items()} == {kind: kind for kind in datapaths()}
    with pytest.raises(KeyError):
        datapaths()["__init__"]


# Imported only when numba is about to compile something.
COMPILER = "numba.misc.cffiimpl"
compiles = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")


@compiles
def test_a_cached_kernel_is_loaded_without_what_numba_compiles_with(tmp_path):
    load = """
    import numpy as np
    from swatsim.kernels.bits import count_ones
    from swatsim.kernels.streams import unite_rows
    assert count_ones(np.uint64(7)) == 3
    """
    assert COMPILER in modules_after(load, SWATSIM_CACHE_DIR=str(tmp_path))
    assert COMPILER not in modules_after(load, SWATSIM_CACHE_DIR=str(tmp_path))
    compile_next = (
        load
        + """
    united = np.zeros((1, 1), np.uint64)
    unite_rows(np.array([[1], [2]], np.uint64), 2, united)
    assert united[0, 0] == 3
    """
    )
    assert COMPILER in modules_after(compile_next, SWATSIM_CACHE_DIR=str(tmp_path))


@compiles
def test_masked_arrays_are_refused_without_their_import_for_other_arrays(tmp_path):
    plain = """
    import numba
    import numpy as np
    import swatsim.kernels.compile
    assert numba.njit(lambda array: array[0])(np.array([[3], [4]])[:, 0]) == 3
    """
    masked = """
    try:
        numba.njit(lambda array: array[0])(np.ma.array([1.0, 2.0], mask=[0, 1]))
    except numba.TypingError as error:
        assert "MaskedArray" in str(error)
    else:
        raise AssertionError("taken as it is")
    """
    assert "numpy.ma" not in modules_after(plain, SWATSIM_CACHE_DIR=str(tmp_path))
    assert "numpy.ma" in modules_after(plain + masked, SWATSIM_CACHE_DIR=str(tmp_path))


@compiles
def test_processes_that_need_the_same_kernel_compile_it_once(tmp_path):
    begin = tmp_path / "begin"
    code = f"""
    import pathlib, time
    import numpy as np
    from swatsim.kernels.streams import unite_rows
    print("ready", flush=True)
    while not pathlib.Path({str(begin)!r}).exists():
        time.sleep(0.001)
    unite_rows(np.array([[1], [2]], np.uint64), 2, np.zeros((1, 1), np.uint64))
    print(sum(unite_rows.stats.cache_misses.values()))
    """
    environment = {**os.environ, "SWATSIM_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other,
    ):
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        begin.touch()
        assert sorted(process.communicate()[0] for process in (one, other)) == ["0\n", "1\n"]


@compiles
def test_what_another_process_compiles_is_interpreted_meanwhile(tmp_path):
    code = """
    import fcntl, os
    import numpy as np
    from swatsim.kernels import compile as kernel_compile
    from swatsim.kernels.search import next_candidate, CANDIDATE_COLUMNS
    found = np.zeros((2, CANDIDATE_COLUMNS), np.int64)
    lock = os.open(kernel_compile.cache_folder() / "swatsim.kernels.search.next_candidate.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with kernel_compile.interpreting():
        assert next_candidate(found, 0) == 0
    assert not next_candidate.signatures
    os.close(lock)
    with kernel_compile.interpreting():
        assert next_candidate(found, 0) == 0
    assert len(next_candidate.signatures) == 1
    """
    modules_after(code, SWATSIM_CACHE_DIR=str(tmp_path))


def warm_up(folder, workers):
    """(kernels compiled, processes) of a warm-up, and the names of what is in the cache then, a name for each type."""
    environment = {**os.environ, "SWATSIM_CACHE_DIR": str(folder)}
    command = [sys.executable, "-m", "swatsim", "warmup", "--arch", "systolic", "--workers", str(workers)]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    told = re.fullmatch(
        r"(\d+) kernels compiled for 1 machine in [\d.]+ s by (\d+) process(?:es)?\.\n(\d+) kernels are kept in .*\n",
        done.stdout,
    )
    kept = {file.name for file in folder.rglob("*.nbc")}
    assert int(told[3]) == len(kept)
    return (int(told[1]), int(told[2])), kept


@compiles
def test_after_a_warm_up_by_processes_that_leave_kernels_to_one_another_nothing_is_compiled(trace, tmp_path):
    (compiled, processes), kept = warm_up(tmp_path, 3)
    assert (compiled, processes) == (len(kept), 3)
    assert compiled > 20
    # Nor does one that does all the work itself.
    assert warm_up(tmp_path, 1) == ((0, 1), kept)
    command = ["run", "--arch", "systolic", "--trace", str(trace)]
    code = f"from swatsim.cli import cli; cli.main({command!r}, standalone_mode=False)"
    assert COMPILER not in modules_after(code, SWATSIM_CACHE_DIR=str(tmp_path))


@pytest.mark.parametrize("setting", [{"SWATSIM_CACHE_DIR": "/dev/null"}, {"NUMBA_DISABLE_JIT": "1"}])
def test_a_warm_up_needs_a_cache(setting):
    done = subprocess.run(
        [sys.executable, "-m", "swatsim", "warmup"],
        check=False,
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"\S+: compiled kernels are not kept there, expected .*\n", done.stderr)


def test_a_user_without_a_home_keeps_nothing():
    code = """
    import os
    os.path.expanduser = lambda path: path
    from swatsim.files import cache_root
    from swatsim.kernels.compile import is_cached
    assert str(cache_root()) == "/dev/null/swatsim"
    assert not is_cached()
    os.environ["SWATSIM_CACHE_DIR"] = "~none/cache"
    assert str(cache_root()) == "~none/cache/swatsim"
    """
    modules_after(code, SWATSIM_CACHE_DIR="", XDG_CACHE_HOME="")


@compiles
def test_a_warm_up_says_what_was_not_kept(tmp_path):
    code = """
    import errno
    from pathlib import Path
    from swatsim.architecture import load_architecture
    from swatsim.errors import SwatsimError
    from swatsim.kernels.cache_files import CacheFiles
    from swatsim.warmup import warm_up

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    CacheFiles.unsaved = OSError(errno.EIO, "of an earlier one")
    write, machines = Path.write_bytes, {"systolic": load_architecture("systolic")}
    Path.write_bytes = lambda path, data: full(path, data) if ".count_ones" in path.name else write(path, data)
    try:
        warm_up(machines, workers=1)
    except SwatsimError as error:
        assert str(error).endswith(": cannot be written: No space left on device"), error
    else:
        raise AssertionError("a full disk was not noticed")
    """
    modules_after(code, SWATSIM_CACHE_DIR=str(tmp_path))
