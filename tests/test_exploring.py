"""Explorations: the same as trying all, within budgets, again after a stop, whatever the workers."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from command_line import in_process
from rich.console import Console
from trace_files import small_trace, write_trace

import swatsim
from swatsim import explore_command
from swatsim.area import area_of
from swatsim.charts.explorations import pareto
from swatsim.exit_codes import INCOMPLETE
from swatsim.exploring import table
from swatsim.exploring.measures import MEASURES, OF_MACHINE
from swatsim.pages.page import page_of

ROWS, TILES, LANES = (2, 4, 8), (1, 2, 4), (4, 8)
KEYS = {"tile.rows": ROWS, "tiles": TILES, "tile.lanes": LANES}


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return str(small_trace(tmp_path_factory.mktemp("exploring") / "trace"))


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """What one test has simulated, another one finds."""
    return tmp_path_factory.mktemp("points")


@pytest.fixture(scope="module")
def everything(trace, points):
    """Cycles, energy, seconds, area and bytes of every machine, each simulated by itself."""
    found = {}
    for choice in itertools.product(ROWS, TILES, LANES):
        keys = dict(zip(KEYS, choice, strict=True))
        machine = swatsim.load_architecture("dadiannao", overrides=keys)
        report = swatsim.simulate(machine, swatsim.load_trace(trace), workers=1)
        step = report.total("step").as_dict()
        seconds = step["cycles"] / machine.clock_hz
        found[choice] = {
            "cycles": step["cycles"], "seconds": seconds, "energy_j": step["energy_pj"] / 1e12,
            "edp": step["edp_js"], "ed2p": step["edp_js"] * seconds, "power_w": step["average_power_w"],
            "traffic_bytes": step["dram_read_bytes"] + step["dram_write_bytes"],
            "area_mm2": area_of(machine).total_mm2, "macs_per_cycle": machine.macs_per_cycle,
        }  # fmt: skip
    return found


def choice_of(tried):
    return tuple(tried.machine[key] for key in KEYS)


def explore(trace, points, **given):
    return swatsim.explore("dadiannao", trace, **{"overrides": KEYS, "folder": points, "workers": 1, **given})


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "on_chip_bytes"])
def test_all_are_tried_where_there_are_no_more(name, trace, points, everything):
    found = explore(trace, points, objective=name)
    assert found.seed is None
    assert [choice_of(each) for each in found.tried[1:]] == list(everything)
    for each in found.tried[1:]:
        assert each.values[name] == pytest.approx(everything[choice_of(each)][name], rel=1e-12)
    least = min(values[name] for values in everything.values())
    assert found.best.values[name] == pytest.approx(least, rel=1e-12)
    assert not any(each.as_filed for each in found.front)


def test_the_front_is_all_that_nothing_is_better_than(trace, points, everything):
    names = ("cycles", "area_mm2")
    found = explore(trace, points, objective=names)

    def better(one, other):
        return all(one[name] <= other[name] for name in names) and any(one[name] < other[name] for name in names)

    expected = {
        choice for choice, values in everything.items() if not any(better(o, values) for o in everything.values())
    }
    assert {choice_of(each) for each in found.front} == expected
    cycles = [each.values["cycles"] for each in found.front]
    assert cycles == sorted(cycles)


def test_budgets_hold(trace, points, everything):
    areas = sorted(values["area_mm2"] for values in everything.values())
    powers = sorted(values["power_w"] for values in everything.values())
    budget = {"area_mm2": areas[len(areas) // 2], "power_w": powers[len(powers) // 2]}
    found = explore(trace, points, objective="cycles", budget=budget)
    within = [v for v in everything.values() if all(v[name] <= most * (1 + 1e-12) for name, most in budget.items())]
    assert within
    assert found.best.values["cycles"] == min(values["cycles"] for values in within)
    assert sum(each.feasible for each in found.tried[1:]) == len(within)
    # What is too large by its file alone is not simulated.
    for each in found.tried[1:]:
        assert ("cycles" in each.values) == (each.values["area_mm2"] <= budget["area_mm2"])


def test_nothing_within_the_budgets(trace, points, tmp_path, capsys):
    found = explore(trace, points, objective="cycles", budget={"area_mm2": 1})
    assert found.front == ()
    with pytest.raises(swatsim.SwatsimError, match="got no machine within area_mm2 <= 1, expected at least one"):
        found.to_yaml()
    code, out, _ = in_process(
        capsys, "explore", "--arch", "dadiannao", "--trace", trace, "--set", "tiles=1,2", "--budget", "area_mm2=1",
        "--write-arch", tmp_path / "a.yaml", "-o", points, "--workers", "1",
    )  # fmt: skip
    assert code == INCOMPLETE
    assert "No machine is within the budgets." in out
    assert not (tmp_path / "a.yaml").exists()


def test_several_traces_are_averaged_and_budgets_hold_for_each(trace, points, tmp_path):
    write_trace(tmp_path / "other")
    traces = [trace, str(tmp_path / "other")]
    alone = [explore(each, points, objective="cycles") for each in traces]
    both = swatsim.explore("dadiannao", traces, overrides=KEYS, objective="cycles", folder=points, workers=1)
    assert both.computed == 0
    for one, other, mean in zip(alone[0].tried, alone[1].tried, both.tried, strict=True):
        assert mean.values["cycles"] ** 2 == pytest.approx(one.values["cycles"] * other.values["cycles"])
    worst = [max(a.values["cycles"], b.values["cycles"]) for a, b in zip(alone[0].tried, alone[1].tried, strict=True)]
    limit = sorted(worst)[len(worst) // 2]
    limited = swatsim.explore(
        "dadiannao", traces, overrides=KEYS, objective="cycles", budget={"cycles": limit}, folder=points, workers=1
    )
    assert [each.feasible for each in limited.tried] == [each <= limit for each in worst]


def test_refused_machines_are_never_chosen(trace, points):
    found = explore(trace, points, overrides={"tile.rows": [0, 4]}, objective="cycles")
    assert [each.refused is None for each in found.tried] == [True, False, True]
    assert "tile.rows" in found.tried[1].refused
    assert choice_of_rows(found.best) == 4


def choice_of_rows(tried):
    return tried.machine["tile.rows"]


def test_an_unknown_area_is_no_area(trace, points, tmp_path):
    machine = swatsim.load_architecture("dadiannao").model_dump(mode="json")
    machine["area"]["multiplier_mm2"] = None
    path = tmp_path / "unknown.yaml"
    path.write_text(yaml.safe_dump(machine, sort_keys=False))
    found = swatsim.explore(str(path), trace, objective="area_mm2", folder=points, workers=1)
    assert found.front == ()
    assert "does not say the area of multipliers, expected all of it" in found.tried[0].refused
    assert "does not say the area of multipliers" in printed(found)


def printed(found):
    text = io.StringIO()
    table.print_exploration(found, Console(file=text, width=1000))
    return text.getvalue()


def test_bytes_on_chip_are_those_of_all_tiles(trace, points):
    found = swatsim.explore(
        "global-buffer", trace, overrides={"tiles": [2, 3]}, objective="on_chip_bytes", folder=points, workers=1
    )
    of_tile = 16_384 + 2048 + 2048
    assert [each.values["on_chip_bytes"] for each in found.tried[1:]] == [(1 << 20) + n * of_tile for n in (2, 3)]


def test_a_memory_without_limit_has_no_bytes(trace, points):
    unlimited = {"memory.central.capacity_bytes": [None]}
    found = swatsim.explore(
        "dadiannao", trace, overrides=unlimited, objective="on_chip_bytes", folder=points, workers=1
    )
    assert "whose central is unlimited, expected a size" in found.tried[1].refused


def test_a_table_says_what_it_leaves_out(trace, points, tmp_path, monkeypatch):
    write_trace(tmp_path / "other")
    monkeypatch.setattr(table, "_MOST_SHOWN", 1)
    found = swatsim.explore(
        "dadiannao", [trace, str(tmp_path / "other")], overrides={"tiles": TILES}, objective=["cycles", "area_mm2"],
        folder=points, workers=1,
    )  # fmt: skip
    assert len(found.front) > 1
    text = printed(found)
    assert f"{len(found.front) - 1} more machines that no other is better than: --json and --csv have them." in text
    assert "Measures are geometric means over the traces; budgets hold for each of them." in text


def test_names_are_shown_as_they_are(trace, points, tmp_path):
    machine = swatsim.load_architecture("dadiannao").model_dump(mode="json")
    machine["name"] = "a:car:[red]"
    names = [str(tmp_path / name) for name in ("[bold]a.yaml", "b:car:.yaml", ":car:[red].yaml")]
    for name in names:
        machine["area"]["multiplier_mm2"] = None if name == names[2] else 1
        Path(name).write_text(yaml.safe_dump(machine, sort_keys=False))
    shown = printed(swatsim.explore(names, trace, objective="area_mm2", folder=points, workers=1))
    assert all(name in shown for name in names)
    alone = printed(swatsim.explore(names[2], trace, objective="area_mm2", folder=points, workers=1))
    assert "Refused, such as: area_mm2: got a:car:[red]," in alone


def test_the_best_machine_is_a_file(trace, points, tmp_path, capsys):
    path = tmp_path / "best.yaml"
    code, out, _ = in_process(
        capsys, "explore", "--arch", "dadiannao", "--trace", trace, "--set", "tile.rows=2,4,8", "--objective", "cycles",
        "--budget", "macs_per_cycle=1024", "--write-arch", path, "--json", "-", "-o", points, "--workers", "1",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    best = next(each for each in document["tried"] if each["front"])
    report = swatsim.simulate(swatsim.load_architecture(path), swatsim.load_trace(trace), workers=1)
    assert report.total("step").cycles == best["values"]["cycles"]
    assert document["command"][:4] == ["swatsim", "explore", "--arch", "dadiannao"]


def test_page_chart_and_table(trace, points, capsys, tmp_path):
    found = explore(trace, points, objective=["edp", "area_mm2"])
    document = json.loads(found.to_json())
    chart = pareto(document)
    assert len(chart.points) == len(found.tried)
    assert sum(point.series == chart.front for point in chart.points) == len(found.front)
    page = page_of(found.to_json()).decode()
    assert "Least energy-delay product" in page
    assert page.count("<circle") == len(found.tried)
    assert found.to_dataframe().shape[0] == len(found.tried)
    assert found.to_csv().splitlines()[0].startswith("arch,tile.rows,tiles,tile.lanes,edp,area_mm2,as_filed")
    code, out, _ = in_process(
        capsys, "explore", "--arch", "dadiannao", "--trace", trace, "--set", "tiles=1,2", "-o", points,
        "--html", tmp_path / "e.html", "--workers", "1",
    )  # fmt: skip
    assert code == 0
    assert "as its file has it" in out
    assert "2 machines tried (all there are): 0 refused." in out
    assert max(map(len, out.splitlines())) <= 100
    assert (tmp_path / "e.html").stat().st_size > 10_000


@pytest.mark.parametrize(("arguments", "message"), [
    (("--budget", "area=3"), "--budget area=3: got 'area', expected one of cycles, seconds"),
    (("--budget", "area_mm2=x"), "--budget area_mm2=x: got 'x', expected MEASURE=NUMBER, such as area_mm2=70"),
    (("--budget", "area_mm2=0"), "budget: area_mm2: got 0.0, expected a number above 0"),
    (("--budget", "area_mm2=nan"), "budget: area_mm2: got nan, expected a number above 0"),
    (("--budget", "area_mm2=1", "--budget", "area_mm2=2"), "--budget"),
    (("--objective", "edp", "--objective", "edp"), "objective: got edp twice, expected it once"),
    (("--trials", "0"), "trials: got 0, expected an integer from 1 to 100000"),
    (("--arch", "none.yaml"), "none.yaml: cannot be read: No such file or directory"),
    (("--layers", "none*"), "layers: got 'none*', which matches no layer of"),
    (("--json", "-", "--csv", "-"), "--json - and --csv - cannot both write to standard output"),
    (("--write-arch", "missing/a.yaml"), "missing/a.yaml: cannot be written"),
])  # fmt: skip
def test_mistakes_are_one_line(trace, tmp_path, capsys, arguments, message):
    code, out, err = in_process(
        capsys, "explore", "--arch", "dadiannao", "--trace", trace, "-o", tmp_path / "points", *arguments
    )
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(("text", "more", "message"), [
    ("arch: dadiannao\ntrace: t\n", ("--arch", "scnn"), "a grid file says all of --arch, --trace, --set, --mapping"),
    ("arch: dadiannao\ntrace: t\nobjective: [cycles, energy]\n", (), "mapping: got cycles, energy, expected one"),
])  # fmt: skip
def test_mistakes_beside_a_grid_file(tmp_path, capsys, text, more, message):
    (tmp_path / "grid.yaml").write_text(text)
    code, out, err = in_process(capsys, "explore", tmp_path / "grid.yaml", *more, "-o", tmp_path / "points")
    assert (code, out) == (2, "")
    assert message in err


def test_an_exploration_has_an_objective(trace, points):
    with pytest.raises(swatsim.SwatsimError, match=r"^objective: got none, expected at least one$"):
        explore(trace, points, objective=())


def test_the_command_knows_the_measures():
    assert explore_command.MEASURES == MEASURES
    assert set(OF_MACHINE) < set(MEASURES)


# ------------------------------------------------------------------------------------------------------------- optuna


def test_the_extra_is_named_before_anything_is_simulated(trace, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(swatsim.SwatsimError, match=r"explore needs optuna: pip install 'swatsim\[explore\]'"):
        explore(trace, tmp_path / "points", objective="cycles", trials=3)
    assert not (tmp_path / "points").exists()


@pytest.mark.parametrize("trials", ["2", pytest.param("1", marks=pytest.mark.extra("optuna"))])
def test_a_misspelt_key_is_a_mistake(trials, trace, tmp_path, capsys):
    """Whether all machines are tried or some are chosen; as of a sweep."""
    given = ("--arch", "dadiannao", "--trace", trace, "--set", "tile.row=4,8", "-o", tmp_path / "points")
    code, out, err = in_process(capsys, "explore", *given, "--trials", trials)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"--set tile\.row=[48]: tile\.row: unknown key, did you mean tile\.rows\?\n", err)
    assert trials == "1" or not (tmp_path / "points").exists()


def test_why_machines_are_refused_is_said(trace, tmp_path, capsys):
    given = ("--arch", "dadiannao", "--trace", trace, "--set", "tile.rows=0,4", "-o", tmp_path / "points")
    code, out, _ = in_process(capsys, "explore", *given, "--budget", "area_mm2=1")
    assert code == INCOMPLETE
    assert "Refused, such as: --set tile.rows=0: tile.rows: got 0" in out


def test_a_page_counts_what_the_table_does(trace, points):
    found = explore(trace, points, objective="cycles", budget={"area_mm2": 1})
    page = page_of(found.to_json()).decode()
    machines = len(list(itertools.product(ROWS, TILES, LANES)))
    assert f"{machines} above a budget, 0 refused" in page


def test_the_best_machine_is_what_it_was(trace, points, tmp_path):
    """An edit after it was found does not change it."""
    path = tmp_path / "own.yaml"
    path.write_bytes(explore(trace, points, objective="cycles").to_yaml())
    found = swatsim.explore(str(path), trace, overrides={"tile.lanes": [4]}, folder=points, workers=1)
    path.write_text(path.read_text().replace("clock_hz: ", "clock_hz: 1"))
    assert found.architecture.clock_hz == swatsim.load_architecture("dadiannao").clock_hz


@pytest.mark.extra("optuna")
@pytest.mark.parametrize("objective", ["edp", ["cycles", "area_mm2"]])
def test_chosen_machines_are_the_same_whatever_the_workers(objective, trace, points, tmp_path):
    found = [
        explore(trace, folder, objective=objective, budget={"macs_per_cycle": 512}, trials=10, seed=3, workers=workers)
        for folder, workers in ((points, 1), (tmp_path / "a", 2), (points, 1))
    ]
    assert len({each.to_json() for each in found}) == 1
    assert found[2].computed == 0
    assert len(found[0].tried) == 11
    choices = [choice_of(each) for each in found[0].tried[1:]]
    assert len(set(choices)) == len(choices)
    other = explore(trace, points, objective=objective, trials=10, seed=4)
    assert [choice_of(each) for each in other.tried[1:]] != choices


@pytest.mark.extra("optuna")
def test_an_optimizer_finds_the_best_of_a_larger_space(trace, points, everything):
    """Nearly all are tried: it must not end before, nor miss what is told of infeasible ones."""
    found = explore(trace, points, objective="cycles", budget={"macs_per_cycle": 128}, trials=len(everything) - 1)
    within = [values["cycles"] for values in everything.values() if values["macs_per_cycle"] <= 128]
    assert sorted(within)[0] <= found.best.values["cycles"] <= sorted(within)[1]


@pytest.mark.extra("optuna")
def test_a_killed_exploration_computes_nothing_twice(trace, tmp_path):
    command = [
        sys.executable, "-m", "swatsim", "explore", "--arch", "dadiannao", "--trace", trace,
        "--set", "tile.rows=1,2,4,8", "--set", "tiles=1,2,4,8", "--trials", "12", "--json", "-",
        "-o", str(tmp_path / "points"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(kept := list((tmp_path / "points").glob("*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    written = {path: path.stat().st_mtime_ns for path in kept}
    assert written
    again = subprocess.run(command, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    whole = subprocess.run([*command[:-1], str(tmp_path / "others")], check=True, capture_output=True)
    documents = [json.loads(each.stdout) for each in (again, whole)]
    for document in documents:
        document.pop("command")
    assert documents[0] == documents[1]
