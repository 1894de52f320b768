"""The time that is left, by a clock that tests move."""

import os
import time

import pytest
from command_line import on_terminal
from trace_files import small_trace

from swatsim import workers
from swatsim.progress import TimeLeft
from swatsim.sweeping import Grid
from swatsim.sweeping.running import run_grid
from swatsim.workers import in_order


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def shown(reports, ticks=()):
    """What is shown after each (seconds, done) of ten, and then at each of some seconds without news."""
    clock = Clock()
    left, found = TimeLeft(clock), []
    for seconds, done in reports:
        clock.now = 1000.0 + seconds
        left.tell(done, 10)
        found.append(str(left))
    for seconds in ticks:
        clock.now = 1000.0 + seconds
        left.tell(reports[-1][1], 10)
        found.append(str(left))
    return found


def test_points_of_35_seconds_have_an_estimate_that_runs_down():
    reports = [(0, 0), (34, 0), (35, 1), (70, 2)]
    assert shown(reports, [71, 104, 999]) == [
        "-:--:--", "-:--:--", "0:05:15", "0:04:40", "0:04:39", "0:04:06", "0:00:00",
    ]  # fmt: skip
    assert shown([(0, 0), (350, 10)])[-1] == "0:00:00"
    assert shown([(0, 0), (3600, 1)])[-1] == "9:00:00"


def test_what_ends_in_pairs_has_no_wild_estimate():
    """Of a window of the last reports, the second of a pair would come at 10 points a second."""
    reports = [(0, 0), (35, 1), (35.1, 2), (70, 3), (70.1, 4)]
    assert [shown(reports)[pair] for pair in (2, 4)] == ["0:02:20", "0:01:45"]


def test_what_was_kept_does_not_count():
    assert shown([(0, 6), (1, 6), (35, 7), (70, 8)]) == ["-:--:--", "-:--:--", "0:01:45", "0:01:10"]


def test_work_without_news_is_told_again(monkeypatch):
    """So that a bar moves; no thread may draw it."""
    monkeypatch.setattr(workers, "_TELL_SECONDS", 0.01)
    told = []
    in_order(time.sleep, [0.2, 0.2], 2, lambda done, total: told.append((done, total)))
    assert told.count((0, 2)) > 3
    assert told == sorted(told)
    assert told[-1] == (2, 2)


def test_a_sweep_tells_what_it_found_first_and_its_only_point(tmp_path):
    trace, told = str(small_trace(tmp_path / "trace")), []

    def sweep(*rows):
        told.clear()
        grid = Grid(arch=["dadiannao"], trace=[trace], overrides={"tile.rows": rows})
        run_grid(grid, tmp_path / "points", workers=1, progress=lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        return list(dict.fromkeys(told))

    assert sweep(2) == [(0, 1), (1, 1)]
    assert sweep(2, 4, 8) == [(1, 3), (2, 3), (3, 3)]
    assert sweep(2, 4) == [(2, 2)]


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_of_a_sweep(tmp_path):
    arguments = (
        "sweep", "--arch", "dadiannao", "--trace", small_trace(tmp_path / "trace"), "--set", "tile.rows=2,4",
        "--workers", "2", "-o", tmp_path / "points",
    )  # fmt: skip
    screen, output, code = on_terminal(*arguments, stdout_too=False)
    assert code == 0
    assert "sweeping" in screen
    assert "0/2" in screen
    assert "-:--:--" in screen
    assert "2/2" in screen
    assert "0:00:00" in screen
    assert "2 points, 2 of them computed now" in output
