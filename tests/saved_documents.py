"""Documents of a run, a comparison, a sweep and an exploration, for tests of what is made of them."""

from __future__ import annotations

import functools
import json

from trace_files import small_graph, small_layers

import swatsim
from swatsim.comparison.document import to_json as comparison_json
from swatsim.exploring import Exploration
from swatsim.exploring.candidates import Space, Tried
from swatsim.report.document import to_json
from swatsim.sweeping import Sweep
from swatsim.sweeping.machines import Machines

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\n\x00\ud800é\u202e$_{x}$"


def small_trace():
    return swatsim.Trace("small", small_layers(), graph=small_graph())


def small_report(machine="dadiannao", overrides=None, **options):
    return swatsim.simulate(
        swatsim.load_architecture(machine, overrides=overrides), small_trace(), workers=1, **options
    )


@functools.cache
def _run_text():
    return to_json(small_report())


def run_document():
    return json.loads(_run_text())


@functools.cache
def small_comparison():
    machines = {name: swatsim.load_architecture(name) for name in ("dadiannao", "tensordash", "scnn")}
    return swatsim.compare(machines, small_trace(), workers=1)


def comparison_document(by="cycles"):
    return json.loads(comparison_json(small_comparison(), by))


@functools.cache
def _sweep_text():
    points = []
    for machine in ("dadiannao", "tensordash"):
        for rows in (2, 4, 16):
            report = json.loads(to_json(small_report(machine, {"tile.rows": rows})))
            points.append({
                "key": f"{len(points):064x}", "parameters": {"arch": machine, "trace": "small", "tile.rows": rows},
                "architecture": {"name": report["architecture"]["name"], "digest": "0" * 64},
                "trace": {"name": "small", "digest": report["trace"]["digest"], "synthetic": False},
                "totals": [row for row in report["rows"] if row["layer"] == "total"], "error": None,
            })  # fmt: skip
    points[4] |= {"totals": None, "error": "second: forward does not fit"}
    grid = {"arch": ["dadiannao", "tensordash"], "trace": ["small"], "tile.rows": [2, 4, 16]}
    command = ["swatsim", "sweep", "--set", "tile.rows=2,4,16"]
    return json.dumps({
        "format": "swatsim-sweep", "version": 1, "swatsim": "0.1.0", "command": command, "grid": grid, "points": points,
    })  # fmt: skip


def sweep_document():
    return json.loads(_sweep_text())


def small_sweep():
    document = sweep_document()
    return Sweep(grid=document["grid"], points=tuple(document["points"]))


def small_exploration():
    """Of machines whose measures are made up: one as its file has it, one refused, some above the budget."""
    axes = {"arch": ("dadiannao", "cnvlutin"), "tile.rows": (1, 2, 4, 8, 16, 32)}
    space = Space(axes=axes, traces=("small",), objectives=("edp", "area_mm2"), budgets={"area_mm2": 60, "power_w": 9})
    tried = [Tried(machine={"arch": "dadiannao"}, as_filed=True, values={"edp": 2e-7, "area_mm2": 79.2, "power_w": 8.0},
                   refused=None, excess=0.3)]  # fmt: skip
    for number, arch in enumerate(axes["arch"]):
        for rows in axes["tile.rows"]:
            area = 40.0 + 3 * rows + 5 * number
            values = {"edp": 1e-6 / rows + 1e-7 * number, "area_mm2": area, "power_w": 2.5}
            tried.append(Tried(machine={"arch": arch, "tile.rows": rows}, as_filed=False, values=values, refused=None,
                               excess=max(0.0, area / 60 - 1)))  # fmt: skip
    tried.append(Tried(machine={"arch": "cnvlutin", "tile.rows": 64}, as_filed=False, values={}, excess=0.0,
                       refused="--set tile.rows: got 64, expected less"))  # fmt: skip
    trace = {"path": "small", "name": "small", "digest": "0" * 64, "synthetic": False}
    return Exploration(
        space=space, machines=Machines(axes["arch"]), trials=13, seed=5, tried=tuple(tried), traces=(trace,),
        command=("swatsim", "explore"),
    )  # fmt: skip


def exploration_document():
    return json.loads(small_exploration().to_json())


def idle_run():
    """A run in which nothing takes time or moves a byte."""
    document = run_document() | {"footprint": None, "area": None}
    for row in document["rows"]:
        numbers = [key for key, value in row.items() if isinstance(value, int | float) and not key.startswith("ridge")]
        row.update(dict.fromkeys(numbers, 0), speedup=None, macs_per_dram_byte=None)
    return document


def unlimited_run():
    """A run whose outermost level is unlimited."""
    document = run_document()
    for row in document["rows"]:
        row["ridge_macs_per_dram_byte"] = None
    return document


def empty_sweep():
    return sweep_document() | {"points": []}


EDGES = {"idle": idle_run, "unlimited": unlimited_run, "empty": empty_sweep}
DOCUMENTS = {
    "run": run_document,
    "comparison": comparison_document,
    "sweep": sweep_document,
    "exploration": exploration_document,
}


def hostile(value, name=HOSTILE):
    """The same document in which every name and every other text that a user may have written is hostile."""
    if isinstance(value, dict):
        taken = ("format", "pass", "bound_by", "roofline_side", "by", "kind", "normalize", "objectives")
        return {key: each if key in taken else hostile(each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, name) for each in value]
    return f"{value} {name}" if isinstance(value, str) else value
