"""How near synthetic traces come to the real ones: `python -m benchmarks.synthesis [TRACE ...]`.

Prints the tables of docs/synthetic_traces.md; `--write` puts them there. `--profile` instead measures the traces, and
writes what networks without a trace are drawn from, in swatsim/synthesis/profiles.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import swatsim
from swatsim.passes import PASSES
from swatsim.report import Report
from swatsim.synthesis import like
from swatsim.synthesis.profile import measure_profile, profile_json
from swatsim.synthesis.twin import CLUSTERED, KINDS

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "synthetic_traces.md"
# Seeds of each trace: fewer where a trace takes long.
SEEDS = {"smallcnn": 5, "resnet50-thin": 5, "resnet50": 1, "resnet50-90": 1, "resnet50-dense": 1}
PROFILES = ("resnet50", "resnet50-thin")
PROFILE_FOLDER = ROOT / "swatsim" / "synthesis" / "profiles"
# Of each way to wait one; tests/test_synthesis_cycles.py has a part of a trace on every machine.
MACHINES = ("bit-tactical", "dadiannao", "dadiannao-dense", "global-buffer", "tensordash")
GOAL_PERCENT = 5.0
QUANTITIES = ("compute_cycles", "cycles")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One pass of a trace on an architecture: the real cycles, and the synthetic ones of each kind by seed."""

    architecture: str
    pass_name: str
    quantity: str
    real: int
    synthetic: dict[str, list[int]]

    def errors(self, kind: str) -> list[float]:
        """Percent of the real cycles."""
        return [100 * (cycles / self.real - 1) for cycles in self.synthetic[kind]]

    @property
    def cells(self) -> list[str]:
        """What the table shows."""
        shown = [f"{sign(median(errors))} | {sign(max(errors, key=abs))}" for errors in map(self.errors, KINDS)]
        return [self.architecture, self.pass_name, f"{self.real:,}", *shown]


def sign(percent: float) -> str:
    """A percentage with its sign; nothing before a zero."""
    return f"{percent:+.1f}%".replace("+0.0%", "0.0%").replace("-0.0%", "0.0%")


def lines(trace_name: str, seeds: Sequence[int], machines: Sequence[str]) -> list[Line]:
    """Every pass of one trace on these architectures."""
    trace = swatsim.load_trace(ROOT / "traces" / trace_name)
    architectures = {name: swatsim.load_architecture(name) for name in machines}
    real = {name: cycles(swatsim.simulate(each, trace)) for name, each in architectures.items()}
    drawn: dict[str, list[dict[str, dict[tuple[str, str], int]]]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for seed in seeds:
            twin = like(trace, seed, kind)
            found = {name: cycles(swatsim.simulate(each, twin)) for name, each in architectures.items()}
            drawn[kind].append(found)
    return [
        Line(
            architecture=name, pass_name=pass_name, quantity=quantity, real=real[name][pass_name, quantity],
            synthetic={kind: [found[name][pass_name, quantity] for found in drawn[kind]] for kind in KINDS},
        )
        for quantity in QUANTITIES for name in architectures for pass_name in PASSES
    ]  # fmt: skip


def cycles(report: Report) -> dict[tuple[str, str], int]:
    """Of each pass: without stalls, and with them."""
    return {(name, quantity): getattr(report.total(name), quantity) for name in PASSES for quantity in QUANTITIES}


def tables(found: Sequence[Line]) -> str:
    """Both quantities of a trace, as Markdown."""
    parts = []
    for quantity in QUANTITIES:
        rows = [line.cells for line in found if line.quantity == quantity]
        head = ["architecture", "pass", quantity.replace("_", " "), "clustered | worst", "Bernoulli | worst"]
        text = [f"| {' | '.join(head)} |", "|---|---|---:|---:|---:|---:|---:|"]
        parts.append("\n".join([*text, *(f"| {' | '.join(row)} |" for row in rows)]))
    return "\n\n".join(parts) + "\n"


def beyond_goal(found: Sequence[Line]) -> Iterator[str]:
    """Passes whose clustered trace is typically further away than the goal."""
    for line in found:
        error = median(line.errors(CLUSTERED))
        if abs(error) > GOAL_PERCENT:
            yield f"{line.architecture}, {line.pass_name}, {line.quantity}: {sign(error)}"


def measured_profile(trace_name: str) -> str:
    """The text of a profile's file."""
    return profile_json(measure_profile(swatsim.load_trace(ROOT / "traces" / trace_name)))


def write_tables(trace_name: str, text: str) -> None:
    """Put a trace's tables into the document, between its comments."""
    mark, end = f"<!-- synthesis {trace_name} -->", "<!-- end -->"
    document = DOCUMENT.read_text()
    pattern = re.compile(f"{re.escape(mark)}.*?{end}", re.DOTALL)
    if not pattern.search(document):
        sys.exit(f"{DOCUMENT}: got no {mark}, expected one to write the tables after")
    DOCUMENT.write_text(pattern.sub(lambda _: f"{mark}\n{text}{end}", document))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="*", metavar="TRACE", help=f"of {', '.join(SEEDS)}; by default all")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many, in place of each trace's own number")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/synthetic_traces.md")
    parser.add_argument("--profile", action="store_true", help="measure and write profiles")
    arguments = parser.parse_args()
    if arguments.profile:
        for name in arguments.traces or PROFILES:
            (PROFILE_FOLDER / f"{name}.json").write_text(measured_profile(name), encoding="ascii")
        return
    for name in arguments.traces or SEEDS:
        count = arguments.seeds or SEEDS[name]
        found = lines(name, range(count), MACHINES)
        text = tables(found)
        print(f"{name}, {count} seeds", text, *beyond_goal(found), sep="\n", flush=True)
        if arguments.write:
            write_tables(name, text)


if __name__ == "__main__":
    main()
