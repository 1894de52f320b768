"""Files and directories appear whole or not at all, whatever happens on the way."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from swatsim import files
from swatsim.files import write_file

ROOT = Path(__file__).parent.parent


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_limit_takes_no_memory(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"small")
    tracemalloc.start()
    with path.open("rb") as file:
        assert files.read_at_most(file, 1 << 30) == b"small"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    with path.open("rb") as file:
        assert files.read_at_most(file, 3) == b"sma"


def test_a_pipe_is_read_to_its_end():
    data = bytes(range(256)) * 100
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert files.read_at_most(file, 1 << 30) == data


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "report.json"
    files.write_file(path, b"one")
    files.write_file(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["report.json"]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    files.write_file(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    path.chmod(0o640)
    files.write_file(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    path.write_bytes(b"earlier")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        files.write_file(path, b"new")
    assert path.read_bytes() == b"earlier"
    assert names(tmp_path) == ["a"]


def test_the_data_reaches_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def sync(descriptor):
        calls.append(os.fstat(descriptor).st_size if not calls else "fsync")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", lambda *given: calls.append("replace") or replace(*given))
    files.write_file(tmp_path / "a", b"data")
    assert calls == [len(b"data"), "replace", "fsync"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"earlier")
    (tmp_path / "link").symlink_to("real")
    files.write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    files.write_file("/dev/null", b"data")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(IsADirectoryError):
        files.write_file(tmp_path, b"data")


def test_standard_output_is_written_to_whatever_it_is(tmp_path):
    command = [sys.executable, "-c", "from swatsim import files; files.write_file('/dev/stdout', b'data')"]
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout == b"data"
    with (tmp_path / "out").open("wb") as file:
        inode = (tmp_path / "out").stat().st_ino
        subprocess.run(command, cwd=ROOT, stdout=file, check=True)
    assert ((tmp_path / "out").read_bytes(), (tmp_path / "out").stat().st_ino) == (b"data", inode)


def test_a_directory_appears_when_it_is_complete(tmp_path):
    with files.whole_directory(tmp_path / "t") as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "file").write_bytes(b"data")
        assert not (tmp_path / "t").exists()
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
    assert (tmp_path / "t" / "inner" / "file").read_bytes() == b"data"
    assert names(tmp_path) == ["t"]


def test_a_directory_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    sync, rename = files.sync_directory, Path.rename
    monkeypatch.setattr(files, "sync_directory", lambda path: calls.append(path.name) or sync(path))
    monkeypatch.setattr(Path, "rename", lambda *given: calls.append("rename") or rename(*given))
    with files.whole_directory(tmp_path / "t") as partial:
        (partial / "inner").mkdir()
        calls.append("filled")
    assert calls == ["filled", partial.name, "inner", "rename", tmp_path.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(tmp_path, error):
    def fill():
        with files.whole_directory(tmp_path / "t") as partial:
            (partial / "file").write_bytes(b"data")
            raise error

    with pytest.raises(error):
        fill()
    assert names(tmp_path) == []


def fill(path, content, **given):
    with files.whole_directory(path, **given) as partial:
        (partial / "file").write_bytes(content)


def test_an_existing_directory_is_refused_at_once(tmp_path):
    fill(tmp_path / "t", b"one")
    entered = False
    with pytest.raises(FileExistsError), files.whole_directory(tmp_path / "t"):
        entered = True
    assert not entered
    assert (tmp_path / "t" / "file").read_bytes() == b"one"


def test_an_existing_file_or_link_is_never_replaced_by_a_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        for overwrite in (False, True):
            with pytest.raises(FileExistsError):
                fill(tmp_path / name, b"", overwrite=overwrite)
    assert names(tmp_path) == ["dangling", "file"]


def test_a_directory_made_meanwhile_is_not_replaced(tmp_path):
    def race():
        with files.whole_directory(tmp_path / "t") as partial:
            (partial / "file").write_bytes(b"ours")
            (tmp_path / "t").mkdir()

    with pytest.raises(FileExistsError):
        race()
    assert names(tmp_path) == ["t"]
    assert names(tmp_path / "t") == []


@pytest.mark.parametrize("in_one_step", [True, False])
def test_overwriting_replaces_the_whole_directory(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    fill(tmp_path / "t", b"one", overwrite=True)
    (tmp_path / "t" / "old").write_bytes(b"")
    fill(tmp_path / "t", b"two", overwrite=True)
    assert names(tmp_path) == ["t"]
    assert names(tmp_path / "t") == ["file"]
    assert (tmp_path / "t" / "file").read_bytes() == b"two"


def test_a_failed_overwriting_keeps_the_earlier_directory(tmp_path, monkeypatch):
    fill(tmp_path / "t", b"one")
    real = Path.rename

    def rename(path, target):
        if path.name.endswith(".partial") and Path(target).name == "t" and (path / "file").read_bytes() == b"two":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output"):
        fill(tmp_path / "t", b"two", overwrite=True)
    assert names(tmp_path) == ["t"]
    assert (tmp_path / "t" / "file").read_bytes() == b"one"


def test_a_killed_process_leaves_no_directory_of_that_name(tmp_path):
    script = """
import sys, time
from swatsim import files
with files.whole_directory(sys.argv[1]) as partial:
    (partial / "file").write_bytes(b"data")
    print("ready", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "t")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not (tmp_path / "t").exists()
    assert all(name.startswith(".t.") for name in names(tmp_path))
    fill(tmp_path / "t", b"again")
    assert (tmp_path / "t" / "file").read_bytes() == b"again"


def test_a_file_that_fails_its_check_does_not_get_its_name(tmp_path):
    def refuse(partial):
        assert partial.read_bytes() == b"new"
        raise ValueError("no")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ValueError, match="no"):
        write_file(tmp_path / "a", b"new", refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    write_file(tmp_path / "a", b"new", lambda partial: None)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_names_as_long_as_a_file_system_has(tmp_path):
    for name in ("汉" * 80 + ".json", "a" * 250 + ".json"):
        files.write_file(tmp_path / name, b"data")
        assert (tmp_path / name).read_bytes() == b"data"
    with files.whole_directory(tmp_path / ("汉" * 80)):
        pass


def test_an_interrupt_before_a_directory_is_filled_leaves_none(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def interrupted(path):
        mkdir(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), files.whole_directory(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())
