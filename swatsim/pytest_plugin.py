"""A fixture for tests of other projects: a run still gives what an earlier report says (docs/ci.md).

pytest imports this wherever swatsim is installed: nothing is imported before a test asks for the fixture.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from swatsim.differences.finding import Document
    from swatsim.report import Report

FilePath = str | os.PathLike[str]


class Check(Protocol):
    """What the fixture gives."""

    def __call__(  # noqa: PLR0913  each is a keyword of its own
        self,
        baseline: FilePath,
        report: Report | FilePath | None = None,
        *,
        trace: FilePath | None = None,
        densities: Sequence[str] = (),
        arch: FilePath | None = None,
        overrides: Mapping[str, str] | None = None,
        tolerance: str | float = 0,
        columns: Sequence[str] = ("cycles",),
    ) -> None:
        """Fail the test where the rows of a report are not as those of `baseline`.

        Parameters
        ----------
        baseline : file that `swatsim run --json` wrote. Paths are relative to the folder of the test's file.
        report : a report, or a file with one; by default the run of the baseline is done again.
        trace, densities, arch, overrides, tolerance, columns : as --trace, --density, --arch, --set, --tolerance and
            --column of `swatsim check`. `arch` is a file if one of this name is there, else a shipped machine.
        """


@pytest.fixture
def swatsim_check(request: pytest.FixtureRequest) -> Check:
    """Check a run against an earlier report: `swatsim_check("baseline.json", trace="trace")`."""
    return _Checker(request.path.parent)


class _Checker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(  # noqa: PLR0913  as Check
        self,
        baseline: FilePath,
        report: Report | FilePath | None = None,
        *,
        trace: FilePath | None = None,
        densities: Sequence[str] = (),
        arch: FilePath | None = None,
        overrides: Mapping[str, str] | None = None,
        tolerance: str | float = 0,
        columns: Sequence[str] = ("cycles",),
    ) -> None:
        __tracebackhide__ = True
        from swatsim.differences import check, document_of, rerun, trace_of
        from swatsim.differences.table import print_finding
        from swatsim.given import share
        from swatsim.saved import load_saved
        from swatsim.trace_option import open_trace

        where = str(self.folder / baseline)
        before = load_saved(where, "report").document
        if report is None:
            texts = [f"{key}={value}" for key, value in (overrides or {}).items()]
            path, told = trace_of(before, where, self._path(trace))
            opened = open_trace(path, tuple(densities) or told)
            after = document_of(rerun(before, where, opened, arch=self._machine(arch), overrides=texts, workers=1))
        else:
            after = self._document(report)
        found = check(before, after, share(str(tolerance), "tolerance"), columns)
        if not found.passed:
            from rich.console import Console

            text = io.StringIO()
            print_finding(found, (os.fspath(baseline), "this run"), Console(file=text, width=100))
            pytest.fail(text.getvalue().strip(), pytrace=False)

    def _document(self, report: Report | FilePath) -> Document:
        from swatsim.differences import document_of
        from swatsim.saved import load_saved

        if isinstance(report, str | os.PathLike):
            return load_saved(self.folder / report, "report").document
        return document_of(report)

    def _path(self, path: FilePath | None) -> str | None:
        return None if path is None else str(self.folder / path)

    def _machine(self, arch: FilePath | None) -> str | None:
        if arch is None:
            return None
        file = self.folder / arch
        return str(file) if file.exists() else os.fspath(arch)
