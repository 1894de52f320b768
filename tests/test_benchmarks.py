"""The measuring code: what it records, compares and writes; no test looks at how long anything takes."""

from __future__ import annotations

import sys
from unittest import mock

import numpy as np
import pytest

import swatsim.presence
from benchmarks import counters, peers, scaling
from benchmarks.end_to_end import Command, measured
from benchmarks.kernel_runs import ROOFLINE_GOALS, bytes_of, call_all, called_kernels, copied, machine_runs, recording
from benchmarks.tables import command_lines, kernel_lines
from benchmarks.workload import random_layer
from swatsim.architecture import load_architecture
from swatsim.simulation import simulate
from swatsim.trace import Trace, load_trace


@pytest.fixture(scope="module")
def small():
    return Trace("small", [random_layer("small", (2, 16, 6, 6), (16, 16, 3, 3))])


def test_arguments_are_copied_as_they_are():
    fixed = np.arange(3)
    fixed.setflags(write=False)
    found = copied((fixed, (np.zeros((2, 2)), 7), "name"))
    assert bytes_of(found) == fixed.nbytes + 32
    assert found[0] is not fixed
    assert not found[0].flags.writeable
    assert found[1][0].flags.writeable
    assert found[1][1:] == (7,)
    assert found[2] == "name"


def test_calls_of_kernels_are_recorded_as_they_were_made(small):
    architecture = load_architecture("dadiannao")
    first = simulate(architecture, small, workers=1)
    with recording() as calls:
        second = simulate(architecture, small, workers=1)
    assert [record.cycles for record in first.records] == [record.cycles for record in second.records]
    assert calls
    assert sorted(calls) == sorted({call.kernel.__name__ for found in calls.values() for call in found})
    kernels = called_kernels()
    assert all(name.startswith("swatsim.") and ".kernels." not in name for name in kernels)
    assert set(calls) <= {kernel.__name__ for kernel in kernels.values()}


def test_what_is_recorded_is_from_before_the_call(monkeypatch):
    def double(values):
        values *= 2
        return values.sum()

    monkeypatch.setattr("benchmarks.kernel_runs.called_kernels", lambda: {"swatsim.presence.count_met": double})
    given = np.arange(4)
    with recording() as calls:
        assert swatsim.presence.count_met(given) == 12
    (call,) = calls["double"]
    assert call.kernel is double
    assert list(call.arguments[0]) == [0, 1, 2, 3]
    assert swatsim.presence.count_met is not double


def test_a_machines_runs_hold_all_calls_of_all_kernels(small):
    with mock.patch("benchmarks.kernel_runs.random_layer", return_value=next(iter(small))):
        runs = machine_runs("sparten")
    assert runs[0].name == "all kernels"
    assert {each.positions for each in runs} == {3 * 2 * 16 * 16 * 9 * 36}
    by_name = {each.name: each for each in runs[1:]}
    assert sum(len(each.calls) for each in runs[1:]) <= len(runs[0].calls)
    (pairs,) = (by_name[name] for machine, name in ROOFLINE_GOALS if machine == "sparten")
    recorded = pairs.calls[0].arguments
    before = [array.tobytes() for array in recorded if isinstance(array, np.ndarray)]
    call_all(pairs.arguments())
    # It is not changed by being made again.
    assert before == [array.tobytes() for array in recorded if isinstance(array, np.ndarray)]


def test_a_watched_name_that_is_gone_or_unused_is_an_error():
    gone = (("swatsim.presence.no_such_function", "calls"),)
    with (
        mock.patch.object(counters, "WATCHED", gone),
        pytest.raises(LookupError, match="no_such_function, which is gone"),
    ):
        counters.count()
    unused = (("swatsim.trace.tensors.encode", "written"),)
    with (
        mock.patch.object(counters, "WATCHED", unused),
        mock.patch.object(counters, "shipped_architectures", return_value=("dadiannao",)),
        pytest.raises(LookupError, match=r"no machine calls: swatsim\.trace\.tensors\.encode"),
    ):
        counters.count()


def test_growth_is_the_median_of_the_rounds_ratios():
    times = {1: iter([9, 1, 1, 2]), 2: iter([9, 2, 30, 5])}
    found = scaling.in_turn({size: lambda size=size: next(times[size]) for size in times}, rounds=3)
    assert found == {1: [1, 1, 2], 2: [2, 30, 5]}
    assert scaling.growth(found, 1, 2) == 2.5


def test_a_stacked_trace_has_each_image_in_another_order(tmp_path, small):
    path = scaling.write_stacked(tmp_path / "five", small, 5)
    (first,), (layer,) = small, load_trace(path)
    assert layer.spec.input_shape == (5, 16, 6, 6)
    for name, given in layer.passes.items():
        for role, operand in given.operands.items():
            own, more = first.passes[name].operands[role].bits.to_bool(), operand.bits.to_bool()
            if role == "weight":
                assert np.array_equal(own, more)
            else:
                assert np.array_equal(more[:2], own)
                assert np.array_equal(more[4], np.roll(own[0], 10, axis=0))
                assert not np.array_equal(more[2:4], own)


def test_a_measured_command_has_its_processor_time_and_memory():
    taken = measured(["--help"])
    assert taken.cpu_seconds > 0
    assert 0 < taken.wall_seconds < 60
    assert 5e6 < taken.peak_bytes < 1e9
    assert Command(name="x", arguments=(), goal_wall_seconds=1).goal_peak_bytes == 600_000_000


def entry(seconds, **info):
    return {"extra_info": info, "stats": {"median": seconds}}


def test_lines_say_which_goal_is_missed():
    entries = [
        entry(1.0, roofline="popcount", work=100e9), entry(2.0, roofline="memory", work=8e9),
        entry(0.5, machine="sparten", kernel="a", calls=3, positions=10**10, bytes=10**9, goal=1e9, roofline_goal=0.3),
        entry(0.1, machine="scnn", kernel="all", calls=3, positions=10**10, bytes=10**9, goal=1e9, roofline_goal=None),
        entry(0.1, machine="scnn", kernel="one", calls=3, positions=10**10, bytes=0, goal=2e11, roofline_goal=None),
    ]  # fmt: skip
    pairs, whole, one = kernel_lines(entries)[-3:]
    assert "20.0 G" in pairs and "20.0%" in pairs and "50.0%" in pairs and pairs.endswith("BELOW ITS GOAL")
    assert "100.0%" in whole and not whole.endswith("GOAL")
    assert one.endswith("BELOW ITS GOAL")


def test_lines_of_commands():
    given = {
        "command": "dadiannao", "wall_seconds": 1.0, "cpu_seconds": 1.5, "beyond_seconds": 0.5, "peak_bytes": 1e8,
        "goal_wall_seconds": 1.5, "goal_beyond_seconds": 0.6, "goal_peak_bytes": 6e8,
    }  # fmt: skip
    for name, value, met in (
        ("command", "x", 1),
        ("wall_seconds", 2, 0),
        ("beyond_seconds", 0.7, 0),
        ("peak_bytes", 7e8, 0),
    ):
        assert command_lines([entry(1, **given | {name: value})])[1].endswith("BEYOND ITS GOAL") != met


def test_the_table_of_peers_is_in_the_readme_where_it_belongs():
    layers = {shape.name: {"cpu_seconds": 1.25, "cycles": 1234567} for shape in (*peers.SHAPES, peers.NOTHING)}
    measurements = {
        "own": [{"machine": "dadiannao", "passes": ["forward"], "layers": layers}],
        "peers": {"scalesim": {"version": "3.0.0", "layers": layers}},
    }
    text = peers.table(measurements)
    lines = text.splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "1.25 s, 1,234,567" in lines[2] and "`dadiannao`" in lines[2]
    assert "SCALE-Sim 3.0.0" in lines[3] and "(quoted)" not in lines[3]
    assert sum("(quoted)" in line for line in lines) == len(peers.QUOTED)
    readme = "before\n" + peers.MARKS[0] + "old\n" + peers.MARKS[1] + "after\n"
    assert peers.updated(readme, text) == "before\n" + peers.MARKS[0] + text + peers.MARKS[1] + "after\n"
    with pytest.raises(LookupError, match="expected each once"):
        peers.updated("before\n", text)


def test_peers_are_run_where_an_environment_has_them(tmp_path, monkeypatch):
    assert peers.measure_peers([sys.executable], rounds=1) == {}
    program = tmp_path / "program.py"
    lines = (
        "import json, pathlib, sys",
        "pathlib.Path('left-behind').write_text('')",
        "print('what it likes to say')",
        "print(json.dumps({'version': '9', 'cycles': json.loads(sys.argv[2])['channels']}))",
    )
    program.write_text("\n".join(lines))
    monkeypatch.setattr(peers, "PROGRAMS", program)
    monkeypatch.setattr(peers, "TOOLS", {"click": ("Click", "", "")})  # a tool that this environment has
    monkeypatch.chdir(tmp_path)
    (found,) = peers.measure_peers([sys.executable], rounds=1).values()
    assert found["version"] == "9"
    assert {name: each["cycles"] for name, each in found["layers"].items()} == {"conv1": 3, "res3": 128, "res4": 1024}
    assert not (tmp_path / "left-behind").exists()
    with pytest.raises(FileNotFoundError, match="--peers no-such-python: got no Python"):
        peers.measure_peers(["no-such-python"], rounds=1)
