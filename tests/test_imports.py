"""What importing swatsim costs, and who may import what; the order of the layers is import-linter's."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import swatsim

PACKAGE = Path(swatsim.__file__).parent


def modules_after(statement):
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout))


class OnlyExecuted(ast.NodeTransformer):
    """Takes away what only type checkers read."""

    def visit_If(self, node):
        only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if only_types else self.generic_visit(node)


def imported_by(source):
    """Full names of all that a file imports, wherever in it."""
    tree = OnlyExecuted().visit(ast.parse(source.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_importing_swatsim_loads_nothing_else():
    loaded = modules_after("import swatsim")
    assert not loaded & {"numpy", "numba", "pandas", "pydantic", "rich", "yaml", "torch", "click"}


def test_every_public_name_is_there():
    for name in swatsim.__all__:
        assert getattr(swatsim, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        swatsim.no_such_name  # noqa: B018


def test_simulating_does_not_load_pandas_or_torch():
    loaded = modules_after("import swatsim; swatsim.simulate, swatsim.load_trace, swatsim.load_architecture")
    assert "numba" in loaded
    assert not loaded & {"pandas", "torch", "rich", "matplotlib", "swatsim.schemes", "swatsim.budgets"}


def test_only_the_extra_imports_torch():
    for source in PACKAGE.rglob("*.py"):
        if source.is_relative_to(PACKAGE / "torch") or source == PACKAGE / "__init__.py":
            continue
        found = [name for name in imported_by(source) if name.split(".")[0] == "torch" or "swatsim.torch" in name]
        assert found == [], source


def test_the_product_does_not_import_its_tests():
    for source in PACKAGE.rglob("*.py"):
        refused = {"tests", "benchmarks"} | ({"pytest"} if source.name != "pytest_plugin.py" else set())
        assert not [name for name in imported_by(source) if name.split(".")[0] in refused]
