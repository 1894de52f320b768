"""Where the passes lie under the roofline, and how sparse their operands are."""

from __future__ import annotations

from swatsim.charts.colors import OF_PASS
from swatsim.charts.model import HeatChart, Point, RoofChart, Series
from swatsim.charts.run_rows import Run
from swatsim.passes import OPERANDS

_LEAST = 1e-100  # MACs per byte: no machine has less, and what is divided by it must stay finite


def roofline(run: Run) -> RoofChart:
    """Multiplications a cycle over multiplications per byte off chip, a point for each layer and pass."""
    points = [
        Point(name=f"{row['layer']} {row['pass']}", series=run.passes.index(row["pass"]), x=row["macs_per_dram_byte"],
              y=row["multiplications"] / row["cycles"])
        for row in run.layers
        if row["cycles"] and (row["macs_per_dram_byte"] or 0) > _LEAST and row["multiplications"]
    ]  # fmt: skip
    machine = run.document["architecture"]
    tile, ridge = machine["tile"], run.document["rows"][0]["ridge_macs_per_dram_byte"]
    return RoofChart(
        title="Multiplications a cycle, by what each byte off chip allows",
        series=tuple(Series(name=name, color=OF_PASS[name]) for name in run.passes),
        points=tuple(points), level=run.levels[0],
        peak=float(machine["tiles"] * tile["rows"] * tile["columns"] * tile["lanes"]),
        ridge=None if ridge is None or ridge < _LEAST else ridge,
    )  # fmt: skip


def density(run: Run) -> HeatChart:
    """The share of non-zeros in both operands of each pass, and of its MACs that the machine carries out."""
    columns = [
        (name, key) for name in run.passes for key in (*(f"{role}_density" for role in OPERANDS[name]), "carried out")
    ]
    values = []
    for own in run.by_layer.values():
        line: list[float | None] = []
        for name, key in columns:
            row = own.get(name)
            if row is None:
                line.append(None)
            elif key == "carried out":
                line.append(row["multiplications"] / row["macs"] if row["macs"] else None)
            else:
                line.append(row.get(key))
        values.append(tuple(line))
    return HeatChart(
        title="Density of the operands", rows=tuple(run.by_layer),
        columns=tuple((name, key.removesuffix("_density")) for name, key in columns), values=tuple(values),
    )  # fmt: skip
