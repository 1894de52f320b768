"""Stages of a run: whose time is whose, on a clock that the tests move."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from swatsim import profile as module
from swatsim.profile import OTHER, Spent, carried, profile_json, profile_table, profiling, stage


class Clock:
    """Times that move only where a test says so; each thread has its own processor time."""

    def __init__(self):
        self.wall_ns = 10**9
        self.process_ns = 10**8
        self.thread_ns = {}

    def perf_counter_ns(self):
        return self.wall_ns

    def process_time_ns(self):
        return self.process_ns

    def thread_time_ns(self):
        return self.thread_ns.setdefault(threading.get_ident(), 5_000)

    def compute(self, nanoseconds):
        self.wait(nanoseconds)
        self.process_ns += nanoseconds
        self.thread_ns[threading.get_ident()] = self.thread_time_ns() + nanoseconds

    def wait(self, nanoseconds):
        self.wall_ns += nanoseconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def spent_ns(profile):
    """{stage: (wall, processor, calls)}, in nanoseconds."""
    return {each.stage: (round(each.wall_seconds * 1e9), round(each.cpu_seconds * 1e9), each.calls)
            for each in profile.spent}  # fmt: skip


def test_a_stage_has_its_time_without_that_of_the_stages_inside(clock):
    with profiling() as profile:
        clock.compute(1)
        with stage("mapping"):
            clock.compute(20)
            for _ in range(2):
                with stage("scheduling"):
                    clock.compute(300)
            clock.wait(4_000)
        clock.compute(50_000)
    assert spent_ns(profile) == {"mapping": (4020, 20, 1), "scheduling": (600, 600, 2), OTHER: (50_001, 50_001, 0)}


def test_a_function_is_a_stage_at_each_call(clock):
    @stage("counting")
    def count(upto):
        clock.compute(upto)
        return count(upto - 1) + 1 if upto else 0

    assert count(3) == 3
    with profiling() as profile:
        assert count(4) == 4
    assert spent_ns(profile)["counting"] == (10, 10, 5)


def test_an_error_ends_its_stage(clock):
    with profiling() as profile:
        with pytest.raises(ValueError, match="wrong"), stage("mapping"):
            clock.compute(7)
            raise ValueError("wrong")
        clock.compute(5)
    assert spent_ns(profile) == {"mapping": (7, 7, 1), OTHER: (5, 5, 0)}


def test_what_the_process_did_before_is_a_stage(clock):
    with profiling(already="start-up") as profile:
        with stage("start-up"):
            clock.compute(3)
        clock.compute(2)
    assert spent_ns(profile) == {"start-up": (10**8 + 3, 10**8 + 3, 1), OTHER: (2, 2, 0)}


def test_nothing_is_measured_where_nobody_asked(clock):
    with profiling(wanted=False) as profile, stage("mapping"):
        clock.compute(3)
    assert profile is None
    work = print
    assert carried(work) is work
    with stage("mapping"), profiling() as inside:
        clock.compute(4)
    assert spent_ns(inside) == {OTHER: (4, 4, 0)}


def test_carried_work_belongs_to_the_stage_it_comes_from(clock):
    def piece():
        clock.compute(10)
        with stage("scheduling"):
            clock.compute(200)
        return "done"

    with profiling() as profile, ThreadPoolExecutor(1) as pool:
        with stage("mapping"):
            assert pool.submit(carried(piece)).result() == "done"
            assert carried(piece)() == "done"  # nobody else had begun it
        pool.submit(carried(piece)).result()
        pool.submit(piece).result()  # not carried: nobody's
    # While the first piece schedules, who waits for it is in a stage too.
    assert spent_ns(profile) == {"mapping": (120, 20, 1), "scheduling": (500, 600, 3), OTHER: (220, 220, 0)}


def test_threads_share_the_moment(clock):
    """Two threads at once, one in a stage the whole time, the other one for a half of it."""
    steps = threading.Barrier(2, timeout=20)

    def other():
        with stage("mapping"):
            steps.wait()
            steps.wait()
        steps.wait()

    with profiling() as profile, ThreadPoolExecutor(1) as pool:
        future = pool.submit(carried(other))
        with stage("scheduling"):
            steps.wait()
            clock.compute(100)
            steps.wait()
            steps.wait()
            clock.compute(30)
        future.result()
    wall = {name: found[0] for name, found in spent_ns(profile).items()}
    assert wall == {"mapping": 50, "scheduling": 80, OTHER: 0}


def test_real_clocks_tell_waiting_from_computing():
    with profiling() as profile:
        with stage("waiting"):
            time.sleep(0.05)
        with stage("computing"):
            sum(range(100_000))
    found = {each.stage: each for each in profile.spent}
    assert found["waiting"].wall_seconds >= 0.05 > 2 * found["waiting"].cpu_seconds
    assert 0 < found["computing"].cpu_seconds <= found["computing"].wall_seconds + 0.02


def test_the_table():
    spent = (
        Spent(stage="start-up", wall_seconds=0.25, cpu_seconds=0.5, calls=1),
        Spent(stage="other", wall_seconds=0.75, cpu_seconds=1.5, calls=0),
    )
    assert profile_table(spent) == (
        "stage     wall s share    CPU s share    calls\n"
        "start-up   0.250   25%    0.500   25%        1\n"
        "other      0.750   75%    1.500   75%        -\n"
        "whole      1.000  100%    2.000  100%\n"
    )
    assert json.loads(profile_json(spent))[1] == {
        "stage": "other", "wall_seconds": 0.75, "cpu_seconds": 1.5, "calls": 0,
    }  # fmt: skip
