"""The section of docs/reliability.md about mutants, from the kept results and the reviewed list."""

from __future__ import annotations

import json
from collections import Counter

from benchmarks.mutation import BEGIN, DOCUMENT, END, RESULTS, REVIEWED, SEED, Result, kept_results
from benchmarks.mutation_tests import TESTS, concerned

TITLE = "# Reliability\n\nWhat is done to find mistakes before users do, and what it found.\n"
WORDS = """## Do the tests notice mistakes?

`python -m benchmarks.mutation` changes one thing at a time in a copy of the checkout: an operator, a boundary,
a constant by one, a condition turned round, a statement deleted. It then runs the tests that concern the module
(`benchmarks/mutation_tests.py`; kernels with `NUMBA_DISABLE_JIT=1`). A mutant that no test notices shows a gap, or is
equivalent: no input tells it from the program. All {population:,} mutants of mapping, datapaths, kernels, timeline and
readers (of traces, machines, importers, documents, budgets, grids and kept points) are ordered by a hash of their names
and the seed {seed}, and the first 1,000 are the sample; the table is of the {count:,} of them that were run, those of
the kernels before the others (`--modules`), as they take least time.
`--minutes` of another call run more of them, and `--update` writes this section. Many that lived
were given tests and run again: of mutants that nobody has seen yet, expect fewer to be noticed.

"""


def reviewed() -> dict[str, str]:
    """Why each survivor that was looked at is equivalent, by its key."""
    found: dict[str, str] = json.loads(REVIEWED.read_text(encoding="utf-8"))
    return found


def share(part: int, whole: int) -> str:
    """A percentage with one digit, rounded down so that a goal is never reached by rounding."""
    return f"{1000 * part // whole / 10:.1f} %" if whole else "–"


def table(results: list[Result], reasons: dict[str, str]) -> str:
    """Mutants by group."""
    lines = [
        "| part | mutants | noticed by a failing test | stopped after too long | lived, equivalent | lived, a gap "
        "| noticed | noticed, without equivalent ones |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    groups = list(dict.fromkeys(tests.group for tests in TESTS))
    for name in [*groups, "all"]:
        rows = [result for result in results if name in {"all", concerned(result.module).group}]
        counts = Counter(result.outcome for result in rows)
        equivalent = sum(result.outcome == "lived" and result.key in reasons for result in rows)
        noticed = counts["failed"] + counts["stopped"]
        cells = [name, len(rows), counts["failed"], counts["stopped"], equivalent, counts["lived"] - equivalent]
        cells += [share(noticed, len(rows)), share(noticed, len(rows) - equivalent)]
        lines.append("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def survivors(results: list[Result], reasons: dict[str, str]) -> str:
    """Those that lived, with the reason."""
    lines = ["| mutant that lived | why |", "|---|---|"]
    for result in results:
        if result.outcome == "lived":
            function, change = result.name.split(": ", 1)
            shown = change if len(change) <= 110 else f"{change[:50]} … {change[-50:]}"
            shown = shown.replace("|", "\\|")
            module = result.module.removeprefix("swatsim/")
            lines.append(f"| {module}, `{function}`: `{shown}` | {reasons.get(result.key, '**a gap**')} |")
    return "\n".join(lines) + "\n"


def section() -> str:
    """All of it, between the comments that say where it begins and ends."""
    results = list(kept_results().values())
    size = json.loads(RESULTS.read_text(encoding="utf-8"))["population"]
    reasons = reviewed()
    words = WORDS.format(seed=SEED, population=size, count=len(results))
    return f"{BEGIN}\n{words}{table(results, reasons)}\n{survivors(results, reasons)}{END}\n"


def page(present: str) -> str:
    """A page with this section in the place of the one it has, or at its end."""
    if BEGIN not in present:
        return f"{present or TITLE}\n{section()}"
    before, rest = present.split(BEGIN, 1)
    return before + section() + rest.split(f"{END}\n", 1)[1]


def update() -> None:
    """Write the page."""
    present = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    DOCUMENT.write_text(page(present), encoding="utf-8")
