"""Train the network of a shipped trace with swatsim.torch.sparsify and capture one training step.

    python traces/train.py resnet50 --work runs/resnet50 --trace traces/resnet50

trains, writing checkpoints and the loss curve into --work, then captures. A stopped run continues from its last
checkpoint; a finished one only captures. --first-step captures the run's first step too. On a GPU (--device cuda)
--workers are processes that make batches.
Packages: see photographs.py, patches.py, digits.py and open_nsfw.py.
"""

import argparse
import csv
import multiprocessing
import shutil
import time
from collections.abc import Iterator
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


def batch_of(
    recipe: Recipe, data: Data, step: int, size: int, pixels: int, *, held_out: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and classes: those of a step are the same whoever makes them."""
    random = np.random.default_rng([recipe.seed, step, int(held_out)])
    return data.batch(size, pixels, random=random, held_out=held_out)


class Batches:
    """The batches of a training, made ahead by processes that are forked before a GPU is used."""

    _of: tuple[Recipe, Data]  # in such a process

    def __init__(self, recipe: Recipe, data: Data, workers: int) -> None:
        self.recipe, self.data, self.workers = recipe, data, workers
        if workers:
            self.pool = multiprocessing.get_context("fork").Pool(workers, self._begin, (recipe, data))

    @classmethod
    def _begin(cls, recipe: Recipe, data: Data) -> None:
        torch.set_num_threads(1)
        cls._of = recipe, data

    @classmethod
    def _made(cls, step: int, size: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = batch_of(*cls._of, step, size, pixels)
        return images.numpy(), labels.numpy()

    def from_step(self, first: int) -> Iterator[tuple[Phase, int, torch.Tensor, torch.Tensor]]:
        """Of every step from this one on: its phase, how far into it, images, and classes."""
        ahead: dict[int, Any] = {}
        for step in range(first, self.recipe.steps):
            phase, into = self.recipe.phase_at(step)
            if not self.workers:
                yield phase, into, *batch_of(self.recipe, self.data, step, phase.batch, phase.pixels)
                continue
            for later in range(step, min(step + 2 * self.workers, self.recipe.steps)):
                if later not in ahead:
                    its, _ = self.recipe.phase_at(later)
                    ahead[later] = self.pool.apply_async(self._made, (later, its.batch, its.pixels))
            images, labels = ahead.pop(step).get()
            yield phase, into, torch.from_numpy(images), torch.from_numpy(labels)


class Run:
    """One training run: model, optimiser, sparsifier, and the step they are at."""

    def __init__(self, name: str, data: Data, folder: Path, device: str = "cpu") -> None:
        recipe = RECIPES[name]
        self.name, self.recipe, self.data, self.folder, self.device = name, recipe, data, folder, device
        torch.manual_seed(recipe.seed)
        self.model: Any = network(recipe, data).to(device, memory_format=torch.channels_last)
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
            state = torch.load(path, weights_only=True, map_location="cpu")
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
        drawn = nn.Linear(last.in_features, outputs).to(self.device)
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

    def set_rate(self, phase: Phase, into: int) -> float:
        """Give the optimiser the learning rate of the next step."""
        first, last = phase.rate
        rate = first * (last / first) ** (into / phase.steps)
        rate *= min(1.0, (self.step + 1) / self.recipe.warm_up_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def placed(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)

    def train_step(self, phase: Phase, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One step; its loss and accuracy, where they were computed."""
        images, labels = self.placed(images), labels.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=phase.bfloat16):
            scores = self.model(images).float()
            loss = self.loss(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        return torch.stack([loss.detach(), (scores.argmax(1) == labels).float().mean()])

    @torch.no_grad()
    def held_out_accuracy(self, phase: Phase, crops: int = 256) -> float:
        """On crops from the part of each photograph that training never sees."""
        self.model.eval()
        images, labels = batch_of(self.recipe, self.data, self.step, crops, phase.pixels, held_out=True)
        hits = 0
        for start in range(0, crops, phase.batch):
            with torch.autocast(self.device, torch.bfloat16, enabled=phase.bfloat16):
                scores = self.model(self.placed(images[start : start + phase.batch]))
            hits += int((scores.argmax(1).cpu() == labels[start : start + phase.batch]).sum())
        self.model.train()
        return hits / crops

    def train(self, batches: "Batches", report_every: int) -> None:
        """Take every step of the recipe that is left."""
        seen: list[torch.Tensor] = []
        began = time.monotonic()
        for phase, into, images, labels in batches.from_step(self.step):
            if phase.outputs is not None:
                self.widen(phase.outputs)
            rate = self.set_rate(phase, into)
            seen.append(self.train_step(phase, images, labels))
            if self.step % report_every == 0 or self.step == self.recipe.steps:
                loss, accuracy = torch.stack(seen).mean(0).tolist()
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
        images, labels = self.placed(images), labels.to(self.device)
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
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu",
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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches; 0: this one does")
    parser.add_argument("--photographs", type=Path, help="folder that photographs.py has written")
    arguments = parser.parse_args()
    kind = DATA[RECIPES[arguments.name].data]
    if arguments.photographs is not None and kind is not Photographs:
        parser.error(f"--photographs: got a folder, which {arguments.name} does not look at, expected none")
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    data = kind.load() if arguments.photographs is None else Photographs.load(arguments.photographs)
    batches = Batches(RECIPES[arguments.name], data, arguments.workers)
    # The captured step is float32, not TF32.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if arguments.first_step is not None:
        # Of a run of its own: the training's first batch is another.
        Run(arguments.name, data, arguments.work, arguments.device).capture(arguments.first_step)
    run = Run(arguments.name, data, arguments.work, arguments.device)
    run.resume()
    run.train(batches, arguments.report_every)
    if arguments.trace is not None:
        run.capture(arguments.trace)


if __name__ == "__main__":
    main()
