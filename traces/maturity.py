"""Measure a trace: densities per layer, and how far its masks are from random ones.

    python traces/maturity.py traces/resnet50

prints what the trace's README quotes. A mask of a few hundred training steps is as random as a Bernoulli one; trained
weights cluster by filter and channel, which a machine whose rows wait for each other feels.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swatsim.bits import BitTensor
from swatsim.layer import Layer
from swatsim.trace import load_trace
from swatsim.trace.clustering import clustering

if TYPE_CHECKING:
    import torch


def top_k_mask(weight: torch.Tensor, density: float) -> np.ndarray:
    """The largest magnitudes of a dense weight."""
    magnitudes = weight.detach().abs().float().cpu().numpy()
    rank = magnitudes.size - int(np.ceil(density * magnitudes.size - 1e-9))
    return magnitudes >= np.partition(magnitudes.ravel(), rank)[rank]


def model_clustering(model: torch.nn.Module, sparsity: float) -> dict[str, float]:
    """Per layer but the first convolution: the clustering of its top-K weights."""
    import torch  # only training needs it

    layers = {
        name: module for name, module in model.named_modules() if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
    }
    first = next(name for name, module in layers.items() if isinstance(module, torch.nn.Conv2d))
    return {
        name: clustering(BitTensor.from_array(top_k_mask(module.weight, 1 - sparsity)))
        for name, module in layers.items()
        if name != first
    }


# (title, pass, role, axis of the clustering)
MEASURED = (
    ("weight (forward), by filter", "forward", "weight", 0),
    ("weight (forward), by channel", "forward", "weight", 1),
    ("input (forward), by channel", "forward", "input", 1),
    ("input (weight_grad), by channel", "weight_grad", "input", 1),
    ("output gradient, by channel", "weight_grad", "output_grad", 1),
)


def measure(layer: Layer) -> list[tuple[float, float]]:
    """(density, clustering) of each of `MEASURED`."""
    measured = []
    for _, pass_name, role, axis in MEASURED:
        bits = layer.passes[pass_name].operands[role].bits
        channel = axis if role == "weight" or layer.spec.kind != "linear" else -1
        measured.append((bits.nonzeros / bits.size, clustering(bits, channel)))
    return measured


def _range(values: list[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "– | – | –"
    return f"{min(known):.3f} | {float(np.median(known)):.3f} | {max(known):.3f}"


def tables(path: Path) -> list[str]:
    """The measurements as Markdown."""
    trace = load_trace(path)
    values = [measure(layer) for layer in trace]
    lines = ["| density over layers | least | median | most |", "|---|---|---|---|"]
    titles = [title for title, *_ in MEASURED]
    lines += [
        f"| {title.split(',')[0]} | {_range([value[index][0] for value in values])} |"
        for index, title in enumerate(titles)
        if index != 1  # the same weight again
    ]
    lines += ["", "| clustering, 1.0 = random | least | median | most |", "|---|---|---|---|"]
    lines += [f"| {title} | {_range([value[index][1] for value in values])} |" for index, title in enumerate(titles)]
    return lines


def per_layer(path: Path) -> list[str]:
    """Every layer's densities, and the clustering of its weight over filters."""
    lines = ["| layer | weight | input | input in weight_grad | output gradient | weight clustering by filter |"]
    lines.append("|---|---|---|---|---|---|")
    for layer in load_trace(path):
        (weight, clustered), _, (natural, _), (kept, _), (gradient, _) = measure(layer)
        lines.append(
            f"| {layer.spec.name} | {weight:.3f} | {natural:.3f} | {kept:.3f} | {gradient:.3f} | {clustered:.2f} |"
        )
    return [line.replace("nan", "–") for line in lines]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    print("\n".join([*tables(parser.parse_args().trace), "", *per_layer(parser.parse_args().trace)]))
