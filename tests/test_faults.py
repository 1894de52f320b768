"""Kills, full disks, and processes at the same work: outputs are whole, as they were, or absent."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import numpy as np
import pytest
from command_line import environment, in_process, swatsim
from interrupted_steps import DONE, KILLED, REFUSED, at_each_step, content, named
from trace_files import small_layers, small_trace, write_trace

import swatsim as package
from swatsim import files
from swatsim.errors import SwatsimError, TraceError
from swatsim.sweeping.store import Store


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("traces") / "small")


def run_of(trace, *more):
    return ("run", "--arch", "dadiannao", "--trace", trace, *more)


def write_file(path):
    files.write_file(path, b"new" * 1000)


def write_directory(path):
    with files.whole_directory(path, overwrite=True) as folder:
        (folder / "inner").mkdir()
        for name in ("a", "inner/b"):
            (folder / name).write_bytes(b"new")


def write_small_trace(path):
    write_trace(path, [small_layers()[2]], graph=[], overwrite=True)


def write_point(path):
    Store(path.parent).write({"key": path.stem, "parameters": {}, "totals": [], "error": None})


WRITERS = {"file": write_file, "directory": write_directory, "trace": write_small_trace, "point.json": write_point}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """(what writes it, where, what was there before, what stands there when it is done)."""
    write, path = WRITERS[request.param], tmp_path / "folder" / request.param
    path.parent.mkdir()
    write(path)
    whole = content(path)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return partial(write, path), path, whole


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_at_each_step_it_is_whole_or_as_it_was(written, earlier):
    write, path, whole = written
    if earlier:
        write()
        (path / "earlier" if path.is_dir() else path).write_bytes(b"earlier")
    before, codes = content(path), []
    for code in at_each_step(write):
        codes.append(code)
        found = content(path)
        assert found in (before, whole), (len(codes), found)
        assert named(path.parent) <= {path.name}
        if found == whole != before and code != DONE:
            break  # what comes after it has its name changes nothing but hidden names
    assert len(codes) >= 4
    assert set(codes) <= {KILLED, DONE}
    write()
    assert content(path) == whole


@pytest.mark.parametrize("earlier", [False, True])
def test_a_disk_that_is_full_at_any_step_is_refused_and_leaves_nothing(written, earlier):
    write, path, whole = written
    if earlier:
        write()
    before, codes = content(path), []
    for code in at_each_step(write, (SwatsimError, OSError), full=True):
        codes.append(code)
        assert content(path) in (before, whole)
        assert [each.name for each in path.parent.iterdir()] in ([], [path.name])  # nothing hidden either
        if not earlier and code == REFUSED and path.exists():  # only that it is on the disk was not certain
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(codes) >= 4
    assert set(codes) == {REFUSED, DONE}
    assert content(path) == whole


# Some versions of Python would leave half of it on a full disk.
WITHOUT_BYTECODE = environment(PYTHONDONTWRITEBYTECODE="1")


def limit_files(most_bytes):
    """For a new process: no file of more bytes can be written, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.parametrize("output", ["--json", "--scalesim-reports"])
def test_a_command_on_a_full_disk(trace, tmp_path, output):
    target = tmp_path / "out"
    result = swatsim(*run_of(trace, output, target), preexec_fn=partial(limit_files, 300), env=WITHOUT_BYTECODE)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == f"{target}: cannot be written: File too large\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["/proc/out", "/dev/null/out", "/sys/out"])
def test_a_folder_that_takes_no_files(trace, capsys, where):
    """Not even those of the user who may do everything."""
    code, out, err = in_process(capsys, *run_of(trace, "--layers", "last", "--json", where))
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"{where}: cannot be written: [\w ]+\n", err)
    code, _, err = in_process(capsys, "sweep", "--arch", "dadiannao", "--trace", trace, "-o", where)
    assert code == 2
    assert re.fullmatch(rf"{where}: cannot be written: [\w ]+\n", err)


def test_what_no_step_expects_is_one_line_too(trace, capsys, monkeypatch):
    """No more processes, or open files."""

    def fail(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("swatsim.simulation.simulate", fail)
    found = in_process(capsys, *run_of(trace))
    assert found == (2, "", "system: got an error (Resource temporarily unavailable), expected none\n")


# ------------------------------------------------------------------------------------------------- the same at once

ONE_OF_TWO = """
import sys
from pathlib import Path
from swatsim import files
path, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for number in range(60):
    files.write_file(path / "file", name.encode() * 50_000)
    with files.whole_directory(path / "folder", overwrite=True) as folder:
        for part in "ab":
            (folder / part).write_text(f"{name}{number}")
"""


def test_two_processes_that_write_the_same(tmp_path):
    """What is read meanwhile is always the whole of what one of them wrote."""
    write_file(tmp_path / "file")
    write_directory(tmp_path / "folder")
    begin = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", ONE_OF_TWO, tmp_path, name], **begin) for name in "XY"]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    wholes = {name.encode() * 50_000 for name in "XY"} | {b"new" * 1000}
    while any(process.poll() is None for process in both):
        assert (tmp_path / "file").read_bytes() in wholes
        time.sleep(0.005)
    for process in both:
        said = process.communicate()[1]
        # A folder that another process replaces at the same instant may be refused, where names cannot be exchanged.
        assert process.returncode == 0, said
    assert named(tmp_path) == {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
    found = content(tmp_path / "folder")
    assert set(found) == {"a", "b"}
    assert found["a"] == found["b"]


def test_two_sweeps_in_one_folder(trace, tmp_path):
    command = [sys.executable, "-m", "swatsim", "sweep", "--arch", "dadiannao", "--trace", str(trace)]
    command += ["--layers", "last", "--set", "tile.rows=1,2,3,4", "-o", str(tmp_path / "points"), "--json"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "env": environment()}
    both = [subprocess.Popen([*command, str(tmp_path / name)], **quiet) for name in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(list((tmp_path / "points").iterdir())) == 4


def test_two_traces_of_one_name(tmp_path):
    with contextlib.ExitStack() as stack:
        metadata = package.TraceMetadata(name="t")
        first, second = (stack.enter_context(package.TraceWriter(tmp_path / "t", metadata=metadata)) for _ in range(2))
        second.add(small_layers()[2])
        first.add(small_layers()[1])
        with pytest.raises(TraceError, match="got a path that exists"):
            second.__exit__(None, None, None) or first.__exit__(None, None, None)
        stack.pop_all()
    assert [layer.spec.name for layer in package.load_trace(tmp_path / "t")] == ["last"]
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


# ---------------------------------------------------------------------------------------- processes that end

DYING = """
import os, signal, sys
import swatsim.simulation
from swatsim.cli import main

swatsim.simulation.plan_layer = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def test_a_worker_that_is_killed_ends_the_run_in_one_line(trace, tmp_path):
    command = [sys.executable, "-c", DYING, *map(str, run_of(trace, "--workers", "2", "--json", tmp_path / "report"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "got a process that ended before its work was done" in done.stderr
    assert not list(tmp_path.iterdir())


PHASES = [
    "swatsim.architecture.load_architecture", "swatsim.trace.reader.parse_manifest", "swatsim.trace.tensors.read",
    "swatsim.simulation.plan_layer", "swatsim.report.document.to_html", "os.fsync", "swatsim.report.table.print_table",
]  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_control_c_in_each_phase(trace, tmp_path, capsys, monkeypatch, phase):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(phase, interrupt)
    found = in_process(capsys, *run_of(trace, "--workers", "1", "--html", tmp_path / "page"))
    assert found == (130, "", "\n")
    assert [path.name for path in tmp_path.iterdir()] == (["page"] if phase.endswith("print_table") else [])


def test_control_c_while_the_program_is_imported():
    code = """
    import sys
    class Interrupting:
        def find_spec(self, name, *_):
            if name == "swatsim.command_options":
                raise KeyboardInterrupt
    sys.meta_path.insert(0, Interrupting())
    from swatsim.__main__ import main
    main()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# A few here; .ci/nightly asks for more.
INSTANTS = int(os.environ.get("SWATSIM_INSTANTS", "2"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_at_a_random_instant(trace, tmp_path, number):
    """Interrupted or finished, never half done; Control-C leaves no process and nothing hidden either."""
    # What comes before is the interpreter's own start.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from swatsim.__main__ import main; print(file=sys.stderr, flush=True); main()"
    target = tmp_path / "out"
    command = [sys.executable, "-c", code, *map(str, run_of(trace, "--workers", "2", "--json", target / "report"))]

    def start():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, start_new_session=True, env=environment(), text=True, **streams)
        assert process.stderr.readline() == "\n"
        return process

    process, began = start(), time.monotonic()
    process.communicate()
    took, whole = time.monotonic() - began, (target / "report").read_bytes()
    chance = np.random.default_rng([8, number])
    for _ in range(INSTANTS):
        process = start()
        time.sleep(chance.uniform(0, 1) * took)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        _, said = process.communicate(timeout=60)
        # Python says so where it is in the middle of what may not raise, and goes on.
        assert said.strip() == "" or said.startswith("Exception ignored"), said
        # Python no longer asks for SIGINT itself while it ends, when all is done; to a shell -2 is 130 too.
        assert process.returncode in {signal.SIGINT: (0, 130, -signal.SIGINT), signal.SIGKILL: (0, -9)}[number]
        done = process.returncode in (0, -signal.SIGINT)
        assert content(target / "report") in ((whole,) if done else (None, whole))
        assert named(target) <= {"report"}
        if number == signal.SIGINT:
            assert named(target) == {path.name for path in target.iterdir()}
            with pytest.raises(ProcessLookupError):
                os.killpg(process.pid, 0)
