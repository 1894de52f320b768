"""Other simulators and swatsim on the same layers, as a table of the README: `python -m benchmarks.peers --help`.

Processor seconds of whole processes, start-up included. Those that pip installs are run, each in the first environment
that has it; the others are quoted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.end_to_end import MEASURE, measured
from benchmarks.workload import MAIN_TRACE, ROOT, random_layer, write_trace
from swatsim.architecture import load_architecture
from swatsim.layer import Layer
from swatsim.passes import PASSES
from swatsim.simulation import simulate
from swatsim.trace import load_trace

PROGRAMS = Path(__file__).with_name("peer_programs.py")
FILE = Path(__file__).with_name("peers.json")
README = ROOT / "README.md"
MARKS = ("<!-- peers -->\n", "<!-- end of peers -->\n")
OWN_ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A square convolution of one image."""

    name: str
    height: int
    channels: int
    filters: int
    kernel: int
    stride: int
    padding: int
    output: int

    def layer(self) -> Layer:
        """The layer as SWAT at 80 % leaves it; a network's first one is dense."""
        return random_layer(
            self.name, (1, self.channels, self.height, self.height),
            (self.filters, self.channels, self.kernel, self.kernel), stride=self.stride, first=self.channels == 3,
        )  # fmt: skip


SHAPES = (
    Shape(name="conv1", height=224, channels=3, filters=64, kernel=7, stride=2, padding=3, output=112),
    Shape(name="res3", height=28, channels=128, filters=128, kernel=3, stride=1, padding=1, output=28),
    Shape(name="res4", height=14, channels=1024, filters=256, kernel=1, stride=1, padding=0, output=14),
)
NOTHING = Shape(name="start-up", height=4, channels=16, filters=16, kernel=1, stride=1, padding=0, output=4)
NETWORK = "ResNet-50"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; cells by layer, and of the network."""

    name: str
    what: str
    cells: Mapping[str, str]


# What pip does not install, and networks that take minutes: measured once, with one thread of an AMD EPYC, in these
# versions. ResNet-50 is v1 there, 3.86 G multiplications forward.
QUOTED = (
    Row(name="SCALE-Sim 3.0.0, whole network", what="", cells={NETWORK: "489 to 618 s, 9.2 GB"}),
    Row(name="ZigZag 3.9.1, whole network", what="", cells={NETWORK: "189 s"}),
    Row(
        name="AccelForge 1.0.467, another NVDLA", what="",
        cells={"conv1": "9.8 s, 37,632", "res3": "11.9 s, 28,224", "res4": "5.8 s, 12,544", NETWORK: "136 s, 0.36 GB"},
    ),
    Row(name="nn_dataflow 2.1, whole network", what="", cells={NETWORK: "17 s"}),
    Row(name="MAESTRO, 4096 PEs", what="analytic, dense, inference", cells={NETWORK: "0.09 s"}),
    Row(
        name="STONNE, TPU of 64x64", what="cycle by cycle, dense, inference",
        cells={"conv1": "306 s", "res3": "267 s, 33,262", "res4": "111 s, 18,240", NETWORK: "about 2.5 h"},
    ),
    Row(
        name="STONNE, SIGMA of 256", what="cycle by cycle, real positions, inference", cells={"res3": "269 s, 202,772"},
    ),
    Row(
        name="Procrustes' Timeloop, 256 PEs", what="analytic, real weight positions, a pass",
        cells={"res3": "0.28 to 0.40 s, 116,032"},
    ),
    Row(
        name="DNNsim, Bit-Tactical with DRAM", what="cycle by cycle, real positions, inference",
        cells={"conv1": "6.0 s", "res3": "4.1 s, 29,008", "res4": "2.7 s"},
    ),
    Row(
        name="DNNsim's TensorDash, one tile", what="cycle by cycle, real positions of one operand, three passes",
        cells={"conv1": "0.16 s forward", "res3": "0.14 s, 38,520", "res4": "0.23 s", NETWORK: "12.8 s, 0.93 GB"},
    ),
)  # fmt: skip
TOOLS = {
    "scalesim": ("SCALE-Sim", "64x64, weight-stationary", "cycle by cycle, dense, inference"),
    "zigzag-dse": ("ZigZag", "64x64, TPU-like", "analytic, dense, inference"),
    "accelforge": ("AccelForge", "64x64, NVDLA", "analytic, dense, inference"),
    "nn-dataflow": ("nn_dataflow", "16x16", "analytic, dense, inference"),
}
OWN = (("dadiannao", ("forward",)), ("dadiannao", PASSES), ("tensordash", PASSES), ("sparten", PASSES))


def measure_peers(pythons: Sequence[str], rounds: int) -> dict[str, dict[str, Any]]:
    """By tool: its version and, by layer, processor seconds (median) and cycles."""
    found: dict[str, dict[str, Any]] = {}
    for tool in TOOLS:
        python = next((each for each in pythons if _has(each, tool)), None)
        if python is None:
            continue
        results = {shape.name: _peer(python, tool, shape, rounds) for shape in SHAPES}
        versions = {result.pop("version") for result in results.values()}
        found[tool] = {"version": versions.pop(), "layers": results}
    return found


def _has(python: str, tool: str) -> bool:
    code = f"import importlib.metadata; importlib.metadata.version({tool!r})"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        raise FileNotFoundError(f"--peers {python}: got no Python there, expected that of an environment") from None


def _peer(python: str, tool: str, shape: Shape, rounds: int) -> dict[str, Any]:
    """Run a tool on a layer in a folder of its own; it may say what it likes, but for its last line."""
    # -P: what a tool imports is never one of the benchmarks beside the program.
    command = [str(Path(python).absolute()), "-P", str(PROGRAMS), tool, json.dumps(asdict(shape))]
    script = MEASURE.replace("stdout=subprocess.DEVNULL", "stderr=subprocess.DEVNULL")
    taken = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            output = subprocess.run(
                [sys.executable, "-S", "-c", script, *command],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout.splitlines()
        taken.append(json.loads(output[-2]) | json.loads(output[-1]))
    seconds = median(each["cpu_seconds"] for each in taken)
    return {"version": taken[0]["version"], "cpu_seconds": round(seconds, 2), "cycles": taken[0]["cycles"]}


def measure_own() -> list[dict[str, Any]]:
    """By machine and passes: processor seconds and cycles, by layer and of one image of the main job's trace."""
    with tempfile.TemporaryDirectory() as folder:
        traces = {
            shape.name: str(write_trace(Path(folder) / shape.name, [shape.layer()], shape.name))
            for shape in (*SHAPES, NOTHING)
        }
        traces[NETWORK] = str(Path(folder) / "image")
        measured(["trace", "select", str(MAIN_TRACE), "--images", "0:1", "-o", traces[NETWORK]])
        return [
            {"machine": machine, "passes": list(passes),
             "layers": {name: _own(machine, passes, path) for name, path in traces.items()}}
            for machine, passes in OWN
        ]  # fmt: skip


def _own(machine: str, passes: Sequence[str], trace: str) -> dict[str, Any]:
    options = [word for name in passes for word in ("--pass", name)]
    command = ["run", "--arch", machine, "--trace", trace, *options]
    measured(command)  # compiles
    seconds = median(measured(command).cpu_seconds for _ in range(OWN_ROUNDS))
    report = simulate(load_architecture(machine), load_trace(trace), passes=passes)
    cycles = sum(record.cycles for record in report.layer_records if record.pass_name in passes)
    return {"cpu_seconds": round(seconds, 2), "cycles": cycles}


def table(measurements: Mapping[str, Any]) -> str:
    """Markdown: swatsim, what was run beside it, and what is quoted."""
    names = [*(shape.name for shape in SHAPES), NETWORK]
    lines = ["| simulator | what it does | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for row in (*own_rows(measurements), *peer_rows(measurements), *QUOTED):
        quoted = " (quoted)" if row in QUOTED else ""
        cells = (row.cells.get(name, "") for name in names)
        lines.append(f"| {row.name}{quoted} | {row.what} | {' | '.join(cells)} |")
    start_up = [each["layers"][NOTHING.name]["cpu_seconds"] for each in measurements.get("own", ())]
    beyond = f" swatsim's start-up alone takes {min(start_up):.2f} to {max(start_up):.2f} s of it." if start_up else ""
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |") + "\n\n" + NOTE.format(beyond=beyond) + "\n"


NOTE = (
    "Processor seconds of the whole process, then the cycles that it finds, of its own machine: cycles compare only "
    "where machines and passes are the same.{beyond} conv1 is 7x7/2, 3 to 64 channels on 224x224; res3 3x3, 128 to 128 "
    "on 28x28; res4 1x1, 1024 to 256 on 14x14. What pip installs was run beside swatsim; *quoted* rows were measured "
    "once, not by this command, with one thread of an AMD EPYC. The networks there are ResNet-50 v1, forward, but for "
    "TensorDash's three passes."
)  # fmt: skip


def own_rows(measurements: Mapping[str, Any]) -> Iterable[Row]:
    for each in measurements.get("own", ()):
        passes = "three passes" if len(each["passes"]) == len(PASSES) else ", ".join(each["passes"])
        yield Row(
            name=f"**swatsim**, `{each['machine']}`", what=f"cycle by cycle, real positions, {passes}, memory",
            cells=_cells(each["layers"]),
        )  # fmt: skip


def peer_rows(measurements: Mapping[str, Any]) -> Iterable[Row]:
    for tool, found in measurements.get("peers", {}).items():
        title, machine, what = TOOLS[tool]
        yield Row(name=f"{title} {found['version']}, {machine}", what=what, cells=_cells(found["layers"]))


def _cells(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: f"{each['cpu_seconds']:.2f} s, {each['cycles']:,}" for name, each in layers.items()}


def updated(readme: str, text: str) -> str:
    """The README with the table between its marks; raises LookupError where they are not there, once and in order."""
    begin, end = MARKS
    if readme.count(begin) != 1 or readme.count(end) != 1 or readme.index(begin) > readme.index(end):
        raise LookupError(f"README.md: got no {begin.strip()} … {end.strip()}, expected each once, in this order")
    before, rest = readme.split(begin)
    return before + begin + text + end + rest.split(end)[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="of an environment with peers")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each peer, of which the median counts")
    parser.add_argument("--update", action="store_true", help=f"measure, and write {FILE.name} and the README")
    arguments = parser.parse_args()
    measurements: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    if arguments.update:
        peers = measure_peers(arguments.peers, arguments.rounds)
        kept = [tool for tool in TOOLS if tool not in peers]
        for tool in kept:
            state = "kept as they were" if tool in measurements.get("peers", {}) else "not known"
            print(f"{tool}: no environment has it; its figures are {state}", file=sys.stderr)
        measurements = {"own": measure_own(), "peers": measurements.get("peers", {}) | peers}
        FILE.write_text(json.dumps(measurements, indent=1) + "\n")
        README.write_text(updated(README.read_text(encoding="utf-8"), table(measurements)), encoding="utf-8")
    else:
        print(table(measurements), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
