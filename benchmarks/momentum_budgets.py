"""The layer budgets that SWAT-M has at the end of short real trainings: benchmarks/momentum_budgets/*.csv.

    python -m benchmarks.momentum_budgets               # all; half an hour of one core
    python -m benchmarks.momentum_budgets resnet50-80   # one

`benchmarks.paper_macs` counts with them. Packages: traces/patches.py, and traces/photographs.py for ResNet-50.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

import swatsim.torch
from swatsim.files import write_file
from swatsim.schemes.swat import SwatRule
from swatsim.torch.networks import build

sys.path.insert(0, str(Path(__file__).parent.parent / "traces"))

FOLDER = Path(__file__).with_suffix("")
WARM_UP_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Batches of 32 in bfloat16, at one rate; weights are all that the budgets depend on, so pixels may be few."""

    network: str
    sparsity: str
    steps: int = 200
    pixels: int = 32
    rate: float = 0.005
    batch: int = 32


TRAININGS = {
    "vgg16-4096-cifar-95": Training(network="vgg16-4096-cifar", sparsity="0.95"),
    "densenet121-cifar-90": Training(network="densenet121-cifar", sparsity="0.9", steps=100),
    "wrn-16-8-cifar-95": Training(network="wrn-16-8-cifar", sparsity="0.95", steps=100),
    "resnet50-80": Training(network="resnet50", sparsity="0.8", steps=100, pixels=64, rate=0.02),
    "resnet50-90": Training(network="resnet50", sparsity="0.9", steps=100, pixels=64, rate=0.02),
}


def budgets(training: Training) -> dict[str, str]:
    """Sparsity by layer after the last step."""
    data = _data(training)
    torch.manual_seed(1)
    model = build(training.network, classes=data.classes if training.network != "resnet50" else 1000)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=training.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    sparsifier = swatsim.torch.sparsify(model, optimizer, scheme="swat-m", sparsity=training.sparsity, period=10)
    for step in range(training.steps):
        images, labels = data.batch(training.batch, training.pixels, random=np.random.default_rng([1, step]))
        for group in optimizer.param_groups:
            group["lr"] = training.rate * min(1.0, (step + 1) / WARM_UP_STEPS)
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 10 == 0:
            print(
                f"{training.network} {training.sparsity}: step {step + 1}, loss {float(loss.detach()):.3f}", flush=True
            )
    rules = {layer.place.name: layer.rule for layer in sparsifier.layers}
    return {name: f"{float(rule.budget):.6f}" for name, rule in rules.items() if isinstance(rule, SwatRule)}


def _data(training: Training) -> Any:
    if training.network == "resnet50":
        from photographs import Photographs

        return Photographs.load()
    from patches import Patches

    return Patches.load()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=TRAININGS, help="of one training; all by default")
    torch.set_num_threads(1)
    only = parser.parse_args().name
    for name in TRAININGS if only is None else (only,):
        rows = [f"{layer},{sparsity}" for layer, sparsity in budgets(TRAININGS[name]).items()]
        write_file(FOLDER / f"{name}.csv", ("\n".join(["layer,sparsity", *rows]) + "\n").encode())


if __name__ == "__main__":
    main()
