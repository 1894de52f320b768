"""Bytes: what moves at each level, what each layer moves off chip, and what is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swatsim.charts.colors import OF_TENSOR
from swatsim.charts.model import Bar, BarChart, Group, Series
from swatsim.charts.run_rows import Run, add
from swatsim.charts.time import only
from swatsim.moves import DIRECTIONS, TENSORS


def traffic(run: Run) -> BarChart:
    """Bytes read and written at each level, by tensor."""
    rows = (*run.layers, *run.streams)
    groups = [
        Group(name=level, bars=tuple(
            Bar(name=direction, parts=tuple(
                add(rows, f"{level}_{direction}_{tensor}_bytes") for tensor in TENSORS
            )) for direction in DIRECTIONS
        )) for level in run.levels
    ]  # fmt: skip
    return BarChart(
        title="Bytes read and written at each level of memory", unit="bytes", series=_tensors(), groups=tuple(groups)
    )


def traffic_by_layer(run: Run) -> BarChart:
    """Bytes of each layer and pass at the outermost level, by tensor."""
    outermost = run.levels[0]
    groups = [
        Group(name=layer, bars=tuple(
            Bar(name=name, parts=tuple(
                sum(row[f"{outermost}_{direction}_{tensor}_bytes"] for direction in DIRECTIONS) for tensor in TENSORS
            ), mark=row["compulsory_dram_bytes"]) for name, row in own.items()
        )) for layer, own in run.by_layer.items()
    ]  # fmt: skip
    return BarChart(
        title=f"Bytes of each layer and pass at {outermost}", unit="bytes", series=_tensors(), groups=tuple(groups),
        mark="each operand and the result once",
    )  # fmt: skip


def _tensors() -> tuple[Series, ...]:
    return tuple(Series(name=tensor, color=OF_TENSOR[tensor]) for tensor in TENSORS)


def footprint(run: Run) -> BarChart:
    """Bytes kept from the forward to the backward pass, of a step that was simulated as a whole."""
    kept = run.document["footprint"]
    names = {"all together": "total", "of layers": "layers_total", "between layers": "between_total"}
    return _footprint("Bytes kept from the forward to the backward pass", {
        shown: kept[key] for shown, key in names.items()
    })  # fmt: skip


def footprint_by_layer(run: Run) -> BarChart:
    """The same of each layer."""
    layers = {each["name"]: each for each in run.document["footprint"]["layers"]}
    return _footprint("Bytes that each layer keeps for its backward pass", layers)


def _footprint(title: str, kept: Mapping[str, Mapping[str, Any]]) -> BarChart:
    groups = (_kept(name, each) for name, each in kept.items())
    series = (Series(name="activations", color="blue"), Series(name="weights", color="orange"))
    return BarChart(
        title=title, unit="bytes", series=series, groups=tuple(group for group in groups if group.bars),
        mark="all stored dense",
    )  # fmt: skip


def _kept(name: str, each: Mapping[str, Any]) -> Group:
    kinds = ("activation", "weight")
    return Group(name=name, bars=tuple(
        Bar(name=f"{kind}s", parts=only(each[f"{kind}_bytes"], number, 2), mark=each[f"dense_{kind}_bytes"])
        for number, kind in enumerate(kinds) if each[f"dense_{kind}_bytes"] or each[f"{kind}_bytes"]
    ))  # fmt: skip
