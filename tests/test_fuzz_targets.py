"""The targets of fuzzing run their corpus and their first inputs here; the judge finds what it is there to find."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swatsim.errors import SwatsimError

pytest.importorskip("resource", reason="limits of memory are those of Unix")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fuzz.judging import FoundError, accepts, check_refusal, time_limit  # noqa: E402
from fuzz.seeds import CORPUS  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402

MADE = [name for name, target in TARGETS.items() if target.make is not None]


def marked(names):
    """Those that cannot run without a package say so."""
    return [pytest.param(name, marks=[pytest.mark.extra(TARGETS[name].needs)] if TARGETS[name].needs else [])
            for name in names]  # fmt: skip


@pytest.mark.parametrize("name", marked(path.name for path in sorted(CORPUS.iterdir())))
def test_the_corpus_is_read_or_refused(name, tmp_path):
    target = TARGETS[name]
    read = {path.name: target.run(path.read_bytes(), tmp_path) for path in sorted((CORPUS / name).iterdir())}
    assert any(read.values()), "no input of the corpus is valid"


@pytest.mark.parametrize("name", marked(MADE))
def test_the_first_made_inputs_are_read_or_refused(name, tmp_path):
    target = TARGETS[name]
    read = [target.run(target.make(number), tmp_path) for number in range(40)]
    assert not all(read), "nothing is damaged"
    assert target.make(7) == target.make(7)


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1 << 20


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("f: got 1,\nexpected 2", "unprintable"),
        ("f: got \x1b[2J, expected 2", "unprintable"),
        ("f: wrong", "without got and expected"),
        ("f: got " + "1" * 3000 + ", expected 2", "message of 3019 characters"),
    ],
)
def test_the_judge_finds_a_message_that_is_no_line_of_its_kind(message, found):
    with pytest.raises(FoundError, match=found):
        check_refusal(message, several_lines=False)


def test_the_judge_looks_at_what_is_said():
    def read():
        raise SwatsimError("f: wrong")

    with pytest.raises(FoundError, match="without got and expected"):
        accepts(read)


def test_the_judge_lets_refusals_and_values_pass_and_nothing_else():
    def refuse():
        raise SwatsimError("f: got 1, expected 2")

    assert accepts(lambda: None)
    assert not accepts(refuse)
    with pytest.raises(ZeroDivisionError):
        accepts(lambda: 1 // 0)
    check_refusal("a:1:1: x: unknown key\na:2:1: got 1, expected 2", several_lines=True)


def test_the_judge_finds_what_takes_too_long():
    with pytest.raises(FoundError, match="more than 1 s"), time_limit(1):
        time.sleep(5)


def test_the_memory_limit_is_one():
    text = "from fuzz.judging import limit_memory; limit_memory(64 << 20); bytearray(32 << 20); bytearray(128 << 20)"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith("MemoryError")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fuzz", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_counts_executions():
    done = command("grid_text", "--executions", "5", "--first", "0")
    name, _, result = done.stdout.partition(": ")
    assert (done.returncode, name, done.stderr) == (0, "grid_text", "")
    assert json.loads(result).items() >= {"executions": 5, "found": False}.items()


def test_the_command_refuses_other_targets():
    done = command("nothing")
    assert done.returncode == 2
    assert "TARGET: got 'nothing', expected one of manifest, " in done.stderr
