"""A sweep on a Dask scheduler with two worker processes, of which one is killed in the middle of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from command_line import in_process
from trace_files import small_trace

from swatsim.errors import SwatsimError
from swatsim.sweeping import Grid
from swatsim.sweeping.running import run_grid

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

SECONDS = 60


@pytest.fixture
def grid(tmp_path):
    trace = str(small_trace(tmp_path / "trace"))
    return Grid(arch=["dadiannao", "cnvlutin"], trace=[trace], overrides={"tile.rows": tuple(range(1, 31))})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """(address, worker processes), of which a test may end the first."""
    file, processes = tmp_path_factory.mktemp("cluster") / "scheduler.json", []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    worker = ["worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    try:
        for arguments in (scheduler, worker, worker):
            processes.append(subprocess.Popen([sys.executable, "-m", "dask", *arguments], **quiet))
            deadline = time.monotonic() + SECONDS
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        with distributed.Client(scheduler_file=str(file), set_as_default=False, timeout=SECONDS) as client:
            client.wait_for_workers(2, timeout=SECONDS)
            yield client.scheduler.address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_command_writes_the_bytes_of_the_local_one(grid, cluster, tmp_path, capsys):
    folder, written = tmp_path / "p", []
    command = ("sweep", "--arch", "dadiannao", "--trace", grid.trace[0], "--set", "tile.rows=2,4", "-o", folder)
    files = [tmp_path / "sweep.json", tmp_path / "sweep.csv"]
    for where in (("--dask", cluster[0]), ()):
        code, output, _ = in_process(capsys, *command, *where, "--json", files[0], "--csv", files[1])
        assert code == 0
        assert "2 points, 2 of them computed now" in output
        written.append([file.read_bytes() for file in files])
        shutil.rmtree(folder)
        for file in files:
            file.unlink()
    assert written[0] == written[1]


def test_a_worker_with_other_sources_is_refused_at_once(cluster, tmp_path, monkeypatch):
    calls = tmp_path / "calls"

    def counted(point, digest):
        from swatsim.sweeping import cluster as of_the_worker

        with calls.open("a") as file:
            file.write(f"{point.key}\n")
        return of_the_worker._document(point, digest)

    monkeypatch.setattr("swatsim.sweeping.cluster._document", counted)
    monkeypatch.setattr("swatsim.sweeping.cluster.sources_digest", lambda: "another")
    folder, trace = tmp_path / "points", str(small_trace(tmp_path / "trace"))
    expected = r"^a worker: got another swatsim than here, expected the same version and sources$"
    with pytest.raises(SwatsimError, match=expected):
        run_grid(Grid(arch=["dadiannao"], trace=[trace]), folder, dask=cluster[0])
    assert len(calls.read_text().splitlines()) == 1
    assert not list(folder.glob("*.json"))


def test_workers_that_cannot_are_one_line(grid, cluster, tmp_path, monkeypatch):
    """As where they lack a package."""
    monkeypatch.setattr("swatsim.sweeping.cluster._document", lambda *_: 1 / 0)
    with pytest.raises(SwatsimError, match=r"^--dask .*: got ZeroDivisionError .*, expected workers that compute"):
        run_grid(grid, tmp_path / "points", dask=cluster[0])


def test_a_killed_worker_loses_nothing_and_the_bytes_are_the_local_ones(grid, cluster, tmp_path):
    address, workers = cluster
    folder, killed = tmp_path / "points", threading.Event()

    def kill_in_the_middle(done, total):
        assert total == 60
        if done >= 10 and not killed.is_set():
            killed.set()
            os.kill(workers[0].pid, signal.SIGKILL)

    found = run_grid(grid, folder, dask=address, progress=kill_in_the_middle)
    assert killed.is_set()
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    assert (found.computed, found.failed) == (60, ())
    assert found.to_json() == run_grid(grid, tmp_path / "local").to_json()
    assert run_grid(grid, folder, dask=address).computed == 0


def test_nobody_answers(grid, tmp_path, monkeypatch):
    monkeypatch.setattr("swatsim.sweeping.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(SwatsimError, match=r"^--dask tcp://127\.0\.0\.1:9: got no answer .*, expected a scheduler$"):
        run_grid(grid, tmp_path, dask="tcp://127.0.0.1:9")
