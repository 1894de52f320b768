"""The training runs behind docs/schemes.md: reproducible, kept, and counting what a capture would hold."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)

from torch import nn  # noqa: E402

import swatsim.torch  # noqa: E402
from benchmarks import scheme_runs, schemes  # noqa: E402
from swatsim.schemes import scheme_names  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402


class Noise:
    """Images whose brightness tells their class."""

    classes = 3

    def batch(self, size, pixels, *, random, held_out=False):
        labels = random.integers(self.classes, size=size)
        images = random.normal(size=(size, 1, pixels, pixels)) + labels[:, None, None, None]
        return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels)


def network(classes):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Flatten(), nn.Linear(6 * 4 * 4, classes),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def task(monkeypatch):
    small = scheme_runs.Task(load=Noise, network=network, pixels=8, steps=30, batch=16)
    monkeypatch.setitem(scheme_runs.TASKS, "digits", small)


def run_of(scheme, seed=1, **settings):
    return scheme_runs.Run(task="digits", scheme=scheme, settings=tuple(settings.items()), seed=seed)


def test_the_same_seed_gives_the_same_result_and_another_another():
    first = scheme_runs.train(run_of("swat-u", sparsity="0.8"), Noise())
    assert first == scheme_runs.train(run_of("swat-u", sparsity="0.8"), Noise())
    assert first["loss"] != scheme_runs.train(run_of("swat-u", seed=2, sparsity="0.8"), Noise())["loss"]
    assert first["accuracy"] > 0.6  # chance is a third


def test_a_result_that_is_there_is_not_trained_again(tmp_path):
    run = run_of("dense")
    (tmp_path / run.file_name).write_text(json.dumps({"accuracy": 0.25}))
    assert scheme_runs.kept_result(run, Noise(), tmp_path) == {"accuracy": 0.25}


def test_every_run_has_a_file_of_its_own():
    runs = [
        scheme_runs.Run(task=task, scheme=scheme, settings=tuple(settings.items()), seed=seed)
        for part in schemes.SEEDS
        for task, scheme, settings, seed in schemes.runs(part)
    ]
    names = {run.file_name for run in runs}
    assert len(names) == len(set(runs))
    assert not any("/" in name or ":" in name for name in names)
    assert {run.scheme for run in runs} >= set(scheme_names()) - {"cases"}


def test_what_is_counted_is_what_a_capture_holds(tmp_path):
    """The step after the last, made again by hand."""
    run, task = run_of("rigl", sparsity="0.8", period=5), scheme_runs.TASKS["digits"]
    result = scheme_runs.train(run, Noise())
    torch.manual_seed(run.seed)
    model = network(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    swatsim.torch.sparsify(
        model, optimizer, scheme="rigl", sparsity=0.8, period=5, total_steps=task.steps, seed=run.seed
    )
    images, labels = Noise().batch(16, 8, random=np.random.default_rng([1, task.steps]))
    with swatsim.torch.capture(model, tmp_path / "trace"):
        nn.functional.cross_entropy(model(images), labels).backward()
    layers = list(load_trace(tmp_path / "trace"))[1:]  # the first convolution is not trained by the scheme
    masks = [layer.passes["weight_grad"].result_mask for layer in layers]
    assert result["densities"]["weight_grad result"] == round(
        sum(mask.nonzeros for mask in masks) / sum(mask.size for mask in masks), 4
    )
    for pass_name, role in (("forward", "weight"), ("forward", "input"), ("weight_grad", "output_grad")):
        size = sum(layer.passes[pass_name].operands[role].bits.size for layer in layers)
        assert result["values"][f"{pass_name} {role}"] == size
    assert result["densities"]["forward weight"] == pytest.approx(0.2, abs=0.01)
