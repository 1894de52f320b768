"""Work on processes and threads: the same results in the same order, and errors that reach the caller."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from swatsim import workers
from swatsim.errors import SwatsimError
from swatsim.profile import profiling, stage
from swatsim.sharing import share
from swatsim.workers import in_order, thread_count

forks = pytest.mark.usefixtures("forking")
NUMBERS = list(range(23))


@pytest.fixture
def forking():
    """Asked when a test begins: tests before it may have left threads of a library."""
    if not workers.may_fork():
        pytest.skip("nothing is forked on this system, or beside other threads")


@pytest.fixture(params=["processes", "threads", "one worker"])
def worker_count(request, monkeypatch):
    if request.param == "processes" and not workers.may_fork():
        pytest.skip("nothing is forked here")
    if request.param == "threads":
        monkeypatch.setattr(workers, "may_fork", lambda: False)
    return 1 if request.param == "one worker" else 3


def test_results_are_in_the_order_of_the_items(worker_count):
    seen = []
    assert in_order(lambda n: n * n, NUMBERS, worker_count, lambda *done: seen.append(done)) == [n * n for n in NUMBERS]
    assert seen[-1] == (23, 23)
    assert seen == sorted(seen)


def test_an_error_reaches_the_caller(worker_count):
    def fail_at_seven(number):
        if number == 7:
            raise SwatsimError("seven: got 7, expected another number")

    with pytest.raises(SwatsimError, match="got 7"):
        in_order(fail_at_seven, NUMBERS, worker_count, None)


def test_pieces_of_an_item_are_shared_out(worker_count):
    def work(number):
        return share([partial(pow, number, power) for power in range(5)])

    assert in_order(work, NUMBERS, worker_count, None) == [[n**power for power in range(5)] for n in NUMBERS]


def test_pieces_without_workers_are_done_by_the_caller():
    assert share([threading.get_ident] * 3) == [threading.get_ident()] * 3


@forks
def test_items_are_done_by_other_processes():
    assert os.getpid() not in in_order(lambda _: os.getpid(), NUMBERS, 2, None)


@forks
def test_beside_other_threads_nothing_is_forked():
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert set(in_order(lambda _: os.getpid(), NUMBERS, 2, None)) == {os.getpid()}
    finally:
        done.set()
        other.join()


@forks
def test_a_process_that_is_killed_is_named():
    with pytest.raises(SwatsimError, match="fewer --workers"):
        in_order(lambda _: os.kill(os.getpid(), signal.SIGKILL), NUMBERS, 2, None)


def test_stages_of_all_workers_are_counted(worker_count):
    @stage("counting")
    def count(number):
        return sum(range(number * 1000))

    with profiling() as profile:
        in_order(count, NUMBERS, worker_count, None)
    found = {each.stage: each for each in profile.spent}
    assert found["counting"].calls == len(NUMBERS)
    assert found["counting"].cpu_seconds > 0
    assert found["counting"].wall_seconds > 0


@pytest.mark.parametrize("wrong", [0, -1, True, "2", 1.5])
def test_a_wrong_number_of_workers_is_refused(wrong):
    with pytest.raises(SwatsimError, match="expected an integer from 1"):
        thread_count(wrong)


SLEEPERS = """
import os, signal, time
from pathlib import Path
from swatsim.workers import in_order

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs in the background

def sleep(number):
    Path({folder!r}, str(os.getpid())).touch()
    time.sleep(60)

in_order(sleep, range(6), 2)
"""


@forks
@pytest.mark.parametrize("signals", [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["Control-C", "killed"])
def test_nothing_outlives_who_began_it(tmp_path, signals):
    """Control-C goes to all processes of a terminal, a kill to one."""
    number, to_all = signals
    command = [sys.executable, "-c", SLEEPERS.format(folder=str(tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
            (os.killpg if to_all else os.kill)(process.pid, number)
            said = process.communicate(timeout=10)[1].decode()
            assert said.count("Traceback") == to_all, said
            wait_until(lambda: not any(runs(path.name) for path in tmp_path.iterdir()))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def runs(process):
    try:
        return Path("/proc", process, "cmdline").read_bytes() != b""  # nobody may have asked how it ended
    except OSError:
        return False


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
