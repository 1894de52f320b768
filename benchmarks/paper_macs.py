"""SWAT's published reductions beside ours, from shapes and budgets alone: `python -m benchmarks.paper_macs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swatsim.budgets import allocate, places_of_specs
from swatsim.networks import network_shapes
from swatsim.paper_macs import scheme_counts
from swatsim.schemes import scheme_named

MOMENTUM_BUDGETS = Path(__file__).parent / "momentum_budgets"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper's tables; reductions in %, None where it gives none."""

    network: str  # as swatsim.networks has it
    scheme: str
    sparsity: int  # in %
    training: float
    inference: float | None = None


def _rows(network: str, scheme: str, *figures: tuple[int, float, float | None]) -> list[Published]:
    return [
        Published(network=network, scheme=scheme, sparsity=sparsity, training=training, inference=inference)
        for sparsity, training, inference in figures
    ]


# Raihan and Aamodt, NeurIPS 2020, and the authors' poster and response.
PUBLISHED = [
    *_rows("resnet50", "swat-u", (80, 76.1, 77.7), (90, 85.6, 87.4)),
    *_rows("resnet50", "swat-erk", (80, 60.0, 58.9), (90, 79.0, 77.8)),
    *_rows("resnet50", "swat-m", (80, 45.9, 45.0), (90, 65.4, 64.8)),
    *_rows("wrn-50-2", "swat-u", (80, 78.6, None), (90, 88.4, None)),
    *_rows("resnet50", "swat-structured", (50, 47.6, 48.6), (60, 57.1, 58.3), (70, 66.6, 68.0)),
    *_rows("wrn-50-2", "swat-structured", (50, 49.1, None), (60, 58.9, None), (70, 68.7, None)),
    *_rows("resnet18-cifar", "swat-structured", (50, 49.9, None), (60, 59.8, None), (70, 69.8, None)),
    *_rows("densenet121-cifar", "swat-structured", (50, 49.9, None), (60, 59.9, None), (70, 69.9, None)),
    *_rows("vgg16-4096-cifar", "swat-u", (90, 89.7, None)),
    *_rows("vgg16-4096-cifar", "swat-erk", (95, 89.5, None)),
    *_rows("vgg16-4096-cifar", "swat-m", (95, 64.0, None)),
    *_rows("wrn-16-8-cifar", "swat-u", (90, 90.0, None)),
    *_rows("wrn-16-8-cifar", "swat-erk", (95, 91.4, None)),
    *_rows("wrn-16-8-cifar", "swat-m", (95, 86.3, None)),
    *_rows("densenet121-cifar", "swat-u", (90, 89.8, None)),
    *_rows("densenet121-cifar", "swat-erk", (90, 89.7, None)),
    *_rows("densenet121-cifar", "swat-m", (90, 84.2, None)),
]


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Our reductions for a published row, in %."""

    training: float
    inference: float


def ours(row: Published) -> Ours | None:
    """Counted; None where a budget depends on a training run that is not kept here."""
    specs = network_shapes(row.network).layers
    scheme = scheme_named(row.scheme, sparsity=f"0.{row.sparsity}")
    places = places_of_specs(specs)
    if row.scheme == "swat-m":
        path = MOMENTUM_BUDGETS / f"{row.network}-{row.sparsity}.csv"
        if not path.exists():
            return None
        budgets = allocate(str(path), places, scheme.sparsity)
    else:
        budgets = scheme.layer_budgets(places)
    counts = scheme_counts(specs, scheme, budgets)
    return Ours(training=100 * counts.training_reduction, inference=100 * counts.inference_reduction)


def table() -> str:
    """Markdown, one row per published one."""
    headings = ["network", "scheme", "sparsity"]
    for what in ("training ↓", "inference ↓"):
        headings += [f"{what} published", "ours", "difference"]
    lines = [f"| {' | '.join(headings)} |", f"|---|---{'|---:' * 7}|"]
    for row in PUBLISHED:
        found = ours(row)
        cells = [row.network, row.scheme, f"{row.sparsity} %"]
        for published, counted in (
            (row.training, found and found.training), (row.inference, found and found.inference),
        ):  # fmt: skip
            difference = "–" if published is None or counted is None else f"{counted - published:+.2f}"
            cells += [_shown(published, 1), _shown(counted, 2), difference]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"


if __name__ == "__main__":
    print(table(), end="")
