"""`swatsim compare` called in this process: options, outputs, and a user's mistakes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from command_line import environment, in_process, on_terminal
from trace_files import write_trace

from swatsim import compare_command
from swatsim.architecture import load_architecture
from swatsim.comparison import compare
from swatsim.comparison.document import to_csv, to_json
from swatsim.comparison.normalization import NORMALIZATIONS
from swatsim.comparison.picture import to_svg
from swatsim.comparison.result import MEASURES
from swatsim.mapper import OBJECTIVES
from swatsim.trace import load_trace

NAMES = ("dadiannao-dense", "tensordash")


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return write_trace(tmp_path_factory.mktemp("traces") / "small")


@pytest.fixture
def run(trace, capsys, tmp_path, monkeypatch):
    """(exit code, standard output, standard error) of `swatsim compare` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments, machines=("--arch", *NAMES), trace_path=trace):
        return in_process(capsys, "compare", *machines, "--trace", trace_path, *arguments)

    return call


@pytest.fixture(scope="module")
def compared(trace):
    return compare({name: load_architecture(name) for name in NAMES}, load_trace(trace))


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, ""), (code, out, err)
    for part in parts:
        assert part in err
    return err


def listed(result):
    """The machines, in the order of the rows."""
    code, out, err = result
    assert (code, err) == (0, "")
    return list(dict.fromkeys(row["machine"] for row in csv.DictReader(io.StringIO(out))))


def test_what_the_shell_makes_of_a_pattern(run, compared):
    expected = to_csv(compared)
    for machines in (
        ("--arch", *NAMES), ("--arch", NAMES[0], "--arch", NAMES[1]), NAMES, (f"--arch={NAMES[0]}", NAMES[1]),
    ):  # fmt: skip
        assert run("--csv", "-", machines=machines) == (0, expected, "")
    assert run(NAMES[1], "--csv", "-", machines=("--arch", NAMES[0])) == (0, expected, "")


def by_command(compared, text):
    """What Python found, with the command that the document says made it."""
    found = tuple(json.loads(text)["command"])
    assert found[:3] == ("swatsim", "compare", "--arch")
    return replace(compared, command=found)


def test_files_hold_what_python_says(run, tmp_path, compared):
    _, table, _ = run()
    code, out, err = run("--json", "a.json", "--csv", "a.csv", "--picture", "a.svg")
    assert (code, out, err) == (0, table, "")
    assert "TensorDash" not in table
    assert max(map(len, table.splitlines())) <= 100
    text = (tmp_path / "a.json").read_text()
    assert text == to_json(by_command(compared, text), "cycles")
    assert (tmp_path / "a.csv").read_text() == to_csv(compared)
    assert (tmp_path / "a.svg").read_text() == to_svg(compared, "cycles")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.svg"]


def test_standard_output(run, compared):
    code, out, err = run("--json", "-")
    assert (code, out, err) == (0, to_json(by_command(compared, out), "cycles"), "")
    assert run("--picture", "-", "--by", "compute") == (0, to_svg(compared, "compute"), "")


def test_options_reach_the_comparison(run):
    code, out, err = run(
        "--normalize", "none", "--baseline", "bit-tactical", "--by", "compute", "--layers", "second",
        "--objective", "energy", "--workers", "1", "--json", "-",
    )  # fmt: skip
    assert (code, err) == (0, "")
    document = json.loads(out)
    found = [document[key] for key in ("normalize", "by", "layers", "objective")]
    assert found == ["none", "compute", "second", "energy"]
    assert document["baseline"]["architecture"]["name"] == load_architecture("bit-tactical").name


def test_set_changes_all_machines_and_not_the_baseline(run):
    document = json.loads(run("--set", "tiles=2", "--layers", "second", "--json", "-")[1])
    assert [machine["architecture"]["tiles"] for machine in document["machines"]] == [2, 2]
    assert document["baseline"]["architecture"]["tiles"] == 16


def test_sort(run):
    backward = ("--arch", "dadiannao-dense", "dadiannao")
    assert listed(run("--csv", "-", "--layers", "second", machines=backward)) == ["dadiannao-dense", "dadiannao"]
    fastest = listed(run("--csv", "-", "--layers", "second", "--sort", "speed", machines=backward))
    assert fastest == ["dadiannao", "dadiannao-dense"]


def test_choices_are_those_that_there_are():
    assert compare_command.NORMALIZATIONS == NORMALIZATIONS
    assert tuple(MEASURES) == compare_command.MEASURES
    assert tuple(OBJECTIVES) == compare_command.OBJECTIVES


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_no_machine(run):
    refused(run(machines=()), "got no machine, expected --arch FILE or more files")


def test_twice(run):
    refused(run("dadiannao-dense"), "--arch dadiannao-dense: got it twice, expected each machine once")
    refused(run("--set", "tiles=1", "--set", "tiles=2"), "--set tiles: got it twice")


def test_all_files_are_read_before_anything_is_refused(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\ntiles: zero\n")
    err = refused(run("mine.yaml", "nowhere.yaml", "tensordsh"), "mine.yaml:2:8: tiles: got", "did you mean tensordash")
    assert "nowhere.yaml: cannot be read: No such file" in err


def test_an_override_that_one_machine_does_not_have(run):
    err = refused(run("--set", "memory.central.bankz=2"), "memory.central.bankz: unknown key")
    assert next(line.split(": ")[0] for line in err.splitlines()) == "dadiannao-dense"


def test_the_baseline(run):
    refused(run("--baseline", "dadianna"), "no architecture is named 'dadianna'", "did you mean dadiannao")


def test_a_trace_that_does_not_fit_names_the_file(run, tmp_path):
    from importlib.resources import files

    source = files("swatsim").joinpath("..", "arch", "dadiannao.yaml").read_text()
    (tmp_path / "tight.yaml").write_text(source.replace("capacity_bytes: 4_194_304", "capacity_bytes: 256"))
    refused(run("./tight.yaml", "--json", "a.json"), "./tight.yaml: ", ": memory.central.capacity_bytes: got 256")
    assert [path.name for path in tmp_path.iterdir()] == ["tight.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--picture", "a.png"), "--picture: got 'a.png', expected a name that ends in .svg"),
        (("--picture", "a.svg", "--json", "a.svg"), "--picture and --json: got a.svg for both"),
        (("--json", "-", "--csv", "-"), "--json - and --csv - cannot both write to standard output"),
        (("--picture", "-", "--csv", "-"), "--picture - and --csv - cannot both write to standard output"),
        (("--json", "missing/a.json"), "missing/a.json: cannot be written: No such file"),
        (("--picture", ""), "--picture: got an empty name, expected a file or -"),
        (("--normalize", "mac"), "'mac' is not one of 'macs', 'area', 'none'"),
        (("--sort", "name"), "'name' is not one of"),
        (("--layers", "x*"), "layers: got 'x*', which matches none"),
    ],
)
def test_refused(run, tmp_path, arguments, message):
    refused(run(*arguments), message)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------- process

IMPORTED = """
import json, sys
from swatsim.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("command", [["compare", "--help"], ["compare"], ["compare", "--trace", "t"]])
def test_what_needs_no_simulation_imports_nothing_heavy(command):
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED, *command], capture_output=True, text=True, check=True, env=environment()
    )
    imported = set(json.loads(result.stdout.splitlines()[-1]))
    assert "swatsim.compare_command" in imported
    assert not imported & {"numpy", "numba", "pandas", "pydantic", "rich", "yaml", "swatsim.comparison"}


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_of_all_layers(trace, run):
    arguments = ("compare", "--arch", *NAMES, "--trace", trace)
    shown, output, code = on_terminal(*arguments, stdout_too=False)
    assert code == 0
    assert "comparing" in shown
    assert "6/6" in shown
    assert output == run()[1]
