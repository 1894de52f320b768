"""Train one of the shipped networks with swatsim.torch.sparsify and capture one training step.

    python traces/train.py resnet50 --work runs/resnet50          trains, then captures
    python traces/train.py resnet50 --work runs/resnet50 --capture-only

A stopped run continues from its last checkpoint. Packages: see photographs.py.
"""

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from maturity import model_clustering
from models import ResNet
from photographs import Photographs
from torch import nn

from swatsim.torch import Sparsifier, sparsify


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some steps at one resolution; the learning rate goes geometrically from first to last."""

    pixels: int
    batch: int
    steps: int
    rate: tuple[float, float]
    period: int = 10  # optimiser steps between selections
    bfloat16: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a trace's network is trained; the same seed gives the same run on the same machine."""

    network: str
    scheme: str
    sparsity: float
    phases: tuple[Phase, ...]
    weight_decay: float
    initial_scale: float = 1.0  # of the convolutions' weights; batch norm makes it a matter of speed only
    warm_up_steps: int = 100
    seed: int = 1


def _low_to_high(low: int, middle: int, high: int) -> tuple[Phase, ...]:
    """Low resolution first: ten times the steps in the same time, and weights mature by steps."""
    return (
        Phase(pixels=64, batch=32, steps=low, rate=(0.1, 0.02)),
        Phase(pixels=112, batch=16, steps=middle, rate=(0.02, 0.01)),
        Phase(pixels=224, batch=8, steps=high, rate=(0.01, 0.003)),
    )


RECIPES = {
    "resnet50": Recipe(
        network="resnet50", scheme="swat-u", sparsity=0.8, weight_decay=1e-3, initial_scale=0.5,
        phases=_low_to_high(2600, 400, 80),
    ),
    "resnet50-90": Recipe(
        network="resnet50", scheme="swat-u", sparsity=0.9, weight_decay=1e-3, initial_scale=0.5,
        phases=_low_to_high(2000, 300, 60),
    ),
    "resnet50-dense": Recipe(
        network="resnet50", scheme="dense", sparsity=0.0, weight_decay=1e-3, initial_scale=0.5,
        phases=_low_to_high(1000, 200, 40),
    ),
}  # fmt: skip


def network(name: str, classes: int) -> nn.Module:
    if name == "resnet50":
        return ResNet(classes)
    raise SystemExit(f"network: got {name!r}")


class Run:
    """One training run: model, optimiser, sparsifier, and the step they are at."""

    def __init__(self, recipe: Recipe, photographs: Photographs, folder: Path) -> None:
        self.recipe, self.photographs, self.folder = recipe, photographs, folder
        torch.manual_seed(recipe.seed)
        self.model = network(recipe.network, photographs.classes).to(memory_format=torch.channels_last)
        with torch.no_grad():
            for module in self.model.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.mul_(recipe.initial_scale)
        decayed = [parameter for parameter in self.model.parameters() if parameter.dim() > 1]
        others = [parameter for parameter in self.model.parameters() if parameter.dim() <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=0.0, momentum=0.9, nesterov=True,
        )  # fmt: skip
        self.sparsifier: Sparsifier | None = None
        if recipe.scheme != "dense":
            self.sparsifier = sparsify(
                self.model, self.optimizer, scheme=recipe.scheme, sparsity=recipe.sparsity, period=10
            )
        self.step = 0
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def phase(self) -> tuple[Phase, int] | None:
        """The phase of the next step and how far into it that step is; None at the end."""
        into = self.step
        for phase in self.recipe.phases:
            if into < phase.steps:
                return phase, into
            into -= phase.steps
        return None

    def set_rate(self, phase: Phase, into: int) -> float:
        first, last = phase.rate
        rate = first * (last / first) ** (into / phase.steps)
        rate *= min(1.0, (self.step + 1) / self.recipe.warm_up_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def set_period(self, period: int) -> None:
        if self.sparsifier is not None:
            for module in self.sparsifier.modules.values():
                module.swatsim_rule.period = period

    def batch(self, size: int, pixels: int, held_out: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng([self.recipe.seed, self.step, int(held_out)])
        images, labels = self.photographs.batch(size, pixels, random=random, held_out=held_out)
        return images.contiguous(memory_format=torch.channels_last), labels

    def train_step(self, phase: Phase) -> tuple[float, float]:
        """One step; its loss and accuracy."""
        images, labels = self.batch(phase.batch, phase.pixels)
        with torch.autocast("cpu", torch.bfloat16, enabled=phase.bfloat16):
            scores = self.model(images).float()
            loss = self.loss(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        return loss.item(), (scores.argmax(1) == labels).float().mean().item()

    @torch.no_grad()
    def held_out_accuracy(self, phase: Phase, crops: int = 256) -> float:
        """On crops from the part of each photograph that training never sees."""
        self.model.eval()
        images, labels = self.batch(crops, phase.pixels, held_out=True)
        hits = 0
        for start in range(0, crops, phase.batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=phase.bfloat16):
                scores = self.model(images[start : start + phase.batch])
            hits += int((scores.argmax(1) == labels[start : start + phase.batch]).sum())
        self.model.train()
        return hits / crops

    def train(self, report_every: int) -> None:
        seen: list[tuple[float, float]] = []
        began = time.monotonic()
        while (now := self.phase()) is not None:
            phase, into = now
            rate = self.set_rate(phase, into)
            self.set_period(phase.period)
            seen.append(self.train_step(phase))
            if self.step % report_every == 0 or self.phase() is None:
                loss, accuracy = np.mean(seen, axis=0)
                clustering = model_clustering(self.model, self.recipe.sparsity or 0.8)
                row: dict[str, Any] = {
                    "step": self.step,
                    "pixels": phase.pixels,
                    "batch": phase.batch,
                    "learning_rate": f"{rate:.4f}",
                    "loss": f"{loss:.4f}",
                    "accuracy": f"{accuracy:.4f}",
                    "held_out_accuracy": f"{self.held_out_accuracy(phase):.4f}",
                    "median_filter_clustering": f"{np.nanmedian(list(clustering.values())):.3f}",
                    "seconds_per_step": f"{(time.monotonic() - began) / len(seen):.3f}",
                }
                self.log(row)
                self.save()
                seen, began = [], time.monotonic()

    def log(self, row: dict[str, Any]) -> None:
        path = self.folder / "loss.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", choices=RECIPES)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the loss curve")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=100, help="steps between rows of the loss curve")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    run = Run(RECIPES[arguments.trace], Photographs.load(), arguments.work)
    run.resume()
    run.train(arguments.report_every)


if __name__ == "__main__":
    main()
