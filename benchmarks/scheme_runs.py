"""Short training runs on real data under any scheme: what `benchmarks.schemes` runs and writes down."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import swatsim.torch
from swatsim.files import write_file
from swatsim.networks import Builder
from swatsim.schemes import SCHEMES, LayerRule, scheme_named
from swatsim.torch.networks import build
from swatsim.torch.recorder import ACTIVE

# The data and networks of the shipped traces are scripts of their own folder.
sys.path.insert(0, str(Path(__file__).parent.parent / "traces"))

WARM_UP_STEPS = 20
LAST_STEPS = 50  # whose mean loss is reported
HELD_OUT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set, a network and a length of training."""

    load: Callable[[], Any]
    network: Callable[[int], nn.Module]
    pixels: int
    steps: int
    batch: int = 64  # images
    rate: float = 0.05  # then half a cosine to 0
    weight_decay: float = 5e-4


def _digits() -> Any:
    from digits import Digits

    return Digits.load()


def _patches() -> Any:
    from patches import Patches

    return Patches.load()


def _small_cnn(classes: int) -> nn.Module:
    from models import small_cnn

    return small_cnn(classes)


def _resnet8(classes: int) -> nn.Module:
    """One basic block a stage of 16, 32, 64 channels."""
    net = Builder((1, 3, 32, 32))
    output = net.relu("relu", net.batch_norm("bn1", net.convolution("conv1", "input", 16, 3)))
    for stage in (1, 2, 3):
        width, stride = 8 << stage, 1 if stage == 1 else 2
        inside = net.convolution(f"conv{stage}a", output, width, 3, stride=stride)
        inside = net.relu(f"relu{stage}a", net.batch_norm(f"bn{stage}a", inside))
        inside = net.batch_norm(f"bn{stage}b", net.convolution(f"conv{stage}b", inside, width, 3))
        if stride == 2:
            output = net.batch_norm(f"bn{stage}c", net.convolution(f"conv{stage}c", output, width, 1, stride=2))
        output = net.relu(f"relu{stage}", net.add(f"add{stage}", inside, output))
    net.linear("fc", net.flatten("flatten", net.global_avg_pool("avgpool", output)), classes)
    return build(net.finish("resnet8", "ResNet-8", "He et al., CVPR 2016"))


TASKS = {
    "digits": Task(load=_digits, network=_small_cnn, pixels=28, steps=300),
    "patches": Task(load=_patches, network=_resnet8, pixels=32, steps=300, batch=32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run."""

    task: str
    scheme: str  # as `scheme_named` takes it
    settings: tuple[tuple[str, object], ...]
    seed: int

    @property
    def file_name(self) -> str:
        """Of its result; names of cases hold slashes and colons."""
        settings = "".join(f"_{key}={value}".replace(" ", "+") for key, value in self.settings)
        scheme = self.scheme.replace("/", ".").replace(":", "-")
        return f"{self.task}_{scheme}{settings}_{self.seed}.json"

    def all_settings(self) -> dict[str, object]:
        """With the length of the run, where the scheme asks for it."""
        known = {field.name for field in fields(SCHEMES[self.scheme.partition(":")[0]])}
        length = {"total_steps": TASKS[self.task].steps} if "total_steps" in known else {}
        given = dict(self.settings)
        if "keep_dense" in given:
            given["keep_dense"] = tuple(str(given["keep_dense"]).split())  # JSON has no tuples, and lists have no hash
        return {**length, **given}


class Counter:
    """Counts what each pass multiplies in one step, over all sparse layers: a recorder, as `capture` is one."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}  # "pass role" -> non-zeros, values

    def open_call(self, module: nn.Module) -> object:
        return None

    def operands(
        self,
        call: object,
        pass_name: str,
        rule: LayerRule,
        tensors: Mapping[str, Tensor],
        result_mask: Tensor | None = None,
    ) -> None:
        for role, tensor in tensors.items():
            self._add(f"{pass_name} {role}", int(tensor.count_nonzero()), tensor.numel())
        if result_mask is not None:
            self._add(f"{pass_name} result", int(result_mask.count_nonzero()), result_mask.numel())

    def _add(self, key: str, nonzeros: int, values: int) -> None:
        before = self.counts.get(key, (0, 0))
        self.counts[key] = (before[0] + nonzeros, before[1] + values)


def train(run: Run, data: Any) -> dict[str, object]:
    """The run's result: held-out accuracy, training loss, and the densities of one step after the last."""
    task = TASKS[run.task]
    torch.manual_seed(run.seed)
    model = task.network(data.classes)
    # Weight decay is for weights, not for batch norm and biases (SWAT's training set-up).
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=task.rate, momentum=0.9, nesterov=True, weight_decay=task.weight_decay)
    scheme = scheme_named(run.scheme, **run.all_settings())
    if run.scheme != "dense":
        swatsim.torch.sparsify(model, optimizer, scheme=scheme, seed=run.seed)
    losses = []
    for step in range(task.steps):
        warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = task.rate * warm_up * (1 + math.cos(math.pi * step / task.steps)) / 2
        losses.append(_step(model, optimizer, *_batch(run, data, step)))
    result: dict[str, object] = {
        "task": run.task, "scheme": run.scheme, "settings": dict(run.settings),
        "seed": run.seed, "steps": task.steps, "accuracy": held_out_accuracy(model, data, task),
        "loss": float(np.mean(losses[-LAST_STEPS:])), "torch": torch.__version__,
    }  # fmt: skip
    counts = count_operands(model, optimizer, run, data)
    densities = {key: round(nonzeros / values, 4) for key, (nonzeros, values) in counts.items()}
    return result | {"densities": densities, "values": {key: values for key, (_, values) in counts.items()}}


def _batch(run: Run, data: Any, step: int) -> tuple[Tensor, Tensor]:
    task = TASKS[run.task]
    images, labels = data.batch(task.batch, task.pixels, random=np.random.default_rng([run.seed, step]))
    return images, labels


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    loss = functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def held_out_accuracy(model: nn.Module, data: Any, task: Task) -> float:
    """Of images that training never sees, the same for every run."""
    images, labels = data.batch(HELD_OUT, task.pixels, random=np.random.default_rng(0), held_out=True)
    model.eval()
    scores = torch.cat([model(part) for part in images.split(250)])
    model.train()
    return float((scores.argmax(1) == labels).float().mean())


def count_operands(
    model: nn.Module, optimizer: torch.optim.Optimizer, run: Run, data: Any
) -> dict[str, tuple[int, int]]:
    """Non-zeros and values by pass and role, over the layers that the scheme trains; of dense training, over all."""
    if run.scheme == "dense":
        # Nothing is dropped at sparsity 0, and sparse layers tell what they multiply.
        swatsim.torch.sparsify(model, optimizer, scheme="swat-u", sparsity=0, budget="uniform")
    ACTIVE.recorder = recorder = Counter()
    try:
        _step(model, optimizer, *_batch(run, data, TASKS[run.task].steps))
    finally:
        ACTIVE.recorder = None
    return recorder.counts


def kept_result(run: Run, data: Any, folder: Path) -> dict[str, object]:
    """What the folder holds of this run; trained first if there is nothing yet."""
    path = folder / run.file_name
    if not path.exists():
        write_file(path, (json.dumps(train(run, data), indent=1) + "\n").encode())
    found: dict[str, object] = json.loads(path.read_text())
    return found
