"""The machines that are compared with SWAT's published speedups, and what each makes of the shipped traces.

The paper gives four speedups and no machine. Each machine here is arch/dadiannao.yaml with all keys that decide compute
cycles stated (`BASE`) and some of them changed. `benchmarks.calibration` runs them and says what was found.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

import swatsim
from benchmarks.published import PUBLISHED, TRACES
from swatsim.contraction import contract
from swatsim.datapaths import arranged
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.synthesis.twin import like

TRACE_NAMES = ("resnet50", "resnet50-90", "resnet50-thin")
WHAT = ("forward", "backward", "input_grad", "weight_grad")
BACKWARD = ("input_grad", "weight_grad")
FIGURES = tuple(itertools.product(TRACE_NAMES, WHAT))
# How far from each of the four published figures a machine may be.
TOLERANCE = 0.1

Keys = Mapping[str, object]
Speedups = Mapping[tuple[str, str], float]  # by trace and one of WHAT
BASE: Keys = {
    "tiles": 16, "tile.rows": 16, "tile.columns": 1, "tile.lanes": 16,
    "datapath.skip": "sparser", "datapath.reach": "crossbar", "datapath.chunk_steps": 32, "datapath.lockstep": "row",
    "datapath.barrier": "chunk", "datapath.barrier_tiles": 1, "datapath.decouple_depth": 0, "datapath.balance": "none",
    "mapping.tile_split": "best", "mapping.flatten": "auto", "mapping.step_order": "crs", "mapping.window_order": "npq",
}  # fmt: skip
# Rows that wait for each other are alike; and central's broadcast reaches all tiles, so they take up a chunk together.
CHOSEN: Keys = {"datapath.balance": "greedy", "datapath.barrier_tiles": 16}
# Tiles of 4 x 4 x 16 multipliers are TensorDash's; with 16 of them the peak is DaDianNao's.
SQUARE_TILE: Keys = {"tile.rows": 4, "tile.columns": 4}
FREE: Keys = {"datapath.barrier": "pass"}

# Bit-Tactical's and TensorDash's eight inputs, and wider multiplexers: [steps ahead, lanes aside].
MOVES: Mapping[str, Sequence[tuple[int, int]]] = {
    "8 inputs, 2 ahead": ((1, -1), (1, 0), (1, 1), (1, 3), (2, -2), (2, 0), (2, 2)),
    "29 inputs, 4 ahead, 3 aside": [(ahead, aside) for ahead in range(1, 5) for aside in (0, -1, 1, -2, 2, -3, 3)],
    "31 inputs, 6 ahead, 2 aside": [(ahead, aside) for ahead in range(1, 7) for aside in (0, -1, 1, -2, 2)],
    "31 inputs, 10 ahead, 1 aside": [(ahead, aside) for ahead in range(1, 11) for aside in (0, -1, 1)],
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One machine: `BASE` with some keys changed."""

    part: str  # of the sweep
    label: str
    changed: Keys

    @property
    def keys(self) -> str:
        """What is changed, as `--set` has it."""
        return " ".join(f"{key}={_written(value)}" for key, value in self.changed.items())

    def architecture(self) -> swatsim.Architecture:
        """The machine, with the shipped memory."""
        return swatsim.load_architecture("dadiannao", overrides={**BASE, **self.changed})


def candidates() -> Iterator[Candidate]:
    """Every machine of the sweep."""
    for start, found in (("plain", {}), ("balanced", CHOSEN)):
        yield Candidate(part=start, label="as it is", changed=found)
        for key, value in _single_changes():
            # Windows, the columns of a forward pass, cannot be sorted; and both takes as long as all others together.
            slow_or_refused = bool(found) and key == "datapath.skip" and value != "rows"
            if {**BASE, **found}[key] != value and not slow_or_refused:
                yield Candidate(part=start, label=f"{key}: {_written(value)}", changed={**found, key: value})
    for (rows, columns), steps, balance, (barrier, order) in itertools.product(
        ((16, 1), (8, 2), (4, 4), (2, 8), (1, 16)), (8, 16, 24, 32, 48, 64), ("none", "greedy"),
        (("chunk", "crs"), ("chunk", "rsc"), ("buffer", "crs"), ("pass", "crs")),
    ):  # fmt: skip
        yield Candidate(part="grid", label=f"{rows}x{columns}", changed={
            "tile.rows": rows, "tile.columns": columns, "datapath.chunk_steps": steps, "datapath.barrier": barrier,
            "datapath.balance": balance, "mapping.step_order": order,
        })  # fmt: skip
    for depth, steps, balance in itertools.product((1, 2, 4, 8), (8, 16, 32), ("none", "greedy")):
        yield Candidate(part="ahead", label=f"{depth} ahead", changed={
            "datapath.decouple_depth": depth, "datapath.chunk_steps": steps, "datapath.balance": balance,
        })  # fmt: skip
    for (name, moves), lockstep, rows in itertools.product(MOVES.items(), ("tile", "row"), (16, 4)):
        yield Candidate(part="moves", label=name, changed={
            "tile.rows": rows, "tile.columns": 16 // rows, "datapath.reach": "moves",
            "datapath.moves": [list(move) for move in moves], "datapath.chunk_steps": None,
            "datapath.lockstep": lockstep, "datapath.barrier": "buffer",
        })  # fmt: skip


def _single_changes() -> Iterator[tuple[str, object]]:
    values: dict[str, Sequence[object]] = {
        "datapath.skip": ("rows", "columns", "both"), "datapath.chunk_steps": (8, 16, 24, 28, 40, 48, 64),
        "datapath.barrier": ("buffer", "pass"), "datapath.barrier_tiles": (1, 2, 4, 16),
        "datapath.decouple_depth": (1, 2),
        "mapping.tile_split": ("rows", "columns"), "mapping.flatten": ("never",), "mapping.window_order": ("nqp",),
        "mapping.step_order": ("rsc", "csr"),
    }  # fmt: skip
    for key, choices in values.items():
        yield from ((key, value) for value in choices)


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """Compute cycles of one pass of one layer."""

    layer: str
    pass_name: str
    dense: int
    actual: int


Counting = Callable[[Sequence[Cycles], str], float]  # the speedup of one of WHAT


def compute_cycles(architectures: Sequence[swatsim.Architecture], trace: swatsim.Trace) -> list[list[Cycles]]:
    """Compute cycles of each machine, layer by layer, every contraction in its fastest way.

    A simulation weighs memory too, and may take a way of more compute cycles for the traffic that it saves.
    """
    found: list[list[Cycles]] = [[] for _ in architectures]
    for index in range(len(trace)):
        layer = trace.layer(index)
        for pass_name in layer.computed:
            contracted = {
                order: contract(layer, pass_name, order) for order in {_order(machine) for machine in architectures}
            }
            for machine, cycles in zip(architectures, found, strict=True):
                ways = [schedule(arranged(each, machine), machine) for each in contracted[_order(machine)]]
                cycles.append(Cycles(
                    layer=layer.spec.name, pass_name=pass_name,
                    dense=sum(min(way.compute_cycles for way in each.dense) for each in ways),
                    actual=sum(min(way.compute_cycles for way in each.actual) for each in ways),
                ))  # fmt: skip
    return found


def _order(machine: swatsim.Architecture) -> Order:
    return Order(steps=machine.mapping.step_order, windows=machine.mapping.window_order)


def by_cycles(cycles: Sequence[Cycles], what: str) -> float:
    """Dense cycles of all layers over those of the machine: what the paper's words suggest, and what we compare."""
    chosen = [each for each in cycles if each.pass_name in _passes_of(what)]
    return sum(each.dense for each in chosen) / sum(each.actual for each in chosen)


def without_first(cycles: Sequence[Cycles], what: str) -> float:
    """The same without the first convolution, which SWAT-U leaves dense."""
    return by_cycles([each for each in cycles if each.layer != cycles[0].layer], what)


def mean_of_passes(cycles: Sequence[Cycles], what: str) -> float:
    """The two backward passes weighted alike."""
    speedups = [by_cycles(cycles, name) for name in _passes_of(what)]
    return sum(speedups) / len(speedups)


def mean_of_layers(cycles: Sequence[Cycles], what: str) -> float:
    """Every layer weighted alike."""
    layers: dict[str, list[Cycles]] = {}
    for each in cycles:
        if each.pass_name in _passes_of(what):
            layers.setdefault(each.layer, []).append(each)
    return sum(by_cycles(found, what) for found in layers.values()) / len(layers)


def _passes_of(what: str) -> Sequence[str]:
    return BACKWARD if what == "backward" else (what,)


COUNTINGS: Mapping[str, Counting] = {
    "cycles of all layers": by_cycles,
    "without the first convolution": without_first,
    "mean of the two backward passes": mean_of_passes,
    "mean of the layers": mean_of_layers,
}
# Machines that are looked at more closely.
CLOSER: Mapping[str, Keys] = {"plain": {}, "balanced": CHOSEN, "square tile": SQUARE_TILE, "nobody waits": FREE}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Speedups of one machine, counted in one way."""

    part: str
    label: str
    keys: str
    speedups: Speedups

    @property
    def worst(self) -> float:
        """The largest relative difference from the four published figures, without sign."""
        return max(abs(self.speedups[key] / published - 1) for key, published in PUBLISHED.items())


def sweep() -> list[Row]:
    """All machines on all traces; a few of them on random masks, and counted otherwise."""
    machines = list(candidates())
    real = _on_traces(machines, swatsim.load_trace)
    rows = [_row(machine, cycles, by_cycles) for machine, cycles in zip(machines, real, strict=True)]
    closer = [Candidate(part="random masks", label=name, changed=keys) for name, keys in CLOSER.items()]
    random = _on_traces(closer, lambda path: like(swatsim.load_trace(path), 1, "bernoulli"))
    rows += [_row(machine, cycles, by_cycles) for machine, cycles in zip(closer, random, strict=True)]
    for machine, cycles in zip(closer, _on_traces(closer, swatsim.load_trace), strict=True):
        for name, counting in COUNTINGS.items():
            counted = Candidate(part=f"counting: {machine.label}", label=name, changed=machine.changed)
            rows.append(_row(counted, cycles, counting))
    return rows


def _on_traces(
    machines: Sequence[Candidate], load: Callable[[Path], swatsim.Trace]
) -> list[dict[str, Sequence[Cycles]]]:
    """[machine]: its cycles by trace."""
    architectures = [machine.architecture() for machine in machines]
    by_trace = {name: compute_cycles(architectures, load(TRACES / name)) for name in TRACE_NAMES}
    return [{name: by_trace[name][number] for name in TRACE_NAMES} for number in range(len(machines))]


def _row(machine: Candidate, cycles: Mapping[str, Sequence[Cycles]], counting: Counting) -> Row:
    return Row(
        part=machine.part, label=machine.label, keys=machine.keys,
        speedups={(trace, what): counting(cycles[trace], what) for trace, what in FIGURES},
    )  # fmt: skip


# The mapper's choice, with memory: the shipped levels, and an SB that brings a row's bitmap beside its values.
WIDE_SB: Keys = {"memory.sb.width_bytes_per_cycle": 1024}
STEPS: Mapping[str, Keys] = {"plain": {}, "balanced": CHOSEN, "balanced, SB of 1024 B/cycle": {**CHOSEN, **WIDE_SB}}


def steps() -> list[Row]:
    """Whole simulations: speedups in compute cycles, and with memory stalls."""
    rows = []
    for name, keys in STEPS.items():
        machine = Candidate(part="compute", label=name, changed=keys)
        compute: dict[tuple[str, str], float] = {}
        stalled: dict[tuple[str, str], float] = {}
        for trace in TRACE_NAMES:
            report = swatsim.simulate(machine.architecture(), swatsim.load_trace(TRACES / trace), workers=1)
            for what in WHAT:
                total = report.total(what)
                compute[trace, what] = total.dense_compute_cycles / total.compute_cycles
                stalled[trace, what] = total.dense_cycles / total.cycles
        rows += [
            Row(part=part, label=name, keys=machine.keys, speedups=speedups)
            for part, speedups in (("compute", compute), ("with stalls", stalled))
        ]
    return rows


def write(rows: Iterable[Row], path: Path) -> None:
    """Keep results."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "label", "keys", *(f"{trace} {what}" for trace, what in FIGURES)])
        for row in rows:
            writer.writerow([row.part, row.label, row.keys, *(f"{row.speedups[key]:.4f}" for key in FIGURES)])


def read(path: Path) -> list[Row]:
    """Results that were kept."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                part=found["part"], label=found["label"], keys=found["keys"],
                speedups={(trace, what): float(found[f"{trace} {what}"]) for trace, what in FIGURES},
            )
            for found in csv.DictReader(file)
        ]  # fmt: skip


def _written(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
