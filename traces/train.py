"""Train the network of a shipped trace with swatsim.torch.sparsify and capture one training step.

    python traces/train.py resnet50 --work runs/resnet50 --trace traces/resnet50

trains, writing checkpoints and the loss curve into --work, then captures. A stopped run continues from its last
checkpoint; a finished one only captures. --first-step captures the run's first step too.
Packages: see photographs.py, patches.py, digits.py and open_nsfw.py.
"""

import argparse
import csv
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from digits import Digits
from maturity import model_clustering
from models import ResNet, small_cnn
from open_nsfw import open_nsfw
from patches import Patches
from photographs import Photographs
from recipes import RECIPES, Phase, Recipe
from torch import nn

import swatsim.torch
from swatsim.torch.networks import build

Data = Photographs | Patches | Digits
DATA: dict[str, type[Data]] = {"photographs": Photographs, "patches": Patches, "digits": Digits}


def network(recipe: Recipe, data: Data) -> nn.Module:
    """The untrained network, or the trained one that a recipe starts from."""
    if recipe.network == "resnet50":
        return ResNet(data.classes)
    if recipe.network == "smallcnn":
        return small_cnn(data.classes)
    if recipe.data == "patches":
        return first_weights(build(recipe.network, classes=data.classes), recipe.seed)
    images, _ = data.batch(16, 224, random=np.random.default_rng(recipe.seed))
    return open_nsfw(data.classes, images)


def first_weights(model: nn.Module, seed: int) -> nn.Module:
    """torch's own, smaller than He's: under batch norm, weights that turn sooner."""
    torch.manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


class Run:
    """One training run: model, optimiser, sparsifier, and the step they are at."""

    def __init__(self, name: str, data: Data, folder: Path) -> None:
        recipe = RECIPES[name]
        self.name, self.recipe, self.data, self.folder = name, recipe, data, folder
        torch.manual_seed(recipe.seed)
        self.model: Any = network(recipe, data).to(memory_format=torch.channels_last)
        with torch.no_grad():
            for module in self.model.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.mul_(recipe.initial_scale)
        decayed = [parameter for parameter in self.model.parameters() if parameter.dim() > 1]
        others = [parameter for parameter in self.model.parameters() if parameter.dim() <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=0.0, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay,
        )  # fmt: skip
        self.sparsifier: swatsim.torch.Sparsifier | None = None
        if recipe.scheme != "dense":
            self.sparsifier = swatsim.torch.sparsify(
                self.model, self.optimizer, scheme=recipe.scheme, sparsity=recipe.sparsity, period=recipe.period,
                seed=recipe.seed, **recipe.settings,
            )  # fmt: skip
        self.step = 0
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    def save(self) -> None:
        """Replace the checkpoint by the present state."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        if self.sparsifier is not None:
            state["sparsifier"] = self.sparsifier.state_dict()
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            if isinstance(self.model, ResNet):
                self.widen(len(state["model"]["fc.bias"]))
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            if self.sparsifier is not None:
                self.sparsifier.load_state_dict(state["sparsifier"])

    def widen(self, outputs: int) -> None:
        """Give the last layer more outputs, newly drawn; what it has learned stays."""
        last = self.model.fc
        old = len(last.bias)
        if outputs <= old:
            return
        torch.manual_seed(self.recipe.seed)
        drawn = nn.Linear(last.in_features, outputs)
        for name in ("weight", "bias"):
            parameter, wider = getattr(last, name), getattr(drawn, name)
            with torch.no_grad():
                wider[:old] = parameter
            for group in self.optimizer.param_groups:
                group["params"] = [wider if each is parameter else each for each in group["params"]]
            state = self.optimizer.state.pop(parameter, None)
            if state is not None:
                momentum = torch.zeros_like(wider)
                momentum[:old] = state["momentum_buffer"]
                self.optimizer.state[wider] = {"momentum_buffer": momentum}
            setattr(last, name, wider)
        last.out_features = outputs
        if hasattr(last, "swatsim_rule"):
            last.swatsim_rule.forget()

    def phase(self) -> tuple[Phase, int] | None:
        """The phase of the next step and how far into it that step is; None at the end."""
        into = self.step
        for phase in self.recipe.phases:
            if into < phase.steps:
                return phase, into
            into -= phase.steps
        return None

    def set_rate(self, phase: Phase, into: int) -> float:
        """Give the optimiser the learning rate of the next step."""
        first, last = phase.rate
        rate = first * (last / first) ** (into / phase.steps)
        rate *= min(1.0, (self.step + 1) / self.recipe.warm_up_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def batch(self, size: int, pixels: int, held_out: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng([self.recipe.seed, self.step, int(held_out)])
        images, labels = self.data.batch(size, pixels, random=random, held_out=held_out)
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
        """Take every step of the recipe that is left."""
        seen: list[tuple[float, float]] = []
        began = time.monotonic()
        while (now := self.phase()) is not None:
            phase, into = now
            if phase.outputs is not None:
                self.widen(phase.outputs)
            rate = self.set_rate(phase, into)
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

    def capture(self, path: Path) -> None:
        """One more step, in float32, as a trace."""
        begins = self.step == 0
        phase = self.recipe.phases[0 if begins else -1]
        images, labels = self.data.captured(self.recipe.captured_images, phase.pixels)
        images = images.contiguous(memory_format=torch.channels_last)
        kind = "large training crops of ImageNet photographs" if phase.pixels == 224 else "held-out images"
        kind = kind if len(images) > 1 else "held-out image"
        rows = [] if begins else list(csv.DictReader((self.folder / "loss.csv").open()))
        rate = self.set_rate(phase, 0 if begins else phase.steps)
        for module in self.model.modules():
            if hasattr(module, "swatsim_rule"):
                module.swatsim_rule.forget()  # the captured step selects
        provenance = {
            "step": str(self.step + 1),
            "learning rate": f"{rate:g}",
            "data": self.data.description,
            "captured": f"{len(images)} {kind}, {phase.pixels} x {phase.pixels}, in float32, selecting anew",
            **({key: rows[-1][key] for key in ("loss", "accuracy", "held_out_accuracy")} if rows else {}),
        }
        # A trace of several of one network is called by both.
        name = "-".join(path.parts[-2:]) if "/" in self.name else path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with swatsim.torch.capture(
            self.model, path, name=name, network=self.recipe.network, provenance=provenance, overwrite=True
        ):
            loss = self.loss(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        if not begins:
            shutil.copyfile(self.folder / "loss.csv", path / "loss.csv")

    def log(self, row: dict[str, Any]) -> None:
        """Add a row to the loss curve."""
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
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the loss curve")
    parser.add_argument("--trace", type=Path, help="write the captured step here")
    parser.add_argument("--first-step", type=Path, help="write the first step of the training here")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=100, help="steps between rows of the loss curve")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    data = DATA[RECIPES[arguments.name].data].load()
    if arguments.first_step is not None:
        # Of a run of its own: the training's first batch is another.
        Run(arguments.name, data, arguments.work).capture(arguments.first_step)
    run = Run(arguments.name, data, arguments.work)
    run.resume()
    run.train(arguments.report_every)
    if arguments.trace is not None:
        run.capture(arguments.trace)


if __name__ == "__main__":
    main()
