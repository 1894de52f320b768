"""Work in a process of its own gives what it would give here."""

import os
import time
from functools import partial

import pytest

from swatsim.apart import may_fork, work_apart
from swatsim.errors import SwatsimError, TraceError

pytestmark = pytest.mark.usefixtures("forking")


@pytest.fixture
def forking():
    """Asked when a test begins: tests before it may have left threads of a library."""
    if not may_fork():
        pytest.skip("nothing is forked on this system, or beside other threads")


def slow(parts, tell):
    for part in range(parts):
        tell(part, parts)
        time.sleep(0.15)
    return os.getpid()


def failing(error, _):
    raise error


def dying(_):
    os._exit(1)


def test_what_is_done_is_told_and_the_result_given():
    told = []
    assert work_apart(partial(slow, 3), "a", lambda done, total: told.append((done, total))) != os.getpid()
    assert told
    assert set(told) <= {(0, 0), (0, 3), (1, 3), (2, 3)}
    assert told == sorted(told)
    assert may_fork()


@pytest.mark.parametrize("progress", [None, lambda done, total: None])
@pytest.mark.parametrize("error", [TraceError("a: got b, expected c"), TimeoutError("late")])
def test_errors_are_those_of_the_work(error, progress):
    with pytest.raises(type(error), match=str(error)):
        work_apart(partial(failing, error), "a", progress)


def test_what_ends_as_it_is_waited_for_is_no_error(monkeypatch):
    """Each wait is over at once: some are when the work ends."""
    monkeypatch.setattr("swatsim.apart._POLL_SECONDS", 0)
    for _ in range(3):
        assert work_apart(partial(slow, 1), "a", lambda done, total: None)


def test_a_process_that_dies_is_one_line():
    message = r"^a: got a process that ended before its work was done, expected its result$"
    with pytest.raises(SwatsimError, match=message):
        work_apart(dying, "a")
