"""`swatsim run` called in this process: options, outputs, and a user's mistakes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle

import pytest
from command_line import in_process, refused_in_one_line
from trace_files import small_layers, write_trace

import swatsim
from swatsim.cli import OBJECTIVES, SHOWN, main
from swatsim.errors import ArchitectureError, TraceError
from swatsim.mapper import OBJECTIVES as MAPPED
from swatsim.passes import PASSES
from swatsim.report.table import VIEWS
from swatsim.report.timeline_checks import check_trace_events

PASS_TOTALS = ["forward", "input_grad", "weight_grad", "backward", "other", "step"]


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return write_trace(tmp_path_factory.mktemp("traces") / "small")


@pytest.fixture
def run(trace, capsys, tmp_path, monkeypatch):
    """(exit code, standard output, standard error) of `swatsim run` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments, arch="dadiannao", trace_path=trace):
        return in_process(capsys, "run", "--arch", arch, "--trace", trace_path, *arguments)

    return call


def refused(result, *parts):
    """Assert exit code 2, nothing on standard output, and a message that has these parts."""
    code, out, err = result
    assert (code, out) == (2, ""), (code, out, err)
    for part in parts:
        assert part in err
    return err


# -------------------------------------------------------------------------------------------------------------- table


def test_table(run):
    code, out, err = run()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in out
    header = ["layer", "pass", "cycles", "stalls", "dense", "ideal", "speedup", "util", "DRAM", "bound"]
    assert lines[0].split() == header
    rows = [line.split()[:2] for line in lines[1:] if line[:1].isalpha() and line.split()[1] in PASS_TOTALS]
    layers = [["first", name] for name in ("forward", "weight_grad")]
    layers += [[layer, name] for layer in ("second", "last") for name in swatsim.layer.PASSES]
    assert rows == layers + [["total", name] for name in PASS_TOTALS]


def test_table_and_json_tell_the_same(run):
    _, table, _ = run("--layers", "second", "--pass", "forward")
    _, document, _ = run("--layers", "second", "--pass", "forward", "--json", "-")
    row = json.loads(document)["rows"][0]
    cells = table.splitlines()[1].split()
    assert cells[2:6] == [f"{row[name]:,}" for name in ("cycles", "stall_cycles", "dense_cycles", "ideal_cycles")]
    assert cells[6:8] == [f"{row['speedup']:.2f}x", f"{row['utilization']:.0%}"]
    assert cells[8:10] == [str(row["dram_read_bytes"] + row["dram_write_bytes"]), "B"]
    assert cells[10] == row["bound_by"]


@pytest.mark.parametrize("columns", ["20", "80", "250"])
def test_a_table_in_a_file_does_not_depend_on_the_terminal(run, monkeypatch, columns):
    expected = run()
    monkeypatch.setenv("COLUMNS", columns)
    assert run() == expected


def test_names_of_layers_are_shown_as_they_are(run, tmp_path):
    layer = small_layers()[2]
    names = ["[bold]a[/b]", ":smile:", "x" * 150]
    layers = [
        swatsim.Layer(spec=swatsim.LayerSpec(
            name=name, kind="linear", input_shape=(2, 3, 7), weight_shape=(5, 7), output_shape=(2, 3, 5),
        ), passes=layer.passes)
        for name in names
    ]  # fmt: skip
    code, out, _ = run(trace_path=write_trace(tmp_path / "named", layers, graph=[]))
    assert code == 0
    assert "[bold]a[/b]" in out
    assert ":smile:" in out
    assert "xxx…" in out
    assert max(map(len, out.splitlines())) <= 100
    # Only the name gives way: every number is whole.
    assert out.count("…") == 3


# -------------------------------------------------------------------------------------------------------------- files


def test_json_and_csv_on_standard_output_are_pure(run):
    code, out, err = run("--json", "-")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["format"], document["version"]) == ("swatsim-report", 2)
    assert document["simulation"] == {"objective": "cycles", "formats": {}, "layers": "*", "passes": list(PASSES)}
    assert document["area"]["total_mm2"] > 0
    assert document["footprint"]["total"]["weight_bytes"] > 0
    assert document["architecture"]["tile"]["rows"] == 16
    assert document["trace"]["name"] == "small"
    totals = [row["pass"] for row in document["rows"] if row["layer"] == "total"]
    assert totals == PASS_TOTALS
    code, out, err = run("--csv", "-")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(document["rows"][0])
    assert [[row["layer"], row["pass"], row["cycles"]] for row in rows] == [
        [row["layer"], row["pass"], str(row["cycles"])] for row in document["rows"]
    ]


def test_files_hold_what_standard_output_would(run, tmp_path):
    _, table, _ = run()
    _, document, _ = run("--json", "-")
    _, rows, _ = run("--csv", "-")
    code, out, err = run("--json", "report.json", "--csv", tmp_path / "rows.csv")
    assert (code, out, err) == (0, table, "")
    assert (tmp_path / "report.json").read_bytes().decode() == document
    assert (tmp_path / "rows.csv").read_bytes().decode() == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "rows.csv"]


def test_a_file_and_standard_output_together(run, tmp_path):
    _, rows, _ = run("--csv", "-")
    assert run("--json", "report.json", "--csv", "-") == (0, rows, "")
    assert json.loads((tmp_path / "report.json").read_text())["format"] == "swatsim-report"


@pytest.mark.parametrize("name", ["steps.json", "steps.json.gz", "steps.html"])
def test_timeline(run, tmp_path, name):
    _, table, _ = run()
    assert run("--timeline", name) == (0, table, "")
    (written,) = tmp_path.iterdir()
    assert written.name == name
    data = written.read_bytes()
    if name.endswith(".html"):
        assert data.startswith(b"<!doctype html>")
        assert b'"format":"swatsim-timeline"' in data
    else:
        check_trace_events(gzip.decompress(data) if name.endswith(".gz") else data)


def test_a_run_says_where_its_time_goes(run, tmp_path):
    """Stages of all threads; the results are the same bytes."""
    given = ("--workers", "2", "--csv", "-")
    plain = run(*given)
    assert plain[0] == 0
    code, out, table = run(*given, "--profile")
    assert (code, out) == plain[:2]
    stages = {line.rsplit(maxsplit=5)[0].strip() for line in table.splitlines()[1:-1]}
    assert stages == {
        "start-up", "reading tensors", "contraction", "scheduling", "mapping", "timeline", "report", "other"
    }  # fmt: skip
    file = tmp_path / "profile.json"
    assert run(*given, "--profile", file) == plain
    assert {each["stage"] for each in json.loads(file.read_text())} == stages
    refused(run(*given, "--profile", "missing/profile.json"), "missing/profile.json: cannot be written")


def test_an_earlier_file_is_replaced_whole(run, tmp_path):
    (tmp_path / "report.json").write_text("x" * 100_000)
    run("--json", "report.json")
    json.loads((tmp_path / "report.json").read_text())


def test_not_both_on_standard_output(run):
    refused(run("--json", "-", "--csv", "-"), "--json - and --csv -")


def test_each_key_is_set_once(run):
    refused(run("--set", "tile.rows=4", "--set", "tile.rows=5"), "--set tile.rows: got it twice")


@pytest.mark.parametrize("options", [("--json", "--csv"), ("--json", "--timeline"), ("--csv", "--timeline")])
def test_not_both_in_one_file(run, tmp_path, options):
    first, second = options
    message = f"{first} and {second}: got ./same.json for both, expected different files\n"
    assert refused(run(first, "same.json", second, "./same.json")) == message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.txt", "out", "-", "out.gz", "out.json.gz.bak"])
def test_a_timeline_needs_a_known_end_of_its_name(run, tmp_path, name):
    message = f"timeline: got {name!r}, expected a name that ends in .json.gz, .json or .html\n"
    assert refused(run("--timeline", name)) == message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--json", "--csv", "--timeline"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing/report.json", "No such file"), ("folder.json", "Is a directory"),
        ("file/report.json", "Not a directory"), ("", ""),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_written(run, tmp_path, option, path, reason):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    other = {"--json": "--csv", "--csv": "--json", "--timeline": "--json"}[option]
    expected = f"{path}: cannot be written" if path else "got an empty name, expected a file or -"
    assert len(refused(run(option, path, other, "other"), expected, reason).splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


def test_a_disk_that_fills_up_leaves_nothing(run, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    (tmp_path / "report.json").write_text("kept")
    monkeypatch.setattr("os.fsync", full)
    refused(run("--json", "report.json"), "report.json: cannot be written: No space left on device")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


# ------------------------------------------------------------------------------------------------------------- choices


def chosen(result):
    code, out, err = result
    assert (code, err) == (0, "")
    return [(row["layer"], row["pass"]) for row in json.loads(out)["rows"]]


def test_layers(run):
    found = chosen(run("--layers", "[fl]*st", "--json", "-"))
    assert {layer for layer, _ in found} == {"first", "last", "total"}
    assert chosen(run("--layers", "second", "--json", "-"))[0] == ("second", "forward")


def test_layers_that_match_nothing(run):
    refused(run("--layers", "conv*"), "layers: got 'conv*', which matches none of the 3 layers of small")


def test_pass(run):
    rows = chosen(run("--pass", "weight_grad", "--json", "-"))
    assert [name for layer, name in rows if layer != "total"] == ["weight_grad"] * 3
    assert [name for layer, name in rows if layer == "total"] == ["weight_grad"]
    rows = chosen(run("--pass", "weight_grad", "--pass", "forward", "--json", "-"))
    assert rows[:2] == [("first", "forward"), ("first", "weight_grad")]


def test_objective_and_format(run):
    _, out, _ = run("--objective", "dram_bytes", "--format", "weight=csr", "--format", " input = bitmap", "--json", "-")
    asked = {"objective": "dram_bytes", "formats": {"weight": "csr", "input": "bitmap"}}
    assert json.loads(out)["simulation"] == {**asked, "layers": "*", "passes": list(PASSES)}


def test_choices_are_those_that_there_are():
    assert tuple(MAPPED) == OBJECTIVES
    assert tuple(VIEWS) == SHOWN


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (["weight"], "--format weight: got no '=', expected TENSOR=FORMAT, such as weight=bitmap"),
        (["gradient=csr"], "format: got 'gradient', expected one of input, weight, output"),
        (["weight=zip"], "format of weight: got 'zip', expected one of dense, bitmap, csr, csc, run_length, zfnaf"),
        (["weight="], "format of weight: got '', expected one of dense, bitmap, csr, csc, run_length, zfnaf"),
        (["weight=csr", "weight=csc"], "--format weight: got it twice, expected each key once"),
    ],
)
def test_format_badly(run, formats, message):
    options = [text for each in formats for text in ("--format", each)]
    assert refused(run(*options)) == message + "\n"


@pytest.mark.parametrize("option", ["--objective", "--show"])
def test_a_choice_that_there_is_not(run, option):
    refused(run(option, "time"), f"Invalid value for '{option}': 'time' is not one of ")


@pytest.mark.parametrize("show", SHOWN)
@pytest.mark.parametrize("arch", ["dadiannao", "global-buffer"])
def test_show(run, show, arch):
    code, out, err = run("--show", show, arch=arch)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in "".join(lines[1:])  # a heading may be cut
    first = {row.split()[0] for row in lines[1:] if row}
    assert {
        "other": {"elementwise_forward", "update", "other"}, "area": {"multipliers", "total"},
        "footprint": {"first", "second", "last", "layers", "total"},
    }.get(show, {"first", "second", "last"}) <= first  # fmt: skip


@pytest.mark.parametrize(("show", "part"), [("other", "Nothing: no whole step"), ("footprint", "footprint: got")])
def test_what_only_a_whole_step_has(run, show, part):
    code, out, err = run("--show", show, "--layers", "second")
    assert part in out + err
    assert code == (0 if show == "other" else 2)


def test_pass_unknown(run):
    refused(run("--pass", "backward"), "'backward' is not one of 'forward', 'input_grad', 'weight_grad'")


def test_set(run):
    _, out, _ = run("--set", "tiles=2", "--set", "tile.rows=4", "--set", "mapping.tile_split=rows", "--json", "-")
    machine = json.loads(out)["architecture"]
    assert (machine["tiles"], machine["tile"]["rows"], machine["mapping"]["tile_split"]) == (2, 4, "rows")
    _, before, _ = run("--json", "-")
    assert json.loads(out)["rows"] != json.loads(before)["rows"]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("tile.rows", ["--set tile.rows", "expected KEY=VALUE"]),
        ("tile.rows=", ["tile.rows", "expected"]),
        ("tile.rows=0", ["tile.rows: got 0, expected an integer from 1 to 1024"]),
        ("tile.rows=four", ["tile.rows: got", "four", "expected an integer"]),
        ("tile.rovs=4", ["tile.rovs", "rows"]),
        ("=4", ["expected KEY=VALUE"]),
        ("tile.rows={a: 1}", ["tile.rows"]),
        ("datapath.moves=[[1, 0]", ["datapath.moves"]),
        ("tiles\x1b[31m=4", ["--set"]),
    ],
)
def test_set_badly(run, override, parts):
    err = refused(run("--set", override), *parts)
    assert "\x1b" not in err


def test_several_mistakes_are_told_at_once(run):
    refused(run("--set", "tile.rows=0", "--set", "tiles=x"), "tile.rows: got 0", "tiles: got")


@pytest.mark.parametrize("workers", ["0", "-1", "two", "100000"])
def test_workers_badly(run, workers):
    refused(run("--workers", workers), "--workers")


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_unknown_architecture(run):
    refused(run(arch="dadianna"), "no architecture is named 'dadianna'", "did you mean dadiannao")
    refused(run(arch="missing.yaml"), "missing.yaml: cannot be read: No such file")


def test_broken_architecture(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\ntiles: zero\n")
    err = refused(run(arch="mine.yaml"), "mine.yaml:2:8: tiles: got", "clock_hz: missing")
    assert len(err.splitlines()) > 2


def test_unknown_trace(run):
    refused(run(trace_path="nowhere"), "nowhere: got nothing there, expected a trace")
    refused(run(trace_path="."), "manifest.json")


def damage(path):
    """Flip the last byte of one tensor file, which only a complete read can find."""
    damaged = sorted((path / "tensors").iterdir())[-1]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    return damaged.name


@pytest.mark.parametrize("workers", [1, 3])
def test_a_damaged_trace_leaves_no_output(run, tmp_path, workers):
    path = write_trace(tmp_path / "damaged")
    name = damage(path)
    err = refused(run("--json", "report.json", "--csv", "rows.csv", "--workers", workers, trace_path=path), name[:16])
    assert len(err.splitlines()) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["damaged"]
    refused(run("--json", "-", trace_path=path), name[:16])


def test_a_trace_that_lacks_a_tensor(run, tmp_path):
    path = write_trace(tmp_path / "damaged")
    sorted((path / "tensors").iterdir())[0].unlink()
    assert len(refused(run(trace_path=path), "tensors").splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rum"], "No such command 'rum'"),
        (["run"], "Missing option '--arch'"),
        (["run", "--arch", "dadiannao"], "Missing option '--trace'"),
        (["run", "--fast"], "No such option"),
        (["run", "--arch", "a", "--trace", "t", "extra"], "unexpected extra argument (extra)"),
    ],
)
def test_mistakes_in_the_command(arguments, part, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert part in err


HOSTILE = "no\x07\nsuch\x1b]0;x"
SHOWN_HOSTILE = r"no\x07\nsuch\x1b]0;x"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "x\ny"], r"x\ny: got nothing there, expected "),
        (["--trace", HOSTILE], f"{SHOWN_HOSTILE}: got nothing there, expected "),
        (["--trace", f"{HOSTILE}.csv"], f"{SHOWN_HOSTILE}.csv: got a topology and no density of input, weight, outp"),
        (["--trace", f"{HOSTILE}.csv", "--density", "1"], f"{SHOWN_HOSTILE}.csv: got No such file"),
        (["--trace", f"a{HOSTILE}://x"], f"a{SHOWN_HOSTILE}://x: got "),
        (["--trace", "t", "--density", f"{HOSTILE}=1"], f"--density {SHOWN_HOSTILE}=1: got it with t, expected "),
        (["--trace", "t.csv", "--density", f"{HOSTILE}=1"], f"--density {SHOWN_HOSTILE}=1: got "),
        (["--trace", "t", "--json", "a\nb/c"], r"a\nb/c: cannot be written: No such file"),
        (["--trace", "t", "--scalesim-reports", f"{HOSTILE}/c"], f"{SHOWN_HOSTILE}/c: cannot be written: No such file"),
        (["--trace", "smallcnn", "--format", HOSTILE], f"--format {SHOWN_HOSTILE}: got no '=', expected "),
        (["--trace", "smallcnn", "--layers", HOSTILE], "layers: got "),
        (["--trace", "t", "--set", HOSTILE], f"--set {SHOWN_HOSTILE}: "),
        (["--trace", "t", "--profile", f"{HOSTILE}/c"], f"{SHOWN_HOSTILE}/c: cannot be written"),
    ],
)
def test_no_name_breaks_its_line_or_the_terminal(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused_in_one_line(capsys, "run", "--arch", "dadiannao", *arguments).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([f"rum{HOSTILE}"], "No such command "),
        (["run", f"--{HOSTILE}"], "No such option"),
        (["run", "--arch", "a", "--trace", "t", HOSTILE], "unexpected extra argument (no\\x07 such\\x1b]0;x)"),
        (["run", "--arch", "a", "--trace", "t", "--pass", HOSTILE], "--pass"),
        (["run", "--arch", "a", "--trace", "t", "--workers", HOSTILE], "--workers"),
        (["run", "--arch", "a", "--trace", "t", "x" * 100_000], "unexpected extra argument (xxx"),
    ],
)
def test_what_click_says_of_a_name_is_one_line(arguments, part, capsys):
    message = refused_in_one_line(capsys, *arguments)
    assert message.startswith("Error: ")
    assert part in message


def test_a_long_name_lacks_its_middle(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused_in_one_line(capsys, "run", "--arch", "dadiannao", "--trace", "a" * 100_000)
    assert message.startswith(f"{'a' * 200}…{'a' * 198}: got an error (File name too long), expected ")
    message = refused_in_one_line(capsys, "run", "--arch", "dadiannao", "--trace", "a " * 50_000)
    assert len(message) == 2000
    assert message.startswith("a a a ")


def test_what_the_machine_lacks_is_said_in_one_line(capsys, monkeypatch):
    def fail(*_):
        raise OSError(24, "Too many open files", "a\nb")

    monkeypatch.setattr("swatsim.cli.check_outputs", fail)
    message = refused_in_one_line(capsys, "run", "--arch", "dadiannao", "--trace", "smallcnn")
    assert message == r"a\nb: got an error (Too many open files), expected none"


def test_a_working_directory_that_is_gone(capsys, monkeypatch):
    def lost(*_, **__):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("swatsim.cli.check_outputs", lost)
    run = ["run", "--arch", "dadiannao", "--trace", "smallcnn"]
    assert refused_in_one_line(capsys, *run) == "system: got an error (No such file or directory), expected none"
    with monkeypatch.context() as patched:
        patched.setattr("os.getcwd", lost)
        message = refused_in_one_line(capsys, *run)
    assert message == "working directory: got an error (No such file or directory), expected none"


def test_errors_of_a_file_have_a_line_each_and_others_one():
    assert str(ArchitectureError("a\x07: b\nc\x1b: d")) == "a\\x07: b\nc\\x1b: d"
    assert str(TraceError("a\x07: b\nc")) == "a\\x07: b\\nc"
    again = pickle.loads(pickle.dumps(TraceError("a\nb")))
    assert (type(again), str(again)) == (TraceError, "a\\nb")


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_and_version(option, capsys):
    main([option])
    out, err = capsys.readouterr()
    assert err == ""
    assert ("swatsim 0.1.0" if option == "--version" else "run Simulate one training step") in " ".join(out.split())


def test_interrupted(run, monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("swatsim.simulation.simulate", interrupt)
    code, out, err = run("--json", "report.json")
    assert (code, out, err) == (130, "", "\n")
    assert not list(tmp_path.iterdir())
