"""Traces at addresses: fetched, checked, kept; what is damaged, escapes or is too large never arrives."""

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from trace_files import write_trace

from swatsim import apart, load_architecture, load_trace, simulate
from swatsim.errors import TraceError
from swatsim.trace import plain_files, remote
from swatsim.trace.manifest import manifest_digest

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and remembers what it was asked for."""

    asked: list[str]
    delay_seconds = 0.0

    def do_GET(self):
        self.asked.append(self.path)
        time.sleep(self.delay_seconds)
        super().do_GET()

    def log_message(self, *_):
        pass


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.handler = type("Own", (Handler,), {"asked": []})
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(self.handler, directory=str(folder))
        )
        self.address = f"http://127.0.0.1:{self.server.server_port}/trace"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def asked(self):
        """Names asked for since the last time."""
        found = sorted({path.rpartition("/")[2] for path in self.handler.asked})
        self.handler.asked.clear()
        return found


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SWATSIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "swatsim" / "traces"


@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left():
    """Tests that fork come later, and the library keeps the thread that it asks in."""
    yield
    import fsspec.asyn
    from fsspec.implementations.http import HTTPFileSystem

    HTTPFileSystem.clear_instance_cache()
    (loop,), (thread,) = fsspec.asyn.loop, fsspec.asyn.iothread
    if loop is not None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        fsspec.asyn.loop[0] = fsspec.asyn.iothread[0] = None
        assert not thread.is_alive()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    write_trace(tmp_path / "served" / "trace")
    server = Server(tmp_path / "served")
    yield server
    server.close()


def tensor_files(folder):
    return sorted(path.name for path in (folder / "trace" / "tensors").iterdir())


def same(one, other):
    return all(
        np.array_equal(a.passes[name].operands[role].bits.to_bool(), b.passes[name].operands[role].bits.to_bool())
        for a, b in zip(one, other, strict=True)
        for name in b.passes
        for role in b.passes[name].operands
    )


def partials(cache):
    return [path for path in cache.rglob("*") if path.name.endswith(".partial")]


def test_a_trace_is_fetched_once(server, cache):
    names = tensor_files(server.folder)
    local = load_trace(server.folder / "trace")
    remote = load_trace(server.address + "/")
    assert server.asked() == sorted([*names, "manifest.json"])
    assert (remote.name, remote.digest, remote.file_bytes()) == (local.name, local.digest, local.file_bytes())
    assert same(remote, local)
    assert sorted(path.name for path in (cache / "tensors").iterdir()) == names
    load_trace(server.address)
    assert server.asked() == ["manifest.json"]
    # Who knows what the address should give, and has it, asks nobody.
    load_trace(server.address, digest=local.digest)
    assert server.asked() == []


def test_a_report_does_not_tell_where_the_trace_was(server):
    machine = load_architecture("dadiannao")
    reports = [simulate(machine, load_trace(where)) for where in (server.folder / "trace", server.address)]
    assert reports[0].rows.equals(reports[1].rows)
    assert reports[0].trace == reports[1].trace


def test_what_two_traces_share_is_fetched_once(server):
    load_trace(server.address)
    shutil.copytree(server.folder / "trace", server.folder / "other")
    server.asked()
    load_trace(server.address.replace("/trace", "/other"))
    assert server.asked() == ["manifest.json"]


def test_a_changed_trace_is_seen(server):
    before = load_trace(server.address)
    manifest = server.folder / "trace" / "manifest.json"
    text = manifest.read_text().replace(f'"name": "{before.name}"', '"name": "renamed"', 1)
    changed = manifest_digest(text.encode())
    manifest.write_text(text.replace(before.digest, changed))
    after = load_trace(server.address)
    assert (after.name, after.digest) == ("renamed", changed)
    # The earlier one is kept; one that is neither is refused.
    assert load_trace(server.address, digest=before.digest).name == before.name
    with pytest.raises(
        TraceError, match=rf"^{re.escape(server.address)}: got a trace of digest {changed}, expected 0000$"
    ):
        load_trace(server.address, digest="0000")


def test_memory_and_files(server):
    import fsspec

    source = server.folder / "trace"
    memory = fsspec.filesystem("memory")
    memory.put(str(source), "/kept", recursive=True)
    try:
        assert same(load_trace("memory://kept"), load_trace(source))
        assert same(load_trace(f"file://{source}"), load_trace(source))
    finally:
        memory.rm("/kept", recursive=True)


@pytest.mark.parametrize(("address", "said"), [
    ("reference://x::{0}/evil.json", "got a chain of addresses, expected a single one of abfs"),
    ("simplecache::{0}", "got a chain of addresses, expected a single one of abfs"),
    ("filecache::{0}", "got a chain of addresses"),
    ("zip://a::{0}/a.zip", "got a chain of addresses"),
    ("reference://{0}", "got an address of 'reference', expected a single one of abfs"),
    ("blockcache://a", "got an address of 'blockcache'"),
    ("github://org:repository@/trace", "got an address of 'github'"),
    ("local:///trace", "got an address of 'local'"),
    ("HTTP://localhost/trace", "got an address of 'HTTP'"),
    ("file://elsewhere/trace", "got a file of elsewhere, expected one of this computer"),
])  # fmt: skip
def test_nothing_is_asked_but_the_address_itself(server, tmp_path, monkeypatch, address, said):
    """Fsspec would fetch what a file says that it fetched, the environment in it, and keep it without a bound."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    whole = address.format(server.address)
    with pytest.raises(TraceError) as failure:
        load_trace(whole)
    assert str(failure.value).startswith(f"{whole}: {said}")
    assert server.asked() == []
    assert not (tmp_path / "temporary").exists()


def test_an_address_of_a_file_is_read_like_a_path(server, tmp_path, cache):
    source = server.folder / "trace"
    spaced = tmp_path / "with ü and space"
    shutil.copytree(source, spaced)
    assert same(load_trace(spaced.as_uri()), load_trace(source))
    assert same(load_trace(f"file://localhost{spaced}"), load_trace(source))
    assert not cache.exists()
    manifest = spaced / "manifest.json"
    manifest.rename(spaced / "other.json")
    manifest.symlink_to("other.json")
    with pytest.raises(TraceError, match="got a symbolic link"):
        load_trace(spaced.as_uri())
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(TraceError, match="got something else"):
        load_trace(spaced.as_uri())


def damage_first(folder, change):
    path = folder / "trace" / "tensors" / tensor_files(folder)[0]
    path.write_bytes(change(path.read_bytes()))
    return path.name


@pytest.mark.parametrize(("change", "message"), [
    (lambda data: data[:-3], "got a truncated zstd frame"),
    (lambda data: data[:20], "expected .* to .* for a tensor of shape|truncated"),
    (lambda data: bytes(len(data)), "got a damaged zstd frame"),
    (lambda data: data + bytes(10), "got bytes after the zstd frame|for a tensor of shape"),
    (lambda data: data + bytes(10_000_000), "for a tensor of shape"),
])  # fmt: skip
def test_a_damaged_tensor_is_not_kept(server, cache, change, message):
    name = damage_first(server.folder, change)
    with pytest.raises(TraceError, match=message) as raised:
        load_trace(server.address)
    assert str(raised.value).startswith(f"{server.address}/tensors/{name}: ")
    assert "\n" not in str(raised.value)
    assert not (cache / "tensors" / name).exists()
    assert not partials(cache)
    assert not list(cache.glob("*.json"))


def test_another_tensors_bytes_are_not_kept(server, cache):
    """A file that is whole, and not the one that its name says."""
    tensors = server.folder / "trace" / "tensors"
    by_size = sorted(tensors.iterdir(), key=lambda path: path.stat().st_size)
    content = load_trace(server.folder / "trace")
    shapes = {name: tensor.shape for name, tensor in content._tensors.items()}
    pairs = [(a, b) for a in by_size for b in by_size if a != b
             and shapes[a.name.split(".")[0]] == shapes[b.name.split(".")[0]]]  # fmt: skip
    assert pairs, "two tensors of one shape"
    shutil.copyfile(pairs[0][1], pairs[0][0])
    with pytest.raises(TraceError, match=r"got SHA-256 .*, expected that of the file's name"):
        load_trace(server.address)
    assert not (cache / "tensors" / pairs[0][0].name).exists()


@pytest.mark.parametrize(("address", "message"), [
    ("{}/missing", "got nothing there, expected a trace that can be fetched"),
    ("http://127.0.0.1:9/trace", "got Client"),
    ("nosuch://host/trace", "got an address of 'nosuch', expected a single one of abfs"),
    ("s3://bucket/trace", "got an address and no module for it"),
    ("s3://bucket/trace", "expected what fetches from there, such as the extra: pip install 'swatsim[remote]'"),
])  # fmt: skip
def test_what_cannot_be_fetched_is_one_line(server, address, message):
    address = address.format(server.address)
    with pytest.raises(TraceError) as raised:
        load_trace(address)
    assert str(raised.value).startswith(f"{address}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_a_server_says_cannot_reach_the_terminal(monkeypatch):
    def refuse(_):
        raise RuntimeError("\x1b[2J\nno\u202e way")

    monkeypatch.setattr(remote, "_file_system", refuse)
    expected = "https://host/trace: got RuntimeError (\\x1b[2J no\\u202e way), expected a trace that can be fetched"
    with pytest.raises(TraceError, match=f"^{re.escape(expected)}$"):
        load_trace("https://host/trace")


def test_a_manifest_is_read_as_one_from_a_stranger(server, cache):
    manifest = server.folder / "trace" / "manifest.json"
    document = json.loads(manifest.read_text())
    names = list(document["tensors"])
    text = manifest.read_text().replace(names[0], "../" * 10 + "etc/passwd")
    manifest.write_text(text.replace(document["digest"], manifest_digest(text.encode())))
    server.asked()
    with pytest.raises(TraceError, match=f"^{re.escape(server.address)}/manifest.json:"):
        load_trace(server.address)
    assert server.asked() == ["manifest.json"]
    with manifest.open("ab") as file:
        file.truncate(1 << 33)  # all holes
    with pytest.raises(TraceError, match=r"manifest: got over \d+ bytes, expected no more"):
        load_trace(server.address)


def test_the_extra_is_named(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(TraceError, match=r"expected the extra: pip install 'swatsim\[remote\]'"):
        load_trace(server.address)


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWATSIM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(TraceError, match="cannot be written: Not a directory, expected room for"):
        load_trace(server.address)


def test_progress_counts_files(server, monkeypatch):
    monkeypatch.setattr(apart, "may_fork", lambda: False)
    told = []
    load_trace(server.address, progress=lambda done, total: told.append((done, total)))
    count = len(tensor_files(server.folder))
    assert told == [(number, count) for number in range(count)]


RUN = [sys.executable, "-m", "swatsim", "run", "--arch", "dadiannao", "--csv", "-", "--trace"]


def start(address, **environment):
    return subprocess.Popen(
        [*RUN, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env={**os.environ, **environment}, start_new_session=True,
    )  # fmt: skip


def test_two_commands_at_once(server, cache):
    server.handler.delay_seconds = 0.05
    processes = [start(server.address) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    local = subprocess.run([*RUN, str(server.folder / "trace")], capture_output=True, check=True)
    assert {out for out, _ in outputs} == {local.stdout}
    assert not partials(cache)


def test_a_killed_fetch_is_taken_up(server, cache):
    server.handler.delay_seconds = 0.3
    process = start(server.address)
    deadline = time.monotonic() + 60
    while not list((cache / "tensors").glob("*.zst")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path.name for path in (cache / "tensors").glob("*.zst")}
    assert kept
    server.handler.delay_seconds = 0.0
    time.sleep(0.5)
    server.asked()
    assert same(load_trace(server.address), load_trace(server.folder / "trace"))
    assert not kept & set(server.asked())


def test_runs_on_forked_processes_afterwards(server):
    """A network library's threads would make a run share one interpreter."""
    code = f"""
import threading, swatsim.trace, swatsim.apart
trace = swatsim.trace.load_trace({server.address!r})
assert swatsim.apart.may_fork() == (__import__("sys").platform == "linux"), threading.enumerate()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_sweep_of_an_address(server, tmp_path):
    from swatsim import sweep

    given = {"overrides": {"tile.rows": [4, 8]}, "workers": 1}
    found = sweep("dadiannao", server.address, folder=tmp_path / "points", **given)
    assert found.computed == 2
    # Once to plan; the points know what they want, and it is there.
    assert server.handler.asked.count("/trace/manifest.json") == 1
    again = sweep("dadiannao", str(server.folder / "trace"), folder=tmp_path / "points", **given)
    assert again.computed == 0


def test_paths_are_no_addresses(tmp_path):
    with pytest.raises(TraceError, match="expected a trace: a directory"):
        load_trace(Path("https:/example"))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"\0" + data[1:]])
def test_what_is_damaged_after_it_was_fetched_is_fetched_again(server, cache, change):
    load_trace(server.address)
    kept = cache / "tensors" / tensor_files(server.folder)[0]
    kept.write_bytes(change(kept.read_bytes()))
    server.asked()
    with pytest.raises(TraceError, match=rf"removed, to be fetched again from {re.escape(server.address)}$"):
        list(load_trace(server.address))
    assert same(load_trace(server.address), load_trace(server.folder / "trace"))
    assert kept.name in server.asked()


def test_what_cannot_be_read_just_now_is_kept(server, cache, monkeypatch):
    trace = load_trace(server.address)

    def fail(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(plain_files.os, "open", fail)
        with pytest.raises(TraceError, match=r"got an error \(Too many open files\), expected a tensor file$"):
            list(trace)
    assert same(trace, load_trace(server.folder / "trace"))
    kept = cache / "tensors" / tensor_files(server.folder)[0]
    kept.write_bytes(kept.read_bytes()[:-1])
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(TraceError, match=r"got a truncated zstd frame, expected \d+ bytes$"):
        list(trace)


def test_what_is_fetched_takes_the_place_of_a_link(server, cache, tmp_path):
    (tmp_path / "other").write_text("precious")
    (cache / "tensors").mkdir(parents=True)
    for name in tensor_files(server.folder):
        (cache / "tensors" / name).symlink_to(tmp_path / "other")
    assert same(load_trace(server.address), load_trace(server.folder / "trace"))
    assert (tmp_path / "other").read_text() == "precious"
