"""Exit codes are those of one list, which the help and a page show."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from command_line import in_process, swatsim
from trace_files import small_trace

import swatsim as package
from swatsim import exit_codes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("traces") / "small")


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["trace", "info"]])
def test_whoever_reads_may_leave(trace, command):
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [*command, trace] if command[0] == "trace" else command
    result = swatsim(*arguments, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (exit_codes.BROKEN_PIPE, "")


def test_errors_that_nobody_reads_have_their_exit_code():
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["run", "--arch", "a", "--trace", "missing"], ["rum"]):
        assert swatsim(*arguments, capture_output=False, stderr=writer).returncode == exit_codes.USER_ERROR
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["--version"]])
def test_a_full_disk_behind_standard_output(command):
    with Path("/dev/full").open("wb") as full:
        result = swatsim(*command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == exit_codes.USER_ERROR
    assert re.fullmatch(r".*No space left on device.*\n", result.stderr)


def test_exit_codes_are_those_that_the_documents_say(capsys):
    page = (ROOT / "docs" / "exit_codes.md").read_text()
    documented = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)}
    assert documented == exit_codes.MEANINGS
    text = " ".join(in_process(capsys, "--help")[1].split())
    assert all(f"{code} {meaning.replace('`', '')}" in text for code, meaning in documented.items())


def test_programs_end_with_those_alone():
    """Each `sys.exit` and SystemExit is given a name of swatsim.exit_codes."""
    given = []
    for source in Path(package.__file__).parent.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
        given += [ast.unparse(node.args[0]) for node in calls if ast.unparse(node.func) in ("sys.exit", "SystemExit")]
    assert set(given) == {"BROKEN_PIPE", "CHECK_FAILED", "INCOMPLETE", "INTERRUPTED", "USER_ERROR"}


def run(trace, *outputs):
    return ["run", "--arch", "dadiannao", "--trace", trace, *outputs]


def test_standard_output_by_another_name(trace, tmp_path):
    """Written to by its name, a file that standard output goes to would begin anew below what is printed."""
    log = tmp_path / "log"
    for name in ("/dev/stdout", log):
        log.write_text("earlier\n")
        with log.open("ab") as printed:
            result = swatsim(*run(trace, "--json", name), capture_output=False, stdout=printed, stderr=subprocess.PIPE)
        assert (result.returncode, log.read_text()) == (exit_codes.USER_ERROR, "earlier\n")
        assert result.stderr == f"--json: got {name}, standard output, expected - or another file\n"
    with Path(os.devnull).open("wb") as null:
        assert swatsim(*run(trace, "--json", os.devnull), capture_output=False, stdout=null).returncode == 0


def test_an_open_file_by_its_number_is_written_at_its_end(trace, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"earlier\n")
    with log.open("ab") as file:
        result = swatsim(*run(trace, "--csv", f"/dev/fd/{file.fileno()}"), pass_fds=[file.fileno()])
    assert result.returncode == 0
    assert log.read_bytes() == b"earlier\n" + swatsim(*run(trace, "--csv", "-")).stdout


def test_whoever_reads_a_named_pipe_may_leave(trace):
    reader, writer = os.pipe()
    os.close(reader)
    result = swatsim(*run(trace, "--json", f"/dev/fd/{writer}"), pass_fds=[writer])
    os.close(writer)
    assert (result.returncode, result.stderr) == (exit_codes.BROKEN_PIPE, "")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs /dev/shm")
def test_files_in_memory_are_replaced_as_others(trace):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for _ in range(2):
            assert swatsim(*run(trace, "--csv", Path(folder, "r.csv"))).returncode == 0
        assert Path(folder, "r.csv").read_bytes() == swatsim(*run(trace, "--csv", "-")).stdout
