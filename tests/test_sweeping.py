"""Sweeps: every combination once, kept as it is finished, the same wherever it is computed."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import in_process, refused_in_one_line
from trace_files import small_trace

import swatsim
from swatsim import grid_option
from swatsim.architecture.loader import read_architecture
from swatsim.errors import ProcessError, SwatsimError, TraceError
from swatsim.exit_codes import INCOMPLETE
from swatsim.mapper import OBJECTIVES
from swatsim.saved import load_saved
from swatsim.sweeping import Grid, cluster, machines, read_grid, store
from swatsim.sweeping.grid import matching, parse_axis
from swatsim.sweeping.point import sources_digest
from swatsim.sweeping.running import plan, run_grid
from swatsim.sweeping.store import Store

MACHINES = ("dadiannao", "cnvlutin")
ROWS = (2, 4, 8)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return str(small_trace(tmp_path_factory.mktemp("sweep") / "trace"))


@pytest.fixture
def grid(trace):
    return Grid(arch=MACHINES, trace=[trace], overrides={"tile.rows": ROWS})


def test_every_combination_is_a_point_once(grid, tmp_path):
    found = run_grid(grid, tmp_path, workers=2)
    assert [(point["parameters"]["arch"], point["parameters"]["tile.rows"]) for point in found.points] == [
        (machine, rows) for machine in MACHINES for rows in ROWS
    ]
    assert found.computed == len(grid) == len(list(tmp_path.glob("*.json"))) == 6
    assert found.varied == ("arch", "tile.rows")


def test_a_point_has_what_a_run_gives(grid, trace, tmp_path):
    for point in run_grid(grid, tmp_path, workers=2).points:
        given = point["parameters"]
        machine = swatsim.load_architecture(given["arch"], overrides={"tile.rows": given["tile.rows"]})
        report = swatsim.simulate(machine, swatsim.load_trace(trace))
        assert point["totals"] == [row.as_dict() for row in report.totals]
        assert point["error"] is None


def test_the_same_bytes_whatever_the_workers_and_again(grid, tmp_path):
    one = run_grid(grid, tmp_path / "one", workers=1)
    two = run_grid(grid, tmp_path / "two", workers=2)
    again = run_grid(grid, tmp_path / "one", workers=2)
    assert (one.computed, two.computed, again.computed) == (6, 6, 0)
    assert one.to_json() == two.to_json() == again.to_json()
    assert one.to_csv() == two.to_csv()


def test_only_what_is_missing_or_changed_is_computed(grid, trace, tmp_path):
    run_grid(grid, tmp_path, workers=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    gone = sorted(before)[0]
    gone.unlink()
    wider = Grid(arch=MACHINES, trace=[trace], overrides={"tile.rows": (*ROWS, 16)})
    assert run_grid(wider, tmp_path, workers=2).computed == 1 + len(MACHINES)
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items() if path != gone)
    other = Grid(arch=MACHINES, trace=[trace], overrides={"tile.rows": ROWS}, objective=["energy"])
    assert run_grid(other, tmp_path, workers=2).computed == 6


DAMAGES = {
    "empty": lambda whole: b"", "cut": lambda whole: b"{", "a list": lambda whole: b"[]",
    "another key": lambda whole: b'{"key": "other"}',
    "nothing but its key": lambda whole: json.dumps({"key": whole["key"]}).encode(),
    "totals of another shape": lambda whole: json.dumps({**whole, "totals": "none"}).encode(),
    "rows of another shape": lambda whole: json.dumps({**whole, "totals": [1]}).encode(),
    "not a number": lambda whole: json.dumps({**whole, "error": float("nan")}).encode(),
    "a key twice": lambda whole: json.dumps(whole)[:-1].encode() + b', "error": null}',
    "deep": lambda whole: b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_computed_anew(grid, tmp_path, damage):
    whole = run_grid(grid, tmp_path, workers=2)
    path = sorted(tmp_path.iterdir())[2]
    path.write_bytes(damage(json.loads(path.read_bytes())))
    again = run_grid(grid, tmp_path, workers=2)
    assert again.computed == 1
    assert again.to_json() == whole.to_json()


def test_keys_follow_what_decides_a_point(trace, tmp_path):
    def keys(**changes):
        given = {"arch": ["dadiannao"], "trace": [trace], "overrides": {"tile.rows": (4,)}} | changes
        return [point.key for point in plan(Grid(**given))]

    other = str(tmp_path / "other")
    with swatsim.TraceWriter(other, metadata=swatsim.TraceMetadata(name="other")) as writer:
        writer.add(next(iter(swatsim.load_trace(trace))))
    changed = [
        keys(), keys(overrides={"tile.rows": (8,)}), keys(arch=["cnvlutin"]), keys(objective=["energy"]),
        keys(layers="last"), keys(trace=[other]),
    ]  # fmt: skip
    assert len({key for (key,) in changed}) == len(changed)
    # What is written in another way is the same point.
    assert keys() == keys(overrides={"tile.rows": (4,), "tile.lanes": (16,)})


def test_shards_are_disjoint_and_complete(grid):
    points = plan(grid)
    for count in (1, 2, 4, 6, 9):
        shards = [plan(grid, (number, count)) for number in range(1, count + 1)]
        assert sorted(point.key for shard in shards for point in shard) == sorted(point.key for point in points)
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_no_share(grid, shard):
    with pytest.raises(SwatsimError, match=r"^shard: got .*, expected i/n with i from 1 to n$"):
        plan(grid, shard)


def test_each_machine_is_read_once_and_by_its_shard_alone(trace, monkeypatch):
    read = []
    monkeypatch.setattr(machines, "_made", lambda *given: read.append(given) or read_architecture(*given[:2], {}))
    machines._planned.cache_clear()
    objectives = ["cycles", "energy"]
    grid = Grid(arch=MACHINES, trace=[trace], overrides={"tile.rows": ROWS}, objective=objectives)
    planned = [plan(grid, (number, 3)) for number in (1, 2, 3)]
    assert len(set(read)) == len(read) == len(MACHINES) * len(ROWS)
    for shard in planned:
        assert sorted(point.parameters["objective"] for point in shard) == sorted(objectives * 2)
    order = list(grid.points())
    for shard in planned:
        places = [order.index(dict(point.parameters)) for point in shard]
        assert places == sorted(places)


def test_a_shard_without_a_machine_that_can_be_stops_no_other(trace):
    mixed = Grid(arch=["dadiannao"], trace=[trace], overrides={"tile.rows": (4, 0)})
    shards = [plan(mixed, (number, 2)) for number in (1, 2)]
    assert sorted(point.refused is None for (point,) in shards) == [False, True]
    none = Grid(arch=["dadiannao"], trace=[trace], overrides={"tile.rows": (0, -1)})
    for shard in (None, (1, 2), (2, 2), (1, 9)):
        with pytest.raises(SwatsimError, match=r"tile\.rows: got 0"):
            plan(none, shard)


def test_what_one_point_cannot_do_stops_no_other(trace, tmp_path):
    grid = Grid(arch=["dadiannao"], trace=[trace], overrides={
        "tile.rows": (4, 0), "memory.central.capacity_bytes": (1, None),
    })  # fmt: skip
    found = run_grid(grid, tmp_path, workers=2)
    errors = [point["error"] for point in found.points]
    assert len(found.failed) == 3
    assert "expected at least" in errors[0]
    assert errors[1] is None
    assert all("tile.rows: got 0, expected an integer from 1" in error for error in errors[2:])


def test_an_edited_machine_is_another_one(trace, tmp_path):
    machine = tmp_path / "own.yaml"
    text = yaml.safe_dump(swatsim.load_architecture("dadiannao").model_dump(mode="json"), sort_keys=False)
    machine.write_text(text)
    before = swatsim.sweep(str(machine), trace, folder=tmp_path / "points", workers=1)
    planned = plan(Grid(arch=[str(machine)], trace=[trace], objective=["energy"]))
    other = yaml.safe_load(text)
    other["tile"]["rows"] = 2
    machine.write_text(yaml.safe_dump(other, sort_keys=False))
    # What was planned is the machine of then.
    assert planned[0].document()["totals"][0]["cycles"] == before.points[0]["totals"][0]["cycles"]
    after = swatsim.sweep(str(machine), trace, folder=tmp_path / "points", workers=1)
    assert after.computed == 1
    assert after.points[0]["totals"][0]["cycles"] != before.points[0]["totals"][0]["cycles"]


def test_what_another_run_may_not_meet_is_not_kept(tmp_path, monkeypatch):
    trace = small_trace(tmp_path / "trace")
    tensor = next((trace / "tensors").iterdir())
    whole, given = tensor.read_bytes(), {"folder": tmp_path / "points", "workers": 1}
    tensor.write_bytes(bytes(len(whole)))
    with pytest.raises(TraceError, match="damaged zstd frame"):
        swatsim.sweep("dadiannao", str(trace), **given)
    tensor.write_bytes(whole)

    def dying(*_, **__):
        raise ProcessError("workers: got a process that ended")

    with monkeypatch.context() as patch:
        patch.setattr("swatsim.sweeping.point.simulate", dying)
        with pytest.raises(ProcessError):
            swatsim.sweep("dadiannao", str(trace), **given)
    found = swatsim.sweep("dadiannao", str(trace), **given)
    assert (found.computed, found.failed) == (1, ())


# ------------------------------------------------------------------------------------------------------- stopped


def running(grid_file, folder, log):
    command = [sys.executable, "-m", "swatsim", "sweep", str(grid_file), "-o", str(folder), "--workers", "2"]
    with log.open("ab") as errors:
        return subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL
        )


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a whole session of processes")
def test_nothing_is_lost_and_nothing_computed_twice_after_ten_kills(trace, tmp_path):
    rows = list(range(1, 31))  # each of the starts checks every point
    grid_file, folder, log = tmp_path / "grid.yaml", tmp_path / "points", tmp_path / "log"
    grid_file.write_text(f"arch: [dadiannao, cnvlutin]\ntrace: {trace}\nset:\n  tile.rows: {rows}\n")
    chance, seen = random.Random(0), {}
    for _ in range(10):
        process = running(grid_file, folder, log)
        deadline = time.monotonic() + 60
        while len(list(folder.glob("*.json"))) <= len(seen) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in folder.glob("[0-9a-f]*.json") if folder.exists() else ():
            moment = path.stat().st_mtime_ns
            assert seen.setdefault(path.name, moment) == moment, "computed twice"
            assert json.loads(path.read_text())["key"] == path.stem, "half a point"
    assert set(seen) <= {path.name for path in folder.glob("*.json")}, "lost"
    assert len(seen) > 0, "killed before anything was finished"
    assert running(grid_file, folder, log).wait() == 0, log.read_text()
    assert all((folder / name).stat().st_mtime_ns == moment for name, moment in seen.items())
    found = run_grid(read_grid(str(grid_file)), folder)
    assert (found.computed, len(found.points)) == (0, 60)
    # What kills left of files that never came to be is gone.
    assert {path.name for path in folder.iterdir()} == {f"{point['key']}.json" for point in found.points}


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    left = tmp_path / f".{'0a' * 16}.json.{'0f' * 8}.partial"
    others = [tmp_path / ".own.json.0123456789abcdef.partial", tmp_path / f"{'0a' * 16}.json"]
    for path in (left, *others):
        path.touch()
    Store(tmp_path).make()
    assert set(tmp_path.iterdir()) == set(others)


def test_a_point_under_the_name_of_another_is_computed_anew(grid, tmp_path):
    """It is whole, and says its own SHA-256: only its key tells."""
    whole = run_grid(grid, tmp_path, workers=2)
    one, other = (tmp_path / f"{point['key']}.json" for point in whole.points[:2])
    one.replace(other)
    assert Store(tmp_path).read(other.stem) is None
    again = run_grid(grid, tmp_path, workers=2)
    assert again.computed == 2
    assert again.to_json() == whole.to_json()


def test_a_point_is_kept_while_another_run_begins(tmp_path, monkeypatch):
    store, sync, begun = Store(tmp_path), os.fsync, iter([Store(tmp_path).make])
    monkeypatch.setattr("os.fsync", lambda file: (next(begun, lambda: None)(), sync(file)))
    store.write({"key": "0a" * 16})
    assert [path.name for path in tmp_path.iterdir()] == [f"{'0a' * 16}.json"]
    assert next(begun, None) is None


# ------------------------------------------------------------------------------------------------------- grids


def test_a_grid_from_a_file(tmp_path, trace):
    (tmp_path / "own.yaml").write_text("name: own\n")
    path = tmp_path / "grid.yaml"
    path.write_text(
        f"arch: [dadiannao, own.yaml]\ntrace: {trace}\nlayers: first\nobjective: energy\n"
        "set:\n  tile.rows: [4, 8]\n  datapath.moves: [[[1, 0]], [[1, 0], [2, 0]]]\n  tile.lanes: 8\n"
    )
    grid = read_grid(str(path))
    assert grid.axes == {
        "arch": ("dadiannao", str(tmp_path / "own.yaml")), "trace": (trace,), "objective": ("energy",),
        "tile.rows": (4, 8), "datapath.moves": ([[1, 0]], [[1, 0], [2, 0]]), "tile.lanes": (8,),
    }  # fmt: skip
    assert (grid.layers, len(grid)) == ("first", 8)


@pytest.mark.parametrize(("text", "expected"), [
    ("", "grid.yaml: got "), ("arch: x\ntraces: y\n", "traces: unknown key, expected one of arch, trace"),
    ("arch: x\n", "trace: got [], expected at least one name"),
    ("arch: x\ntrace: y\nobjective: speed\n", "objective: got 'speed', expected one of cycles"),
    ("arch: x\ntrace: y\nset: 4\n", "set: got 4, expected keys of the architecture"),
    ("arch: x\ntrace: y\nset: {tile.rows: []}\n", "tile.rows: got no value, expected at least one"),
    ("arch: x\ntrace: y\nset: {tile.rows: [4, 4]}\n", "tile.rows: got 4 twice, expected each value once"),
    ("arch: x\ntrace: y\nset: {arch: [4]}\n", "set: got 'arch', expected a key of the architecture"),
    ("arch: x\narch: y\n", "arch"), ("arch: [x\n", "grid.yaml:"),
    ("arch: x\ntrace: 5\n", "trace: got [5], expected at least one name"),
    ("arch: x\ntrace: [[y]]\n", "trace: got [['y']], expected at least one name"),
    ("arch: x\ntrace: y\nlayers: 5\n", "layers: got 5, expected a pattern of names"),
    ("arch: x\ntrace: '**y'\n", "got '**y', expected a pattern of directories with * or ?, no **"),
    ('arch: x\n"a\\nb": y\n', "'a\\nb': unknown key"),
])  # fmt: skip
def test_mistakes_of_a_grid_file(tmp_path, text, expected):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(SwatsimError) as raised:
        read_grid(str(path))
    assert expected in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('trace: "foo\\n://\\e]0;x\\x07"', r"foo\n://\x1b]0;x\x07: got "),
        ('trace: "no\\x07\\nsuch/x"', r"{folder}/no\x07\nsuch/x: got nothing there, expected "),
        (f"trace: {'a' * 100_000}", "a" * 200 + "…"),
        ('trace: smallcnn\nlayers: "\\x07\\nq"', r"layers: got '\x07\nq', which matches no layer"),
    ],
)
def test_what_a_grid_names_does_not_break_its_line(capsys, tmp_path, text, message):
    path = tmp_path / "grid.yaml"
    path.write_text(f"arch: dadiannao\n{text}\n")
    said = refused_in_one_line(capsys, "sweep", path, "--output", tmp_path / "points")
    assert said.startswith(message.replace("{folder}", str(tmp_path)))


def test_a_grid_or_a_folder_of_a_hostile_name(capsys, tmp_path):
    where = str(tmp_path / "a\n\x07b")
    shown = where.replace("\n\x07", r"\n\x07")
    assert refused_in_one_line(capsys, "sweep", where, "--output", tmp_path / "points").startswith(
        f"{shown}: cannot be r"
    )
    (tmp_path / "file").touch()
    arguments = ("sweep", "--arch", "dadiannao", "--trace", "smallcnn", "--set", "tiles=4", "--output")
    assert "cannot be written" in refused_in_one_line(capsys, *arguments, tmp_path / "file" / "a\n\x07b")


@pytest.mark.parametrize("value", [1 << 70, float("nan"), {1, 2}])
def test_a_value_that_no_file_holds(trace, tmp_path, value):
    with pytest.raises(SwatsimError, match=r"^tile\.rows: got .*, expected a value that JSON can have, of few digits$"):
        swatsim.sweep("dadiannao", trace, overrides={"tile.rows": [4, value]}, folder=tmp_path)


def test_numbers_of_numpy_are_numbers(trace, tmp_path):
    axes = {"tile.rows": np.array([2, 4]), "memory.dram.energy_pj_per_bit": np.array([4.5], np.float32)}
    found = swatsim.sweep("dadiannao", trace, overrides=axes, folder=tmp_path, workers=1)
    assert [list(point["parameters"].values())[3:] for point in found.points] == [[2, 4.5], [4, 4.5]]


def test_too_many_points(trace):
    with pytest.raises(SwatsimError, match="expected at most 1000000"):
        Grid(arch=["x"], trace=[trace], overrides={"tile.rows": range(1001), "tile.lanes": range(1000)})


@pytest.mark.parametrize(("keys", "got"), [(18, "1000000000000000000"), (19, "10000000000000000000"),
                                           (100, "an integer of many digits")])  # fmt: skip
def test_more_points_than_a_length_can_say(tmp_path, capsys, keys, got):
    path = tmp_path / "grid.yaml"
    axes = "".join(f"  tile.rows{key}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n" for key in range(keys))
    path.write_text(f"arch: dadiannao\ntrace: smallcnn\nset:\n{axes}")
    expected = f"{path}: grid: got {got} points, expected at most 1000000\n"
    assert in_process(capsys, "sweep", path, "--output", tmp_path / "points") == (2, "", expected)


@pytest.mark.parametrize(("text", "values"), [
    ("tile.rows=4,8, 16", (4, 8, 16)), ("datapath.moves=[[1, 0]],[[1, 0], [2, 0]]", ([[1, 0]], [[1, 0], [2, 0]])),
    ("memory.sb.capacity_bytes=null,1e6", (None, 1_000_000)), ("datapath.barrier=chunk", ("chunk",)),
])  # fmt: skip
def test_values_of_the_command_line(text, values):
    assert parse_axis(text) == (text.partition("=")[0], values)


def test_patterns_match_traces(tmp_path):
    for name in ("b", "a"):
        small_trace(tmp_path / name)
    (tmp_path / "c").mkdir()
    assert matching(f"{tmp_path}/*") == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert matching("no/pattern") == ["no/pattern"]
    with pytest.raises(SwatsimError, match="matches no trace"):
        matching(f"{tmp_path}/x*")


def test_patterns_of_directories_below_others(tmp_path, monkeypatch):
    for name in ("x/a", "x/b", "y/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        small_trace(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert matching("./?/a") == ["x/a", "y/a"]
    assert matching("x/../[xy]/b*") == ["x/../x/b"]
    assert matching(f"{tmp_path}/*/*") == [str(tmp_path / name) for name in ("x/a", "x/b", "y/a")]


@pytest.mark.parametrize("pattern", ["*/" * 40 + "zz", "*/" * 40])
def test_links_that_lead_round_are_not_followed_for_ever(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).symlink_to(".")
    with pytest.raises(SwatsimError, match=r"expected at most 100000 files and directories to look at$"):
        matching(pattern)


@pytest.mark.parametrize(("pattern", "expected"), [
    ("a\0/*", "which matches no trace"), ("*/" + "a" * 300, "which matches no trace"),
    ("*/" + "a/" * 500, "of at most 1000 characters"), ("x" * 998 + "**", "no **, of at most 1000 characters"),
    ("x" * 999 + "*", "which matches no trace"), ("x" * 1000 + "*", "of at most 1000 characters"),
])  # fmt: skip
def test_patterns_that_no_directory_has(tmp_path, monkeypatch, pattern, expected):
    monkeypatch.chdir(tmp_path)
    small_trace(tmp_path / "a")
    with pytest.raises(SwatsimError, match=re.escape(expected)):
        matching(pattern)
    with pytest.raises(SwatsimError, match=r"layers: got .*, expected a pattern of names"):
        Grid(arch=["dadiannao"], trace=["a"], layers="[" * 1001)


def test_a_directory_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    small_trace(tmp_path / "a")
    is_file = Path.is_file

    def refuse(path):
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    (tmp_path / "b").mkdir()
    monkeypatch.setattr(Path, "is_file", refuse)
    assert matching(f"{tmp_path}/*") == [str(tmp_path / "a")]


def test_a_pipe_in_the_folder_of_points_is_no_point(tmp_path):
    os.mkfifo(tmp_path / "k.json")
    assert Store(tmp_path).read("k") is None


def test_a_grid_names_files_and_no_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "grid.yaml").write_text("arch: pipe.yaml\ntrace: smallcnn\n")
    with pytest.raises(SwatsimError, match=r"grid\.yaml: arch: got .*, which is no file, expected"):
        read_grid(str(tmp_path / "grid.yaml"))


# ------------------------------------------------------------------------------------------------------- outputs


def command(capsys, trace, folder, *more):
    return in_process(
        capsys, "sweep", "--arch", "dadiannao", "--trace", trace, "--set", "tile.rows=2,4", "-o", folder, *more
    )


def test_the_command_and_its_files(capsys, trace, tmp_path):
    code, output, _ = command(
        capsys, trace, tmp_path / "points", "--json", tmp_path / "s.json", "--csv", tmp_path / "s.csv"
    )
    assert code == 0
    assert "tile.rows" in output
    assert "2 points, 2 of them computed now, are kept in" in output
    assert all(len(line) <= 100 for line in output.splitlines()[:-1])
    saved = load_saved(tmp_path / "s.json", "sweep").document
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    assert saved["command"] == [
        "swatsim", "sweep", "--arch", "dadiannao", "--trace", trace, "--set", "tile.rows=2,4",
        "--output", str(tmp_path / "points"),
    ]  # fmt: skip
    assert [row["cycles"] for row in rows] == [
        str(total["cycles"]) for point in saved["points"] for total in point["totals"]
    ]
    assert {row["tile.rows"] for row in rows} == {"2", "4"}
    code, output, _ = command(capsys, trace, tmp_path / "points", "--json", "-")
    assert json.loads(output) == saved
    page = tmp_path / "s.html"
    assert in_process(capsys, "report", page, tmp_path / "s.json")[0] == 0
    assert b"tile.rows" in page.read_bytes()
    assert in_process(capsys, "report", "-", tmp_path / "s.json")[1].encode() == page.read_bytes()


def test_a_failed_point_is_said_by_the_exit_code(capsys, trace, tmp_path):
    code, output, _ = in_process(
        capsys, "sweep", "--arch", "dadiannao", "--trace", trace, "--set", "tile.rows=4,0", "-o", tmp_path / "points"
    )
    assert code == INCOMPLETE
    assert "1 could not be simulated" in output


@pytest.mark.parametrize(("arguments", "expected"), [
    (("--shard", "3/2"), "shard: got 3/2"), (("--shard", "x"), "--shard x: got no I/N"),
    (("--set", "tile.lanes"), "--set tile.lanes: got no '='"), (("--set", "tile.rows=1"), "got it twice"),
    (("--json", "-", "--csv", "-"), "cannot both write"), (("--parquet", "-", "--csv", "-"), "cannot both write"),
    (("--arch", "none.yaml"), "none.yaml: cannot be read: No such file or directory"),
    (("--set", "trace=a,b"), "set: got 'trace', expected a key of the architecture"),
    (("--set", "tile.row=4,8"), "--set tile.row=4: tile.row: unknown key, did you mean tile.rows?"),
    (("--layers", "none*"), "layers: got 'none*', which matches no layer of"),
    (("-o", ""), "--output: got an empty name, expected a folder"),
    (("grid.yaml",), "a grid file says all of --arch, --trace, --set, --objective and --layers"),
])  # fmt: skip
def test_mistakes_on_the_command_line(capsys, trace, tmp_path, arguments, expected):
    code, _, error = command(capsys, trace, tmp_path / "points", *arguments)
    assert code == 2
    assert expected in error


@pytest.mark.parametrize("times", [3, 1000])
def test_a_point_whose_unfinished_file_another_run_removes_is_written_again(tmp_path, monkeypatch, times):
    write, left = store.write_file, [times]

    def removed_at_first(path, data, **how):
        left[0] -= 1
        if left[0] >= 0:
            raise FileNotFoundError(path)
        write(path, data, **how)

    monkeypatch.setattr(store, "write_file", removed_at_first)
    document = {"key": "k", "parameters": {}, "totals": [], "error": None}
    with nullcontext() if times == 3 else pytest.raises(SwatsimError, match="cannot be written"):
        Store(tmp_path).write(document)
    assert len(list(tmp_path.iterdir())) == (times == 3)


def test_a_worker_of_a_cluster_gives_documents_and_what_swatsim_refuses(grid):
    """Elsewhere it runs in a process of Dask's."""
    point, digest = plan(grid)[0], sources_digest()
    assert cluster._document(point, digest) == point.document(workers=1)
    assert "got another swatsim than here" in str(cluster._document(point, "another"))
    changed = replace(point, trace={**point.trace, "digest": "0" * 64})
    assert "begin again" in str(cluster._document(changed, digest))


def test_the_command_knows_the_objectives():
    assert tuple(OBJECTIVES) == grid_option.OBJECTIVES


@pytest.mark.extra
def test_parquet(grid, tmp_path):
    found = run_grid(grid, tmp_path, workers=2)
    try:
        import pyarrow.parquet
    except ImportError:
        with pytest.raises(SwatsimError, match=r"pip install 'swatsim\[parquet\]'"):
            found.to_parquet()
        return
    table = pyarrow.parquet.read_table(io.BytesIO(found.to_parquet()))
    assert table.column("cycles").to_pylist() == [row["cycles"] for row in found.rows()]


@pytest.mark.extra("pyarrow")
def test_parquet_of_parameters_of_several_types(trace, tmp_path):
    from pyarrow import parquet

    values = (4, "many", [1], True, 1 << 63, None)
    found = swatsim.sweep("dadiannao", trace, overrides={"tile.rows": values}, folder=tmp_path, workers=1)
    table = parquet.read_table(io.BytesIO(found.to_parquet()))
    assert set(table.column("tile.rows").to_pylist()) == {"4", "many", "[1]", "True", str(1 << 63), None}


def test_a_missing_extra_is_said_before_anything_is_computed(capsys, trace, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, error = command(capsys, trace, tmp_path / "points", "--parquet", tmp_path / "a.parquet")
    assert (code, error) == (2, "Parquet needs pyarrow: pip install 'swatsim[parquet]'\n")
    assert not (tmp_path / "points").exists()


def test_a_synthetic_trace_is_marked(capsys, trace, tmp_path):
    other = tmp_path / "other"
    with swatsim.TraceWriter(
        str(other), metadata=swatsim.TraceMetadata(name="other", provenance={"source": "synthetic"})
    ) as writer:
        writer.add(next(iter(swatsim.load_trace(trace))))
    code, output, _ = command(capsys, trace, tmp_path / "points", "--trace", other, "--csv", tmp_path / "s.csv")
    assert code == 0
    assert "A trace is synthetic: its masks were drawn at random" in output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    assert {(row["trace"], row["trace_source"]) for row in rows} == {(trace, ""), (str(other), "synthetic")}


def test_from_python(trace):
    found = swatsim.sweep(["dadiannao"], trace, overrides={"tile.rows": [2, 4]}, workers=2)
    table = found.to_dataframe()
    assert set(table["tile.rows"]) == {2, 4}
    assert "<table" in found._repr_html_()


def test_a_point_takes_the_place_of_a_link(tmp_path):
    """Many may share the folder, and keys can be known before."""
    (tmp_path / "other").write_text("precious")
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "k.json").symlink_to(tmp_path / "other")
    Store(tmp_path / "points").write({"key": "k", "parameters": {}, "totals": [], "error": None})
    assert (tmp_path / "other").read_text() == "precious"
    assert not (tmp_path / "points" / "k.json").is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no text")
def test_names_that_are_no_text_are_escaped(capsys, trace, tmp_path):
    name = tmp_path / os.fsdecode(b"t\xff")
    shutil.copytree(trace, name)
    code, output, _ = command(capsys, name, tmp_path / "points", "--csv", "-")
    assert code == 0
    assert {row["trace"] for row in csv.DictReader(io.StringIO(output))} == {str(tmp_path / "t\\udcff")}
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert command(capsys, name, tmp_path / "points", "--parquet", tmp_path / "s.parquet")[0] == 0
    assert set(pandas.read_parquet(tmp_path / "s.parquet")["trace"]) == {str(tmp_path / "t\\udcff")}


def test_a_grid_file_is_not_cut_where_it_is_too_long(tmp_path):
    path = tmp_path / "grid.yaml"
    for size, expected in ((1_000_000, "arch: got"), (1_000_001, "got 1000001 bytes, expected at most 1000000")):
        text = "arch: []\ntrace: smallcnn\n#"
        path.write_text(text + "x" * (size - len(text)))
        with pytest.raises(SwatsimError, match=expected):
            read_grid(str(path))
