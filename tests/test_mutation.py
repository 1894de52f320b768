"""Mutants are what they say they are, and the page holds what the kept results do."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import mutation, mutation_page
from benchmarks.mutants import mutants_of
from benchmarks.mutation_tests import TESTS, concerned


def changes(source: str) -> list[str]:
    return [mutant.name for mutant in mutants_of(textwrap.dedent(source))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("return a + b", ["a + b -> a - b"]),
        ("return a[2]", ["2 -> 3", "2 -> 1"]),
        ("return not a", ["not a -> a"]),
        ("return a and b", ["a and b -> a or b"]),
        ("return min(a, b)", ["min(a, b) -> max(a, b)"]),
        ("return b if a else a", ["a -> not a"]),
        ("return True", ["True -> False"]),
    ],
)
def test_expressions(body, expected):
    assert changes(f"def f(a, b):\n    {body}\n") == [f"f: {body} -> pass", *(f"f: {change}" for change in expected)]


def test_what_is_left_out():
    source = '''
    """Words of 3."""
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        LIMIT = 3
    __all__ = ["f"]
    def f(a: Literal[3]) -> Literal[4]:
        """More than 1."""
        first = a
        raise ValueError(f"{first + 1}")
    '''
    assert changes(source) == ["f: raise ValueError(f'{first + 1}') -> pass"]


def test_statements_are_deleted_where_names_stay_known():
    source = """
    def f(a):
        once = a
        twice = a
        twice = once
        a += twice
        a[once] = twice
    """
    deleted = [change for change in changes(source) if change.endswith("-> pass")]
    assert deleted == [
        "f: twice = a -> pass",
        "f: twice = once -> pass",
        "f: a += twice -> pass",
        "f: a[once] = twice -> pass",
    ]


def test_each_mutant_changes_one_place():
    source = "def f(é, b):\n    text = 'é'; return (é +\n        b) * 2 < b\n"
    for mutant in mutants_of(source):
        changed = mutant.applied_to(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
        assert "text = 'é'" in changed
    assert [mutant.line for mutant in mutants_of(source)] == [2] * 5 + [3] * 2


def test_a_change_that_is_made_twice_has_two_names():
    found = changes("def f(a):\n    return a[0], a[0]\n")
    assert found[1:] == [
        "f: 0 -> 1",
        "f: 0 -> -1",
        "f: 0 -> 1 #2",
        "f: 0 -> -1 #2",
    ]


def test_the_sample_is_the_same_again_and_of_all_modules():
    mutants = mutation.population()
    assert [(module, mutant.name) for module, mutant in mutants[:50]] == [
        (module, mutant.name) for module, mutant in mutation.population()[:50]
    ]
    assert {tests.modules for tests in TESTS} == {concerned(module).modules for module, _ in mutants}
    assert len({f"{module}:{mutant.name}" for module, mutant in mutants}) == len(mutants)


def test_a_survivor_and_a_noticed_one(tmp_path):
    """The server forks, runs the tests of a folder, and says how they ended."""
    (tmp_path / "swatsim.py").write_text("def twice(a):\n    return a + a\n")
    (tmp_path / "test_twice.py").write_text("from swatsim import twice\ndef test():\n    assert twice(2) == 4\n")
    (tmp_path / "test_endless.py").write_text("def test():\n    while True: pass\n")
    jobs = [{"tests": [name], "cpu_s": 2, "wall_s": 60} for name in ("test_twice.py", "test_endless.py")]
    server = subprocess.Popen(
        [sys.executable, "-P", Path(mutation.__file__).with_name("mutation_server.py"), tmp_path, tmp_path / "output"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"},
    )
    codes = []
    for job, added in ((jobs[0], 0), (jobs[0], 1), (jobs[1], 0)):
        (tmp_path / "swatsim.py").write_text(f"def twice(a):\n    return a + a + {added}\n")
        os.utime(tmp_path / "swatsim.py", (1 + added, 1 + added))
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        codes.append(json.loads(server.stdout.readline())["code"])
    server.communicate()
    assert codes == [0, 1, None]


def test_the_page_is_that_of_the_kept_results():
    text = mutation.DOCUMENT.read_text(encoding="utf-8")
    assert mutation_page.page(text) == text


def test_reasons_are_of_mutants_that_lived():
    lived = {result.key for result in mutation.kept_results().values() if result.outcome == "lived"}
    assert set(mutation_page.reviewed()) <= lived


def test_counts_of_the_page():
    def result(outcome, number):
        return mutation.Result(
            module="swatsim/cuts.py", name=f"f: a | {number} -> b", operator="constant", line=1, outcome=outcome,
            noticed_by="", module_digest="",
        )  # fmt: skip

    results = [result("failed", 1), result("stopped", 2), result("lived", 3), result("lived", 4)]
    reasons = {results[2].key: "same"}
    assert "| all | 4 | 1 | 1 | 1 | 1 | 50.0 % | 66.6 % |" in mutation_page.table(results, reasons)
    assert "`a \\| 3 -> b` | same |" in mutation_page.survivors(results, reasons)
    assert "`a \\| 4 -> b` | **a gap** |" in mutation_page.survivors(results, reasons)
