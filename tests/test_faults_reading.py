"""Traces, machines and caches that change or are damaged: the old content, or an error, never a mixture."""

from __future__ import annotations

import compileall
import errno
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path

import numba
import pytest
from command_line import environment
from trace_files import small_layers, small_trace, write_trace

import swatsim as package
from swatsim.errors import TraceError
from swatsim.kernels import compile as kernel_compile
from swatsim.kernels.cache_files import CacheFiles
from swatsim.report.document import to_json
from swatsim.sweeping import Grid
from swatsim.sweeping.running import plan, run_grid

ROOT = Path(__file__).parent.parent
compiles = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("traces") / "small")


def overwritten(tensor, folder):
    content_of_another = next(each for each in sorted(folder.iterdir()) if each != tensor).read_bytes()
    tensor.write_bytes(content_of_another)


def flipped(tensor, _):
    data = bytearray(tensor.read_bytes())
    data[-1] ^= 1
    tensor.write_bytes(data)


def link(tensor, _):
    tensor.rename(tensor.with_suffix(".old"))
    tensor.symlink_to(tensor.with_suffix(".old"))


def another_trace(_, folder):
    shutil.rmtree(folder.parent)
    write_trace(folder.parent, [small_layers()[1]], graph=[])


CHANGES = {
    "truncated": lambda tensor, _: tensor.write_bytes(tensor.read_bytes()[:-3]),
    "emptied": lambda tensor, _: tensor.write_bytes(b""),
    "a bit of it": flipped,
    "another tensor": overwritten,
    "removed": lambda tensor, _: tensor.unlink(),
    "a link": link,
    "another trace": another_trace,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_trace_that_changes_while_it_is_read_is_refused(tmp_path, change):
    path = small_trace(tmp_path / "t")
    opened = package.load_trace(path)
    machine = package.load_architecture("dadiannao")
    layers = iter(opened)
    next(layers)  # the first layer has been read
    later = sorted(opened._stored[2].tensors)[0]
    change(path / "tensors" / f"{later}.st.zst", path / "tensors")
    with pytest.raises(TraceError) as raised:
        package.simulate(machine, opened, workers=1)
    assert str(raised.value).isprintable()


def test_a_manifest_that_changes_after_it_is_read_changes_nothing(tmp_path):
    path, machine = small_trace(tmp_path / "t"), package.load_architecture("dadiannao")
    opened = package.load_trace(path)
    expected = to_json(package.simulate(machine, opened, workers=1))
    (path / "manifest.json").write_text("{}")
    assert to_json(package.simulate(machine, opened, workers=1)) == expected
    with pytest.raises(TraceError):
        package.load_trace(path)


@pytest.fixture
def machine_file(tmp_path):
    path = tmp_path / "machine.yaml"
    path.write_text((ROOT / "arch" / "dadiannao.yaml").read_text())
    return path


def change_machine(path):
    path.write_text(path.read_text().replace("rows: 16", "rows: 8"))


def test_a_machine_that_changes_during_a_sweep_is_what_it_was(trace, machine_file):
    (point,) = plan(Grid(arch=[str(machine_file)], trace=[str(trace)], layers="last"))
    before = point.document()
    change_machine(machine_file)
    assert point.document() == before
    (after,) = plan(Grid(arch=[str(machine_file)], trace=[str(trace)], layers="last"))
    assert after.key != point.key


def test_a_worker_that_remembers_an_earlier_machine_reads_it_again(trace, machine_file):
    grid = Grid(arch=[str(machine_file)], trace=[str(trace)], layers="last")
    (before,) = plan(grid)
    change_machine(machine_file)
    (after,) = plan(grid)
    machine_file.write_text((ROOT / "arch" / "dadiannao.yaml").read_text())
    (again,) = plan(grid)  # now remembered
    change_machine(machine_file)
    assert before.key == again.key != after.key
    assert after.document()["architecture"] == after.architecture


def test_a_sweep_sees_that_a_machine_has_changed(trace, machine_file, tmp_path):
    """In the same process too."""
    found = [package.sweep(str(machine_file), str(trace), layers="last", folder=tmp_path / "points")]
    change_machine(machine_file)
    found.append(package.sweep(str(machine_file), str(trace), layers="last", folder=tmp_path / "points"))
    assert [each.computed for each in found] == [1, 1]
    assert found[0].points[0]["architecture"]["digest"] != found[1].points[0]["architecture"]["digest"]
    assert found[0].points[0]["totals"] != found[1].points[0]["totals"]


# --------------------------------------------------------------------------------------------------- damaged caches


@pytest.fixture
def kept(tmp_path):
    """Two kernels' files, of which the first has two entries."""
    one, other = CacheFiles(tmp_path, "one-1.py"), CacheFiles(tmp_path, "other-1.py")
    one.save("int64", b"code of one")
    one.save("uint64", b"more code")
    other.save("int64", b"code of the other")
    return one, other, sorted(tmp_path.iterdir())


def test_kernels_are_found_by_kernel_and_types(kept):
    one, other, found = kept
    assert [one.load("int64"), one.load("uint64"), other.load("int64")] == [
        b"code of one", b"more code", b"code of the other",
    ]  # fmt: skip
    assert one.load("float64") is None
    assert len(found) == 3
    one.flush()
    assert (one.load("int64"), other.load("int64")) == (None, b"code of the other")


def test_any_damage_to_a_kept_kernel_makes_it_absent(kept):
    one, _, _ = kept
    path = one._file("int64")
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))] + [whole + b"\0"]
    for position in range(len(whole)):
        for bit in (1, 128):
            changed = bytearray(whole)
            changed[position] ^= bit
            damaged.append(bytes(changed))
    for data in damaged:
        path.write_bytes(data)
        assert one.load("int64") is None
    path.write_bytes(whole)
    assert one.load("int64") == b"code of one"


def test_the_file_of_another_kernel_is_not_taken_for_it(kept):
    one, _, _ = kept
    one._file("int64").write_bytes(one._file("uint64").read_bytes())
    assert one.load("int64") is None


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps(3), pickle.dumps((1, 2, 3)), pickle.dumps(("b", 2))])
def test_a_whole_file_of_something_else_is_absent(kept, data):
    one, _, _ = kept
    one._file("int64").write_bytes(hashlib.sha256(data).digest() + data)
    assert one.load("int64") is None


@pytest.mark.parametrize("fault", ["full", "gone"])
def test_a_kernel_that_cannot_be_kept_is_no_error(kept, tmp_path, monkeypatch, fault):
    one, _, before = kept
    if fault == "gone":
        shutil.rmtree(tmp_path)
    else:

        def full(path, data):
            with path.open("wb") as file:
                file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
    one.save("float64", b"code")
    assert one.load("float64") is None
    assert fault == "gone" or sorted(tmp_path.iterdir()) == before


# No larger file can be written; Python itself would leave half of its bytecode.
FULL_DISK = """
import resource, sys
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
"""
COUNT = """
import numpy as np
from swatsim.kernels.bits import count_ones
assert count_ones(np.uint64(0b1011)) == 3
print(sum(count_ones.stats.cache_misses.values()))
"""


def compiled_by(cache, before=""):
    """How many kernels a new process compiles, that keeps them in a folder."""
    given = {"capture_output": True, "text": True, "env": environment(SWATSIM_CACHE_DIR=str(cache))}
    return int(subprocess.run([sys.executable, "-c", before + COUNT], check=True, **given).stdout)


@compiles
def test_damaged_kernels_are_compiled_anew(tmp_path):
    assert compiled_by(tmp_path) == 1
    (path,) = tmp_path.rglob("*.nbc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert (compiled_by(tmp_path), compiled_by(tmp_path)) == (1, 0)


@compiles
def test_kernels_that_may_only_be_read_are_read(tmp_path):
    """As where an administrator, or an image, has warmed them."""
    no_writing = "import os; may = os.access; os.access = lambda path, mode: not mode & os.W_OK and may(path, mode)\n"
    no_writing += "from swatsim.kernels.compile import is_cached; assert not is_cached()\n"
    assert (compiled_by(tmp_path), compiled_by(tmp_path, no_writing)) == (1, 0)


@pytest.mark.parametrize("kind", ["zip", "bytecode"])
def test_nothing_is_kept_where_nobody_could_say_of_what(tmp_path, kind):
    """The next version would find what this one has compiled and simulated."""
    copied = shutil.copytree(
        Path(package.__file__).parent, tmp_path / "there" / "swatsim", ignore=shutil.ignore_patterns("__pycache__")
    )
    place = tmp_path / "there"
    if kind == "zip":
        place = Path(shutil.make_archive(str(tmp_path / "swatsim"), "zip", place))
    else:
        compileall.compile_dir(copied, quiet=2, legacy=True)
        for source in copied.rglob("*.py"):
            source.unlink()
    code = """
    from swatsim.kernels import compile
    from swatsim.sweeping.point import sources_digest
    assert not compile.__file__.endswith("kernels/compile.py") or ".zip" in compile.__file__, compile.__file__
    assert not compile.is_cached() and not compile.cached_kernels()
    print(sources_digest())
    """
    given = {"capture_output": True, "text": True, "cwd": tmp_path}
    given["env"] = environment(SWATSIM_CACHE_DIR=str(tmp_path / "cache"), PYTHONPATH=str(place))
    found = [
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, **given).stdout for _ in range(2)
    ]
    assert found[0] != found[1]


@compiles
def test_kernels_are_compiled_on_a_full_disk(tmp_path):
    assert compiled_by(tmp_path, FULL_DISK) == 1
    assert not list(tmp_path.rglob("*.nbc*"))


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_kernel_that_cannot_be_kept_leaves_nothing(tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    monkeypatch.setattr(Path, "replace", stop)
    with nullcontext() if error is OSError else pytest.raises(error):
        CacheFiles(tmp_path, "kernel").save("key", b"code")
    assert not list(tmp_path.iterdir())


@compiles
def test_a_lock_that_cannot_be_had_is_no_error(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    turn = kernel_compile._Turn()
    with turn.compiling():
        assert not turn.wait(tmp_path / "missing" / "lock", True)
        monkeypatch.setattr(kernel_compile.fcntl, "flock", fail)
        assert not turn.wait(tmp_path / "lock", True)


def test_any_changed_figure_of_a_kept_point_is_noticed(trace, tmp_path):
    grid = Grid(arch=["dadiannao"], trace=[str(trace)], layers="last")
    whole = run_grid(grid, tmp_path, workers=1)
    (path,) = tmp_path.iterdir()
    document = json.loads(path.read_text())
    document["totals"][0]["cycles"] += 1
    path.write_text(json.dumps(document))
    again = run_grid(grid, tmp_path, workers=1)
    assert (again.computed, again.to_json()) == (1, whole.to_json())
