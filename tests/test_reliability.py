"""The commands that make docs/reliability.md: what they examine, and what they keep."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from test_kernels_compile import SOURCES

from benchmarks import coverage, differential, installations


def test_the_oldest_versions_are_those_of_pyproject():
    oldest = installations.oldest("3.11")
    assert {"numpy==2.0", "numba==0.61", "backports.zstd==1.0"} <= set(oldest)
    assert set(oldest) - set(installations.oldest("3.14")) == {"backports.zstd==1.0"}


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Keeps results in a file of its own; gives (Python, dependencies) of all that are kept, and what is untested."""
    path = tmp_path / "installations.json"
    monkeypatch.setattr(installations, "RECORD", path)

    def keep(python, dependencies="newest", report="a"):
        row = dict.fromkeys(installations.SHOWN, "1") | {"tests": 1}
        installations.record({"python": python, "dependencies": dependencies, "report": report, **row})
        kept = json.loads(path.read_text())
        return [(each["python"], each["dependencies"]) for each in kept["installations"]], kept["untested"]

    return keep


def test_results_are_kept_until_there_are_others(record):
    assert record("3.12.1") == ([("3.12.1", "newest")], ["3.11", "3.13", "3.14"])
    record("3.11.7")
    record("3.11.7", "oldest")
    rows = [("3.11.7", "oldest"), ("3.11.7", "newest"), ("3.12.1", "newest")]
    assert record("3.12.1") == (rows, ["3.13", "3.14"])
    installations.section.cache_clear()
    text = installations.section()
    assert "the report was the same bytes in all. Untested: Python 3.13. Untested: Python 3.14." in text
    assert text.count("\n| 3.1") == 3
    installations.section.cache_clear()
    # Of another swatsim, what the others gave says nothing.
    assert record("3.13.0", report="b") == ([("3.13.0", "newest")], ["3.11", "3.12", "3.14"])


def test_kept_kernels_are_damaged_in_three_ways(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.nbc").write_bytes(b"code")
    installations._damage(tmp_path)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"code", b"codd", b"co"]


def test_all_kernels_are_compared_on_random_cases():
    """Those of a module without a file of its own are called by others: the schedules' tests run them."""
    files = differential.files()
    assert all(path.exists() for path in files.values())
    drawing = sum(differential._drawing(path) for name, path in files.items() if name.startswith("kernels_"))
    assert settings.get_profile("ci").max_examples == differential.CI_EXAMPLES
    assert drawing * differential.CI_EXAMPLES >= 2000
    named = {name.removeprefix("kernels_") for name in files}
    without = {source.stem for source in SOURCES} - named - {"__init__", "compile", "cache_files"}
    assert without <= {"cartesian_steps", "cuts", "off_chip", "totals"}
    assert "wait_at_buffers" in differential.kernels_of("kernels_barrier")
    assert differential.kernels_of("schedule_oracle") == []


def test_a_run_of_the_same_cases_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(differential, "RECORD", tmp_path / "differential.json")

    def keep(name, seed):
        differential.keep(name, {"tests": 1, "cases": 40, "kernels": []}, seed=seed, examples=40)
        return list(json.loads(differential.RECORD.read_text())["files"])

    assert keep("outer", 1) == ["outer"]
    assert keep("kernels_bits", 1) == ["kernels_bits", "outer"]
    assert "seed 1) drew 80 cases" in differential.section()
    assert keep("outer", 2) == ["outer"]


def test_cases_are_counted(tmp_path):
    path = tmp_path / "test_drawn.py"
    path.write_text(
        "from hypothesis import given, settings, strategies as st\n"
        "settings.register_profile('differential', max_examples=7, database=None)\n"
        "settings.load_profile('differential')\n"
        "@given(st.integers(0, 10**9))\ndef test_one(number):\n    assert number >= 0\n"
        "def test_other():\n    pass\n"
    )
    assert differential.run(path, examples=7, seed=1) == {"tests": 1, "cases": 7}
    path.write_text(path.read_text().replace(">= 0", "< 5"))
    with pytest.raises(SystemExit, match="seed 1"):
        differential.run(path, examples=7, seed=1)


def test_coverage_is_rounded_down_and_summed_by_directory(tmp_path, monkeypatch):
    none = dict.fromkeys(coverage.COUNTS, 0)
    one = {"num_statements": 1000, "covered_lines": 999, "num_branches": 2000, "covered_branches": 1899}
    names = ("swatsim/a.py", "swatsim/trace/b.py", "swatsim/c/d/e.py")
    assert [coverage.part_of(name) for name in names] == ["other", "trace", "c"]
    assert [coverage.percent(one, kind) for kind in ("lines", "branches", "both")] == ["99.9 %", "94.9 %", "96.6 %"]
    assert coverage.percent(none, "both") == "–"
    files = {"swatsim/a.py": none, "swatsim/trace/b.py": one, "swatsim/trace/c.py": one | {"covered_branches": 2000}}
    monkeypatch.setattr(coverage, "RECORD", tmp_path / "coverage.json")
    coverage.RECORD.write_text(json.dumps({"date": "2026-01-01", "python": "3.11.7", "files": files}))
    rows = [line for line in coverage.section().splitlines() if line.startswith("| ")][1:]
    shares = "| 2,000 | 4,000 | 99.9 % | 97.4 % | 98.2 % |"
    assert rows == [f"| trace {shares}", "| other | 0 | 0 | – | – | – |", f"| all {shares}"]
