"""Lists, the doctor, and what shells complete."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from command_line import PROGRAM, environment, in_process
from trace_files import small_trace

from swatsim import doctor
from swatsim.architecture import load_architecture, shipped_architectures
from swatsim.cli import cli
from swatsim.completion_command import SHELLS
from swatsim.datapaths import datapaths
from swatsim.errors import SwatsimError
from swatsim.formats import FORMATS
from swatsim.list_command import KINDS as OFFERED
from swatsim.listing import KINDS, listed
from swatsim.listing.traces import traces_below
from swatsim.networks import network_names
from swatsim.schemes import scheme_names
from swatsim.trace import shipped

# --------------------------------------------------------------------------------------------------------------- lists


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """A folder with two traces, one of which is damaged, and a hidden one."""
    small_trace(tmp_path / "traces" / "deep" / "good")
    damaged = small_trace(tmp_path / "traces" / "bad")
    (damaged / "manifest.json").write_text("[]")
    small_trace(tmp_path / "traces" / ".hidden" / "trace")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_offers_what_there_is():
    assert tuple(KINDS) == OFFERED


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("machines", shipped_architectures()), ("schemes", scheme_names()), ("datapaths", datapaths()),
        ("networks", network_names()), ("formats", FORMATS),
    ],
)  # fmt: skip
def test_all_of_a_kind_are_listed(capsys, kind, names):
    code, out, err = in_process(capsys, "list", kind)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[1:] if line and not line.startswith(" ")][: len(names)] == list(names)
    _, out, _ = in_process(capsys, "list", kind, "--json", "-")
    document = json.loads(out)
    assert (document["format"], document["version"]) == ("swatsim-list", 1)
    assert [row["name"] for row in document[kind]] == list(names)
    assert all(value not in ("", None) for row in document[kind] for value in row.values())
    _, out, _ = in_process(capsys, "list", kind, "--csv", "-")
    assert list(csv.DictReader(io.StringIO(out))) == [
        {key: str(value) for key, value in row.items()} for row in document[kind]
    ]


def test_a_machine_is_listed_with_its_figures():
    row = next(row for row in listed("machines").rows if row["name"] == "dadiannao")
    machine = load_architecture("dadiannao")
    assert row["macs_per_cycle"] == 16 * 16 * 16
    assert (row["datapath"], row["clock_hz"], row["title"]) == ("lanes", 606_000_000, machine.name)


def test_traces_are_found_where_they_are(traces):
    good, bad = Path("traces/deep/good"), Path("traces/bad")
    rows = {row["path"]: row for row in listed("traces").rows}
    assert set(rows) == {str(good), str(bad)}
    assert rows[str(good)]["layers"] == 3
    assert rows[str(good)]["images"] == 2
    assert rows[str(good)]["problem"] is None
    assert rows[str(bad)]["problem"].startswith("traces/bad/manifest.json: got ")
    assert [row["path"] for row in listed("traces", [str(good), str(traces)]).rows] == [
        str(good), str(traces / bad), str(traces / good)
    ]  # fmt: skip


def test_folders_are_searched_four_deep(tmp_path):
    small_trace(tmp_path / "a" / "b" / "c" / "d")
    small_trace(tmp_path / "e" / "f" / "g" / "h" / "i")
    assert list(traces_below(str(tmp_path))) == [tmp_path / "a" / "b" / "c" / "d"]


def test_a_table_of_traces_says_what_is_wrong_with_one(capsys, traces):
    code, out, _ = in_process(capsys, "list", "traces")
    assert code == 0
    assert "traces/bad/manifest.json: got " in out
    (traces / "empty").mkdir()
    code, out, _ = in_process(capsys, "list", "traces", "empty")
    assert code == 0
    assert out.startswith("No traces are here.\n")


def test_traces_that_come_with_an_installation_are_listed(capsys, traces, monkeypatch, tmp_path):
    installed = tmp_path / "package" / "data" / "traces" / "tiny"
    small_trace(installed)
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "package")
    code, out, _ = in_process(capsys, "list", "traces", "--json", "-")
    assert code == 0
    assert [row["path"] for row in json.loads(out)["traces"]].count(str(installed)) == 1
    code, out, _ = in_process(capsys, "list", "traces", "tiny", "--json", "-")
    assert code == 0
    assert [row["path"] for row in json.loads(out)["traces"]] == [str(installed)]
    code, _, err = in_process(capsys, "list", "traces", "y" * 5000)
    assert code == 2
    assert "got no folder, expected one to look for traces in" in err


def test_the_overview_has_every_name(capsys, traces):
    code, out, err = in_process(capsys, "list")
    assert (code, err) == (0, "")
    words = out.replace(",", " ").split()
    for kind in KINDS:
        assert set(listed(kind).names) <= set(words), kind


def test_there_are_no_other_kinds():
    with pytest.raises(SwatsimError, match=r"^list: got 'machine', expected one of machines, "):
        listed("machine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("machine",), "'machine' is not one of 'machines'"),
        (("machines", "folder"), "got 'folder' after machines, expected folders after traces alone"),
        (("traces", "nowhere"), "nowhere: got no folder, expected one to look for traces in"),
        (("--csv", "-"), "--csv: got no KIND, expected one of machines"),
        (("formats", "--json", "-", "--csv", "-"), "cannot both write to standard output"),
    ],
)
def test_mistakes_of_list_are_said(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = in_process(capsys, "list", *arguments)
    assert (code, out) == (2, "")
    assert message in err


# -------------------------------------------------------------------------------------------------------------- doctor


def states(results):
    return {result.name: result.state for result in results}


def test_the_doctor_finds_that_this_works(capsys):
    code, out, _ = in_process(capsys, "doctor")
    assert code == 0, out
    assert out.endswith("\nswatsim works.\n")
    assert "a layer on dadiannao takes 32 compute cycles, 128 without skipping" in out
    code, out, _ = in_process(capsys, "doctor", "--json", "-")
    document = json.loads(out)
    assert (code, document["works"]) == (0, True)
    assert {"swatsim", "numba", "cache", "compiler", "data", "simulation"} <= {
        check["name"] for check in document["checks"]
    }


def test_the_doctor_finds_a_wrong_simulation(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_COMPUTE_CYCLES", 31)
    code, out, _ = in_process(capsys, "doctor")
    assert code == 1
    assert "FAILED  simulation" in out
    assert "expected 31 and 128" in out
    assert out.endswith("\nNot working: simulation.\n")


def test_the_doctor_finds_a_wrong_kernel(monkeypatch):
    monkeypatch.setattr("swatsim.kernels.bits.count_ones", lambda _: 2)
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    (found,) = doctor._compiler()
    assert found == ("compiler", "FAILED", "a compiled kernel gives a wrong result, expected 3 ones in 0b1011")


def test_the_doctor_writes_what_it_finds(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "CHECKS", (doctor._processors,))
    code, out, _ = in_process(capsys, "doctor", "--json", tmp_path / "d.json")
    assert (code, out.endswith("\nswatsim works.\n")) == (0, True)
    assert [check["name"] for check in json.loads((tmp_path / "d.json").read_text())["checks"]] == ["processors"]


def test_the_doctor_tells_what_cannot_be_imported(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "swatsim.doctor", None)
    code, out, _ = in_process(capsys, "doctor")
    assert code == 1
    assert out.startswith("FAILED  import        ")
    assert out.endswith(": pip install --upgrade --force-reinstall swatsim\n")


@pytest.mark.parametrize("error", [OSError("disk"), ValueError("x\ny"), ImportError("no module")])
def test_a_check_that_breaks_is_a_result(monkeypatch, error):
    def _data():
        raise error
        yield

    monkeypatch.setattr(doctor, "CHECKS", (_data, doctor._versions))
    results = list(doctor.examine())
    assert (results[0].name, results[0].state) == ("data", "FAILED")
    assert results[0].text.isprintable()
    assert len(results) > 2


def test_the_doctor_tells_what_is_missing_or_old(monkeypatch):
    versions = {"numpy": "1.26.4", "numba": "0.61.0rc1", "torch": "2.13.0+cpu"}

    def version(name):
        if name not in versions:
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = {(result.name, result.state): result.text for result in (*doctor._versions(), *doctor._extras())}
    assert found["numpy", "FAILED"] == "is 1.26.4, expected 2.0 or later: pip install --upgrade swatsim"
    assert found["rich", "FAILED"].startswith("is not installed")
    assert ("numba", "ok") in found
    assert found["extra torch", "ok"] == "torch 2.13.0+cpu"
    assert found["extra onnx", "note"] == "onnx is not installed: pip install 'swatsim[onnx]'"


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")
@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"SWATSIM_CACHE_DIR": "/dev/null"}, "cache", "FAILED"), ({"NUMBA_DISABLE_JIT": "1"}, "compiler", "note"),
    ],
)  # fmt: skip
def test_the_doctor_finds_what_a_setting_breaks(changes, name, state):
    code = (
        "import json; from swatsim import doctor; checks = (doctor._cache, doctor._compiler); "
        "print(json.dumps([result for check in checks for result in check()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **changes}, check=True, capture_output=True, text=True
    )
    assert {found[0]: found[1] for found in json.loads(done.stdout)}[name] == state


# ---------------------------------------------------------------------------------------------------------- completion


@pytest.fixture
def completed(capsys, monkeypatch):
    """What is offered to fish for the last of some words."""

    def call(*words):
        monkeypatch.setenv("_SWATSIM_COMPLETE", "fish_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(words[:-1]))
        monkeypatch.setenv("COMP_CWORD", words[-1])
        code, out, err = in_process(capsys)
        assert (code, err) == (0, "")
        return [line.split("\t")[0].partition(",") for line in out.splitlines()]

    return call


@pytest.fixture
def values(completed):
    return lambda *words: [value for _, _, value in completed(*words)]


def test_machines_are_completed(completed, values):
    assert values("swatsim", "run", "--arch", "dadi") == ["dadiannao", "dadiannao-dense"]
    assert completed("swatsim", "run", "--arch", "./my")[0][0] == "file"


def test_traces_are_completed(traces, completed, values):
    assert values("swatsim", "run", "--trace", "traces/d") == ["traces/deep/good"]
    assert values("swatsim", "trace", "info", "traces/") == ["traces/bad", "traces/deep/good"]
    assert values("swatsim", "run", "--trace", f"{traces}/traces/b") == [f"{traces}/traces/bad"]
    assert completed("swatsim", "run", "--trace", "nowhere/")[0][0] == "dir"
    assert values("swatsim", "trace", "synth", "resnet50", "-o", "traces/d") == [""]


def test_keys_are_completed_for_the_machine_that_is_given(values):
    found = values("swatsim", "run", "--arch", "systolic", "--set", "datapath.")
    assert "datapath.dataflow=" in found
    assert "datapath.skip=" not in found
    assert "memory.weight_fifo.banks=" in values("swatsim", "run", "--arch", "systolic", "--set", "memory.w")
    assert values("swatsim", "run", "--arch", "systolic", "--set", "datapath.between_folds=") == [
        "datapath.between_folds=wait", "datapath.between_folds=overlap",
    ]  # fmt: skip
    assert "memory.nbin.banks=" in values("swatsim", "compare", "--arch", "dadiannao", "--set", "memory.n")
    assert "tile.rows=" in values("swatsim", "run", "--set", "tile")


def test_a_type_for_completion_changes_no_value(capsys):
    """Options take what they took."""
    code, _, err = in_process(capsys, "run", "--arch", "nothing-like-it", "--trace", "x")
    assert code == 2
    assert err.startswith("no architecture is named 'nothing-like-it'")
    run = cli.commands["run"]
    assert all(parameter.type.name == "text" for parameter in run.params if parameter.name in ("arch", "trace_path"))


def test_help_says_how_line_by_line(capsys):
    code, out, _ = in_process(capsys, "completion", "--help")
    assert code == 0
    assert '\n  bash: eval "$(swatsim completion bash)"         in ~/.bashrc\n  zsh:  eval' in out


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(capsys, shell):
    code, out, err = in_process(capsys, "completion", shell)
    assert (code, err) == (0, "")
    assert f"_SWATSIM_COMPLETE={shell}_complete" in out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=out, text=True, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", """
            eval "$(swatsim completion bash)"
            COMP_WORDS=(swatsim run --arch tensor) COMP_CWORD=3
            _swatsim_completion swatsim
            echo "${COMPREPLY[@]}"
        """),
        ("fish", """
            swatsim completion fish | source
            complete -C "swatsim run --arch tensor"
        """),
    ],
)  # fmt: skip
def test_shells_complete_by_the_script(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} is here")
    path = {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", script], env=environment(**path), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("tensordash\n", "")
