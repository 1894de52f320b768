"""Write the README.md of a network's folder of traces from the traces, their loss curves and their recipes.

python traces/describe_network.py traces/resnet18-cifar
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from maturity import measure
from recipes import CIFAR_SCHEMES, RECIPES, Recipe

from swatsim.networks import NETWORKS
from swatsim.trace import Trace, load_trace

PACKAGES = ("pip install -e '.[torch]' pillow", "pip install --no-deps foolbox")
MOMENTS = ("start", "end")


def runs() -> list[str]:
    """The names of the recipes, behind the network's."""
    return [f"{scheme}-{sparsity * 100:.0f}" for scheme, sparsity in CIFAR_SCHEMES]


def readme(folder: Path) -> str:
    """The whole text; every number is read from the traces, their loss curves or the recipes."""
    network = folder.name
    found = {f"{run}-{moment}": load_trace(folder / f"{run}-{moment}") for run in runs() for moment in MOMENTS}
    last = found[f"{runs()[0]}-end"]
    recipe = RECIPES[f"{network}/{runs()[0]}"]
    return "\n".join(
        [
            f"# {network}",
            "",
            f"{NETWORKS[network].title} ({len(last)} layers) under three schemes, each captured at its first training",
            "step (*start*) and one step after its last (*end*): bits only, which values are zero.",
            "",
            f"- Data: {last.manifest.provenance['data']}.",
            f"- Captured: {last.manifest.provenance['captured']}; the same images in all traces.",
            f"- torch {last.manifest.provenance['torch']}.",
            "",
            *_table(folder, found),
            "",
            "Densities are over all layers together, of the forward pass unless named; clustering is that of the",
            "weights by filter, median over layers (1.0: a random mask; `maturity.py` defines it). Loss has label",
            "smoothing 0.1; held out: 256 patches.",
            "",
            "## Made by",
            "",
            *[f"    {line}" for line in PACKAGES],
            *[line for run in runs() for line in _commands(network, run)],
            f"    python traces/describe_network.py traces/{network}",
            "",
            *_training(recipe, RECIPES[f"{network}/rigl-90"]),
            "",
            "## Loss curves (loss.csv of each end)",
            "",
            *_curves(folder, runs()),
            "",
        ]
    )


def _commands(network: str, run: str) -> list[str]:
    trace = f"traces/{network}/{run}"
    return [
        f"    python traces/train.py {network}/{run} --work runs/{network}/{run} --report-every 40 \\",
        f"        --first-step {trace}-start --trace {trace}-end",
    ]


def _table(folder: Path, found: dict[str, Trace]) -> list[str]:
    head = (
        "trace", "step", "loss", "accuracy", "held out", "weights", "input", "input, weight_grad", "output gradient",
        "weight gradients needed", "clustering", "MB",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, trace in found.items():
        provenance = trace.manifest.provenance
        learned = [provenance.get(key, "–") for key in ("loss", "accuracy", "held_out_accuracy")]
        stored = sum(file.stat().st_size for file in (folder / name).rglob("*") if file.is_file())
        cells = [name, provenance["step"], *learned, *_measured(trace), f"{stored / 1e6:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _measured(trace: Trace) -> list[str]:
    places = (("forward", "weight"), ("forward", "input"), ("weight_grad", "input"), ("weight_grad", "output_grad"))
    densities = []
    for pass_name, role in places:
        bits = [layer.passes[pass_name].operands[role].bits for layer in trace]
        densities.append(sum(each.nonzeros for each in bits) / sum(each.size for each in bits))
    sizes = [layer.passes["forward"].operands["weight"].bits.size for layer in trace]
    masks = [layer.passes["weight_grad"].result_mask for layer in trace]
    needed = [size if mask is None else mask.nonzeros for mask, size in zip(masks, sizes, strict=True)]
    densities.append(sum(needed) / sum(sizes))
    clustering = float(np.nanmedian([measure(layer)[0][1] for layer in trace]))
    return [*(f"{density:.3f}" for density in densities), f"{clustering:.2f}"]


def _training(recipe: Recipe, rigl: Recipe) -> list[str]:
    (phase,) = recipe.phases
    first, last = phase.rate
    return [
        f"{phase.steps} steps of batch {phase.batch} in bfloat16, learning rate {first:g} to {last:g} with "
        f"{recipe.warm_up_steps} steps of warm-up, SGD,",
        f"Nesterov momentum 0.9, weight decay {recipe.weight_decay:g} (not on batch norm and biases), "
        f"seed {recipe.seed}. "
        "SWAT's thresholds are",
        f"reused for {recipe.period} steps, and taken anew in the captured one; RigL changes its masks every "
        f"{rigl.period} steps until",
        "three quarters of the run.",
    ]


def _curves(folder: Path, names: list[str]) -> list[str]:
    curves = [list(csv.DictReader((folder / f"{name}-end" / "loss.csv").open())) for name in names]
    lines = ["| step | " + " | ".join(f"{name}: loss, held out" for name in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for rows in zip(*curves, strict=True):
        cells = [f"{row['loss']}, {row['held_out_accuracy']}" for row in rows]
        lines.append(f"| {rows[0]['step']} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    path = parser.parse_args().folder
    if path.name not in NETWORKS:
        sys.exit(f"folder: got {path.name}, expected the name of a network")
    (path / "README.md").write_text(readme(path))
