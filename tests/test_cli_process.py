"""`swatsim` as a process: pipes, terminals, signals and what it imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROGRAM, environment, on_terminal, swatsim
from trace_files import write_trace

ROOT = Path(__file__).parent.parent
COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)[;m]")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    return ["run", "--arch", "dadiannao", "--trace", write_trace(tmp_path_factory.mktemp("traces") / "small")]


def test_json_and_table(arguments, tmp_path):
    result = swatsim(*arguments, "--json", tmp_path / "report.json")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 100
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert f"{document['rows'][-1]['cycles']:,} cycles" in lines[-3]
    piped = swatsim(*arguments, "--json", "-")
    assert piped.stdout == (tmp_path / "report.json").read_bytes()


def test_a_mistake_is_one_line_and_exit_code_2(arguments):
    result = swatsim(*arguments, "--set", "tile.rows=0")
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == "--set tile.rows=0: tile.rows: got 0, expected an integer from 1 to 1024\n"


def test_wrong_choices_are_one_line_before_anything_is_read(tmp_path):
    """Not even the architecture: neither of these exists."""
    base = ["run", "--arch", tmp_path / "a", "--trace", tmp_path / "t"]
    result = swatsim(*base, "--timeline", tmp_path / "out.txt")
    expected = f"timeline: got '{tmp_path}/out.txt', expected a name that ends in .json.gz, .json or .html\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, b"", expected)


@pytest.mark.parametrize("output", [[], ["--json", "-"], ["--csv", "-"]])
def test_a_reader_that_leaves_is_no_error(arguments, output):
    """As in `swatsim run ... | head -1`: quiet, and the exit code of a broken pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    result = swatsim(*arguments, *output, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_behind_standard_output(arguments):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = swatsim(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr == "standard output: cannot be written: No space left on device\n"


def test_no_standard_output_at_all(arguments, tmp_path):
    """As a job of cron has it: files are written, only `-` is refused."""
    command = 'exec "$0" "$@" >&-'
    base = ["sh", "-c", command, str(PROGRAM), *map(str, arguments)]
    options = {"capture_output": True, "text": True, "env": environment()}
    result = subprocess.run([*base, "--json", str(tmp_path / "report.json")], check=False, **options)
    assert (result.returncode, result.stderr) == (0, "")
    json.loads((tmp_path / "report.json").read_bytes())
    result = subprocess.run([*base, "--json", "-"], check=False, **options)
    assert (result.returncode, result.stderr) == (2, "standard output: cannot be written: it is closed\n")


def test_characters_that_standard_output_lacks(tmp_path):
    """A long name is cut by a character that ASCII does not have."""
    from trace_files import small_layers

    import swatsim as package

    layer = small_layers()[2]
    spec = package.LayerSpec(
        name="l" * 90, kind="linear", input_shape=(2, 3, 7), weight_shape=(5, 7), output_shape=(2, 3, 5)
    )
    path = write_trace(tmp_path / "trace", [package.Layer(spec=spec, passes=layer.passes)], graph=[])
    result = swatsim("run", "--arch", "dadiannao", "--trace", path, env=environment(PYTHONIOENCODING="ascii"))
    assert (result.returncode, result.stderr) == (0, "")
    assert b"lll?" in result.stdout


# ------------------------------------------------------------------------------------------------------------ terminal


def test_a_terminal_shows_a_bar_and_the_whole_table(arguments):
    """80 columns are the usual terminal: the table is then wrapped by it, its numbers never cut."""
    shown, _, code = on_terminal(*arguments, env=environment(COLUMNS="80"))
    assert code == 0
    assert "simulating" in shown
    assert "3/3" in shown
    assert "\x1b[1m" in shown
    table = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown)
    assert [
        line for line in swatsim(*arguments).stdout.decode().splitlines()[:14] if line not in table.replace("\r", "")
    ] == []


def test_the_bar_is_not_in_a_piped_output(arguments):
    shown, output, code = on_terminal(*arguments, stdout_too=False)
    assert code == 0
    assert "3/3" in shown
    assert "total" not in shown
    assert output == swatsim(*arguments).stdout.decode()


def test_no_color(arguments):
    """https://no-color.org: bold may stay, colors may not."""
    colored, _, _ = on_terminal(*arguments)
    plain, _, code = on_terminal(*arguments, env=environment(NO_COLOR="1"))
    assert code == 0
    assert COLOR.search(colored)
    assert not COLOR.search(plain)


# ------------------------------------------------------------------------------------------------------------- signals

SLOW_LAYERS = """
import signal, sys, time
import swatsim.simulation
from swatsim.cli import main

# What a shell starts in the background ignores it, and so do all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

def slow(*_, **__):
    print("layer", file=sys.stderr, flush=True)
    time.sleep(2)

swatsim.simulation.plan_layer = slow
main(sys.argv[1:])
"""


def test_control_c(arguments, tmp_path):
    """The layers that have not begun are not begun any more."""
    command = [sys.executable, "-c", SLOW_LAYERS, *map(str, arguments), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--json", str(tmp_path / "report")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(), text=True,
    )  # fmt: skip
    assert process.stderr.readline() == "layer\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "\n")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------- imports

HEAVY = {"numpy", "numba", "pandas", "pydantic", "rich", "yaml", "torch", "llvmlite"}
IMPORTED = """
import json, sys
from swatsim.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["--version"], ["rum"], ["run"], []])
def test_what_needs_no_simulation_imports_nothing_heavy(command):
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED, *command], capture_output=True, text=True, check=True, env=environment()
    )
    imported = set(json.loads(result.stdout.splitlines()[-1]))
    assert "swatsim.cli" in imported
    assert not imported & HEAVY


def test_a_run_does_not_import_what_it_does_not_use(arguments):
    """pandas takes half a second to import, and only `Report.rows` needs it."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED, *map(str, arguments), "--csv", "-"],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    imported = set(json.loads(result.stdout.splitlines()[-1]))
    assert "numba" in imported
    assert not imported & {"pandas", "torch", "rich", "matplotlib"}


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams as a shell does")
@pytest.mark.parametrize("closed", ["<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_files_do_not_take_the_place_of_closed_streams(tmp_path, closed):
    pytest.importorskip("onnx")
    model, made = ROOT / "fuzz" / "corpus" / "onnx" / "seed_convolution", tmp_path / "made"
    shutil.copy(model, tmp_path / "m.onnx")
    command = f"exec '{PROGRAM}' trace import '{tmp_path}/m.onnx' -o '{made}' --images 1 {closed}"
    assert subprocess.run(["bash", "-c", command], check=False).returncode == 0
    assert (made / "manifest.json").is_file()
