"""What is in a trace, as tables, JSON and CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from swatsim.passes import OPERANDS
from swatsim.report.delimited import csv_text
from swatsim.report.view import WIDTH, View, print_view
from swatsim.trace.json_values import fraction_text
from swatsim.trace.measures import LayerMeasure, OperandMeasure
from swatsim.trace.reader import StoredTrace
from swatsim.trace.records import is_synthetic

FORMAT, VERSION = "swatsim-trace-info", 1
_LONGEST_FACT = 2000  # characters of the table
_LETTERS = {"weight": "w", "input": "a", "output_grad": "g"}
NOTES = (
    "Densities are shares of non-zeros; budget: the sparsity at which an operand was selected; needed: share of the "
    "pass's results that are needed.",
    "w/filter, w/chan, a/chan, g/chan: deviation of the non-zeros per filter of the weight and per channel of weight, "
    "input and output gradient, over that of a random mask; 1.00 is no more clustered than chance.",
)


def print_info(trace: StoredTrace, layers: Sequence[LayerMeasure], console: Console) -> None:
    """Print how the trace was made, its layers, and the operands of each pass."""
    width = min(WIDTH, console.width)
    console.print(Group(*(Text(line) for line in (*_facts(trace), ""))), width=width)
    print_view(console, layers_view(trace, layers))
    console.print("", width=width)
    print_view(console, operands_view(layers))
    console.print(Group(*(Text(line) for line in ("", *NOTES))), width=width)


def layers_view(trace: StoredTrace, layers: Sequence[LayerMeasure]) -> View:
    """Shapes and bytes on disk; tensors that layers share are in the total once."""
    lines = tuple(
        (
            measure.spec.name, measure.spec.kind, *map(_sizes, (
                measure.spec.input_shape, measure.spec.weight_shape, measure.spec.output_shape,
            )), f"{measure.file_bytes:,}",
        )
        for measure in layers
    )  # fmt: skip
    headings = ("layer", "kind", "input", "weight", "output", "bytes on disk")
    total = ("total", "", "", "", "", f"{trace.file_bytes():,}")
    return View(headings=headings, left=frozenset(headings[:-1]), lines=lines, totals=(total,))


def operands_view(layers: Sequence[LayerMeasure]) -> View:
    """Densities, budgets and clustering of each pass."""
    headings = (
        "layer",
        "pass",
        "input",
        "weight",
        "grad",
        "budget",
        "needed",
        "w/filter",
        "w/chan",
        "a/chan",
        "g/chan",
    )
    lines = tuple(_pass_cells(measure, pass_name) for measure in layers for pass_name in measure.spec.passes)
    return View(headings=headings, left=frozenset(("layer", "pass", "budget")), lines=lines, totals=())


def info_json(trace: StoredTrace, layers: Sequence[LayerMeasure]) -> str:
    """All of it as one JSON document, ending in a line feed; what is not known is null."""
    made = trace.manifest
    document = {
        "format": FORMAT, "version": VERSION, "name": made.name, "digest": trace.digest, "network": made.network,
        "scheme": made.scheme, "sparsity": None if made.sparsity is None else fraction_text(made.sparsity),
        "selection_period": made.selection_period, "optimizer": made.optimizer, "provenance": dict(made.provenance),
        "graph_nodes": len(trace.graph), "file_bytes": trace.file_bytes(), "rows": list(_rows(layers)),
    }  # fmt: skip
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def info_csv(trace: StoredTrace, layers: Sequence[LayerMeasure]) -> str:
    """One line per operand of a pass; what has no value is empty."""
    rows = [{**row, "shape": "x".join(map(str, row["shape"]))} for row in _rows(layers)]
    return csv_text(rows, synthetic=is_synthetic(trace.manifest.provenance))


def _rows(layers: Sequence[LayerMeasure]) -> Iterator[dict[str, Any]]:
    for measure in layers:
        spec = measure.spec
        for (pass_name, role), operand in measure.operands.items():
            needed, results = measure.needed[pass_name]
            yield {
                "layer": spec.name, "kind": spec.kind, "pass": pass_name, "operand": role,
                "shape": list(spec.shape_of(role)), "elements": operand.elements, "nonzeros": operand.nonzeros,
                "density": operand.density,
                "sparsity": None if operand.sparsity is None else fraction_text(operand.sparsity),
                "clustering_by_filter": _known(operand.by_filter), "clustering_by_channel": _known(operand.by_channel),
                "results": results, "needed_results": needed, "layer_file_bytes": measure.file_bytes,
            }  # fmt: skip


def _facts(trace: StoredTrace) -> Iterator[str]:
    made = trace.manifest
    yield f"name: {made.name}"
    sparsity = "" if made.sparsity is None else f"sparsity {fraction_text(made.sparsity)}"
    period = "" if made.selection_period is None else f"selected every {made.selection_period} steps"
    facts = {"network": made.network, "scheme": ", ".join(filter(None, (made.scheme, sparsity, period)))}
    facts |= {"optimizer": made.optimizer, **{key: _in_short(text) for key, text in made.provenance.items()}}
    yield from (f"{key}: {text}" for key, text in facts.items() if text)
    yield f"graph: {f'{len(trace.graph)} nodes' if trace.graph else 'not known'}"
    yield f"digest: {trace.digest}"


def _in_short(text: str) -> str:
    """On one line, and no longer than anybody reads; the JSON has all of it."""
    more = "…" if len(text) > _LONGEST_FACT else ""
    return " ".join(text[:_LONGEST_FACT].split()) + more


def _pass_cells(measure: LayerMeasure, pass_name: str) -> tuple[str, ...]:
    given: dict[str, OperandMeasure] = {role: measure.operands[pass_name, role] for role in OPERANDS[pass_name]}
    densities = (f"{given[role].density:.3f}" if role in given else "–" for role in ("input", "weight", "output_grad"))
    budgets = [
        f"{_LETTERS[role]} {fraction_text(operand.sparsity)}"
        for role, operand in given.items() if operand.sparsity is not None
    ]  # fmt: skip
    needed, results = measure.needed[pass_name]
    share = "all" if needed == results else f"{needed / results:.3f}"
    clustered = (
        given["weight"].by_filter if "weight" in given else math.nan,
        *(given[role].by_channel if role in given else math.nan for role in ("weight", "input", "output_grad")),
    )
    numbers = ("–" if math.isnan(value) else f"{value:.2f}" for value in clustered)
    return (measure.spec.name, pass_name, *densities, ", ".join(budgets) or "–", share, *numbers)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
