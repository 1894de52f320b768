"""Two reports beside each other, and whether a run still gives what it gave."""

from __future__ import annotations

import copy
import csv
import importlib.metadata
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from command_line import in_process, refused_in_one_line, swatsim
from trace_files import small_trace
from written_documents import comparison_text, report_text

from swatsim.differences import Change, check, differences
from swatsim.differences.finding import MISSING, Place
from swatsim.differences.table import ratio_text
from swatsim.errors import SwatsimError

ROOT = Path(__file__).parent.parent
TOTAL = Place("total", "step", True)


@pytest.fixture
def document():
    return json.loads(report_text())


@pytest.fixture
def write(tmp_path):
    def write(name, document):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return write


# ------------------------------------------------------------------------------------------------------------- finding


def test_a_report_is_as_itself(document):
    found = differences(document, copy.deepcopy(document))
    assert found.none
    assert found.settings == found.changes == ()
    assert found.compared == len(document["rows"])


def test_what_differs_is_found_and_nothing_else(document):
    other = copy.deepcopy(document)
    other["rows"][0]["cycles"] += 5
    other["rows"][-1]["energy_pj"] *= 2
    other["rows"][1]["mapping"] = "another"
    other["architecture"]["tile"]["rows"] = 4
    other["trace"]["provenance"] = {"seed": "1"}
    found = differences(document, other)
    first = document["rows"][0]
    assert found.changes == (
        Change(Place("first", "forward", False), "cycles", first["cycles"], first["cycles"] + 5),
        Change(Place(*_key(document["rows"][1]), False), "mapping", document["rows"][1]["mapping"], "another"),
        Change(TOTAL, "energy_pj", document["rows"][-1]["energy_pj"], other["rows"][-1]["energy_pj"]),
    )
    assert found.changes[2].ratio == 2.0
    assert found.changes[1].ratio is None
    settings = [tuple(setting) for setting in found.settings]
    assert settings == [
        ("architecture.tile.rows", 16, 4), ("trace.provenance", {}, MISSING), ("trace.provenance.seed", MISSING, "1"),
    ]  # fmt: skip


def _key(row):
    return row["layer"], row["pass"]


def test_rows_and_columns_that_one_report_lacks_are_found(document):
    other = copy.deepcopy(document)
    gone, detail = other["rows"].pop(2), other["details"].pop(2)
    assert not detail["is_total"]
    for row in other["rows"]:
        del row["blocks"]
    found = differences(document, other)
    assert found.only_before == (Place(*_key(gone), False),)
    assert found.columns_only_before == ("blocks",)
    assert not found.changes
    back = differences(other, document)
    assert (back.only_after, back.columns_only_after) == (found.only_before, ("blocks",))
    assert not found.none
    assert not check(document, other).passed
    with pytest.raises(SwatsimError, match="column: got 'blocks', which the new report does not have"):
        check(document, other, columns=["blocks"])


def test_rows_without_details_are_told_by_their_layer(document):
    del document["details"]
    other = copy.deepcopy(document)
    other["rows"][-1]["cycles"] += 1
    assert differences(document, other).changes[0].place == TOTAL


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "exceeds"),
    [
        (100, 100, "0", False), (100, 101, "0", True), (100, 99, "0", True),
        (100, 101, "0.01", False), (100, 99, "0.01", False), (1000, 1011, "0.01", True), (1000, 989, "0.01", True),
        (0, 0, "0.5", False), (0, 1, "0.5", True), (10**30, 10**30 + 1, "0", True),
        (None, 1.0, "9", True), ("dram", "compute", "9", True), (0.1, 0.2, "1", False), (0.1, 0.21, "1", True),
    ],
)  # fmt: skip
def test_a_tolerance_is_a_share_of_what_was_before(before, after, tolerance, exceeds):
    assert Change(TOTAL, "cycles", before, after).exceeds(Fraction(tolerance)) == exceeds


def test_a_ratio_shows_that_it_is_not_one():
    assert [ratio_text(ratio) for ratio in (None, 2.0, 1.00012, 1.000001)] == ["-", "2.0000", "1.0001", "1.000001000"]


# ------------------------------------------------------------------------------------------------------------ commands


def test_diff_of_equal_reports(capsys, write, document):
    path = write("a.json", document)
    code, out, err = in_process(capsys, "diff", path, path)
    assert (code, err) == (0, "")
    assert f"All columns of {len(document['rows'])} rows that both have are equal." in out


def test_diff_says_machines_totals_and_rows(capsys, write, document):
    other = json.loads(report_text("systolic"))
    paths = write("a.json", document), write("b.json", other)
    code, out, _ = in_process(capsys, "diff", *paths)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100 + len(str(paths[0]))
    for part in (
        "Different machines:",
        "Totals that differ:",
        "Rows that differ:",
        "Columns that only A has: ",
        "tiles",
    ):
        assert part in out, part
    steps = [report["rows"][-1]["cycles"] for report in (document, other)]
    line = next(line for line in out.splitlines() if line.startswith("total step        cycles"))
    assert line.split() == ["total", "step", "cycles", *(f"{count:,}" for count in steps), f"{steps[1] / steps[0]:.4f}"]


def test_diff_writes_all_columns_or_those_that_are_asked_for(capsys, write, document):
    other = copy.deepcopy(document)
    other["rows"][0]["cycles"] += 1
    other["rows"][0]["blocks"] += 1
    paths = write("a.json", document), write("b.json", other)
    _, out, _ = in_process(capsys, "diff", *paths, "--json", "-")
    found = json.loads(out)
    assert [change["column"] for change in found["changes"]] == ["cycles", "blocks"]
    assert (found["format"], found["before"], found["after"]) == ("swatsim-differences", *map(str, paths))
    _, out, _ = in_process(capsys, "diff", *paths, "--csv", "-", "--column", "blocks")
    (line,) = csv.DictReader(io.StringIO(out))
    assert (line["column"], line["is_total"], int(line["after"]) - int(line["before"])) == ("blocks", "False", 1)
    _, out, _ = in_process(capsys, "diff", *paths)
    assert "Columns that differ and are not shown: blocks." in out


def test_mistakes_of_diff_are_said(capsys, write, document, tmp_path):
    path = write("a.json", document)
    (tmp_path / "comparison.json").write_text(comparison_text())
    for arguments, message in [
        ((path, tmp_path / "comparison.json"), "got a comparison, expected a report, as swatsim run --json writes"),
        ((path, path, "--column", "cycle"), "--column: got 'cycle', expected a column of "),
        ((path, path, "--json", "-", "--csv", "-"), "cannot both write to standard output"),
        ((path, "missing.json"), "missing.json: cannot be read"),
    ]:
        code, out, err = in_process(capsys, "diff", *arguments)
        assert (code, out) == (2, "")
        assert message in err


def test_check_of_a_new_report(capsys, write, document):
    other = copy.deepcopy(document)
    other["rows"][-1]["cycles"] += 1
    other["rows"][0]["energy_pj"] = 1.0
    baseline, new = write("a.json", document), write("b.json", other)
    assert in_process(capsys, "check", "--baseline", baseline, "--report", baseline)[0] == 0
    code, out, err = in_process(capsys, "check", "--baseline", baseline, "--report", new)
    assert (code, err) == (1, "")
    assert "1 of " in out
    assert "energy_pj" not in out
    code, out, _ = in_process(capsys, "check", "--baseline", baseline, "--report", new, "--tolerance", "0.01")
    count = len(document["rows"])
    assert (code, out) == (0, f"{baseline}: cycles of {count} rows are as they were, to within 0.01.\n")
    code, out, _ = in_process(
        capsys, "check", "--baseline", baseline, "--report", new, "--column", "energy_pj", "--json", "-"
    )
    found = json.loads(out)
    assert (code, found["passed"], len(found["changes"])) == (1, False, 1)
    assert found["columns"] == ["energy_pj"]


def test_rows_that_one_report_lacks_are_counted(capsys, write, document):
    less = copy.deepcopy(document)
    del less["rows"][0], less["details"][0]
    given = "--baseline", write("a.json", less), "--report", write("b.json", document)
    code, out, _ = in_process(capsys, "check", *given)
    assert code == 1
    assert f"1 of {len(document['rows'])} rows are not as they were." in out


def test_check_does_the_run_again(capsys, write, tmp_path):
    trace = small_trace(tmp_path / "trace")
    baseline = tmp_path / "baseline.json"
    asked = ("--set", "tile.rows=8", "--layers", "[fs]*", "--pass", "forward", "--objective", "energy",
             "--format", "weight=csr")  # fmt: skip
    assert in_process(capsys, "run", "--arch", "dadiannao", "--trace", trace, *asked, "--json", baseline)[0] == 0
    again = ("check", "--baseline", baseline, "--trace", trace)
    # The machine is the one in the report, or that of its command: the same.
    assert in_process(capsys, *again)[0] == 0
    assert in_process(capsys, *again, "--arch", "dadiannao", "--set", "tile.rows=8")[0] == 0
    code, out, _ = in_process(capsys, *again, "--arch", "dadiannao", "--set", "tile.rows=4")
    assert code == 1
    assert "tile.rows" in out
    assert "second forward cycles" in " ".join(out.split())


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["--trace", "no\x07\nsuch"], r"no\x07\nsuch: got nothing there"),
        (["--trace", "\ud800"], r"\ud800: got"),
        (["--trace", "a" * 100_000], "a" * 200 + "…"),
        (["--trace", "a.csv", "--density", "a\x07\nb=3"], r"--density a\x07\nb=3: got"),
        (["--arch", "no\x07\nsuch", "--trace", "smallcnn"], "no"),
        (["--arch", "dadiannao", "--trace", "smallcnn", "--set", "a\x07\nb"], r"--set a\x07\nb"),
    ],
)
def test_what_a_baseline_names_does_not_break_its_line(capsys, tmp_path, told, message):
    document = json.loads(report_text())
    document["command"] = ["swatsim", "run", *told]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    assert refused_in_one_line(capsys, "check", "--baseline", path).startswith(message)


def test_an_address_that_a_baseline_names_does_not_break_its_line(capsys, tmp_path, document):
    document["command"] = ["swatsim", "run", "--trace", "foo\x07\n://x/x"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    said = refused_in_one_line(capsys, "check", "--baseline", tmp_path / "a.json")
    assert 'a.json: command: --trace: got "foo\\u0007\\n://x/x", expected --trace' in said


def test_check_follows_the_command_that_the_baseline_tells(capsys, write, tmp_path):
    trace, document = small_trace(tmp_path / "trace"), json.loads(report_text("dadiannao", layers="last"))
    document["command"] = ["swatsim", "run", "--arch", "dadiannao", "--trace", str(trace), "--layers", "last"]
    assert in_process(capsys, "check", "--baseline", write("a.json", document))[0] == 0
    document["command"] += ["--set", "tile.rows=1", "--set", "tiles=1"]
    assert in_process(capsys, "check", "--baseline", write("a.json", document))[0] == 1
    # What is given goes before; overrides of another machine are not its own.
    assert in_process(capsys, "check", "--baseline", write("a.json", document), "--arch", "dadiannao")[0] == 0


TOPOLOGY = "Layer,M,N,K,\nqkv,16,12,8,\n"


def baseline_of(capsys, folder, kind):
    """A baseline of a sample, or of a topology: the report of a `swatsim run`."""
    topology = folder / "net.csv"
    topology.write_text(TOPOLOGY)
    if kind == "topology":
        given = (topology, "--density", "0.2", "--density", "input=0.5")
    else:
        given = (small_trace(folder / "small"), "--sample", "0.5", "--seed", "3", "--layers", "first")
    baseline = folder / f"{kind}.json"
    code, _, err = in_process(capsys, "run", "--arch", "dadiannao", "--trace", *given, "--json", baseline)
    assert code == 0, err
    return baseline


@pytest.mark.parametrize(("kind", "column"), [("sample", "sampled_groups"), ("topology", "cycles")])
def test_check_runs_a_sample_and_a_topology_again(capsys, tmp_path, kind, column):
    baseline = baseline_of(capsys, tmp_path, kind)
    code, out, err = in_process(capsys, "check", "--baseline", baseline, "--column", column, "--json", "-")
    assert (code, err) == (0, "")
    # The same part of it and the same seed, or the same densities.
    assert json.loads(out)["settings"] == []


def test_densities_of_a_topology_may_be_others_and_must_be_known(capsys, tmp_path):
    baseline = baseline_of(capsys, tmp_path, "topology")
    assert in_process(capsys, "check", "--baseline", baseline, "--density", "1")[0] == 1
    # A trace in the topology's place has zeros of its own.
    code, _, err = in_process(capsys, "check", "--baseline", baseline, "--trace", small_trace(tmp_path / "small"))
    assert (code, err) == (1, "")
    document = json.loads(baseline.read_text())
    del document["command"]
    baseline.write_text(json.dumps(document))
    code, out, err = in_process(capsys, "check", "--baseline", baseline, "--trace", tmp_path / "net.csv")
    assert (code, out) == (2, "")
    assert "got a topology and no density of input, weight, output_grad, expected --density 0.2" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a.json: command: got none that says where its trace is, expected --trace DIR"),
        (("--trace", "missing"), "missing: got nothing there"),
        (("--trace", "x", "--report", "a.json"), "--report and --trace: a report that is there is not made again"),
        (("--tolerance", "-1"), "--tolerance: got '-1', expected a share such as 0.01"),
        (("--tolerance", "1e-3"), "--tolerance: got '1e-3', expected a share"),
        (("--column", "x", "--report", "a.json"), "column: got 'x', expected one of layer, pass, cycles"),
        (("--trace", "trace", "--set", "tiles=1"), "--set tiles=1: got no --arch, expected the machine whose value"),
    ],
)  # fmt: skip
def test_mistakes_of_check_are_said(capsys, write, document, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write("a.json", document)
    small_trace(tmp_path / "trace")
    code, out, err = in_process(capsys, "check", "--baseline", "a.json", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_an_address_that_only_a_baseline_tells_is_not_asked(capsys, write, document):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/trace"
        document["command"] = ["swatsim", "run", "--arch", "dadiannao", "--trace", address]
        code, out, err = in_process(capsys, "check", "--baseline", write("a.json", document))
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (code, out) == (2, "")
    assert f'a.json: command: --trace: got "{address}", expected --trace to name it too: no address is asked' in err


# ------------------------------------------------------------------------------------------------- of other projects

installed = pytest.mark.skipif(
    not importlib.metadata.entry_points(group="pytest11", name="swatsim"),
    reason="the fixture is not installed: pip install -e . again",
)


def test_the_fixture_and_the_hook_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"swatsim": "swatsim.pytest_plugin"}
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"] == "swatsim check"
    assert hook["pass_filenames"] is False


def test_the_projects_own_hook(tmp_path):
    """What .pre-commit-config.yaml declares, run in another repository whose machine is edited."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = [each for repo in config["repos"] for each in repo["hooks"] if each["id"] == "swatsim-check"]
    assert hook["pass_filenames"] is False
    for name in ("arch/dadiannao.yaml", "traces/smallcnn/manifest.json", "tests/baselines/smallcnn.json"):
        assert re.search(hook["files"], name)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "traces" / "smallcnn", tmp_path / "traces" / "smallcnn", dirs_exist_ok=True)
    program, *arguments = [*shlex.split(hook["entry"]), *hook["args"]]
    assert program == "swatsim"
    done = swatsim(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    machine = tmp_path / "arch" / "dadiannao.yaml"
    text = machine.read_text()
    assert text.count("  rows: 16\n") == 1
    machine.write_text(text.replace("  rows: 16\n", "  rows: 8\n"))
    done = swatsim(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert b"tile.rows" in done.stdout


@installed
def test_the_project_checks_itself(swatsim_check):
    """New cycles are meant where this fails: `swatsim run --json` writes the baseline anew (CONTRIBUTING.md)."""
    swatsim_check("baselines/smallcnn.json", trace="../traces/smallcnn", arch="dadiannao")


@installed
@pytest.mark.parametrize(("kind", "column"), [("sample", "sampled_groups"), ("topology", "cycles")])
def test_the_fixture_runs_a_sample_and_a_topology_again(swatsim_check, capsys, tmp_path, kind, column):
    baseline = baseline_of(capsys, tmp_path, kind)
    swatsim_check(baseline, columns=["cycles", column])
    if kind == "topology":
        swatsim_check(baseline, trace=tmp_path / "net.csv", densities=["0.2", "input=0.5"])
        with pytest.raises(pytest.fail.Exception, match="rows are not as they were"):
            swatsim_check(baseline, densities=["1"])


@installed
def test_the_fixture_in_another_project(tmp_path, write, document):
    trace = small_trace(tmp_path / "trace")
    other = copy.deepcopy(document)
    for row in other["rows"]:
        row["cycles"] += 1
    write("a.json", document)
    write("b.json", other)
    (tmp_path / "test_cycles.py").write_text(
        "import swatsim\n"
        "def test_good(swatsim_check):\n"
        "    swatsim_check('a.json', 'a.json')\n"
        "    swatsim_check('a.json', 'b.json', tolerance=1000)\n"
        "    swatsim_check('a.json', 'b.json', columns=['macs'])\n"
        f"    swatsim_check('a.json', trace={str(trace)!r}, arch='dadiannao')\n"
        "def test_changed(swatsim_check):\n"
        "    swatsim_check('a.json', 'b.json')\n"
        "def test_machine(swatsim_check):\n"
        "    swatsim_check('a.json', trace='trace', arch='dadiannao', overrides={'tile.rows': '4'})\n"
        "def test_report(swatsim_check):\n"
        "    trace = swatsim.load_trace('trace')\n"
        "    report = swatsim.simulate(swatsim.load_architecture('systolic'), trace, workers=1)\n"
        "    swatsim_check('a.json', report)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cycles.py"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "3 failed, 1 passed" in done.stdout
    assert f"a.json: {len(document['rows'])} of {len(document['rows'])} rows are not as they were." in done.stdout
    assert "tile.rows 16 4" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
