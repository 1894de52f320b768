"""How often the interval of a sampled run holds the truth: `python -m benchmarks.sampling`.

Batches of many images are made from the few of a real trace: each image is one of them, mirrored, shifted and thinned,
so that images differ as they do in training, and channels as in the trace.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swatsim.architecture import Architecture, load_architecture
from swatsim.bits import BitTensor
from swatsim.contraction import Contraction, contract
from swatsim.datapaths import arranged
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.report.records import Row
from swatsim.sampling import SampledContraction, SampledSchedule, Sampling, combined
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.simulation import simulate
from swatsim.trace import Trace, load_trace
from swatsim.way import Schedule

TRACES = Path(__file__).parent.parent / "traces"
# A trace, and those of its layers that are simulated: maps of several sizes.
NETWORKS = {
    "resnet18-cifar/swat-erk-90-end": ("layer1.0.conv1", "layer2.0.conv1", "layer2.1.conv1", "layer3.1.conv2"),
    "resnet50": ("layer2.1.conv3", "layer3.1.conv2", "layer4.1.conv2"),
    "resnet50-dense": ("layer2.1.conv2", "layer3.1.conv2"),
    "vgg16-cifar/rigl-90-end": ("features.3", "features.10", "features.20"),
}
# What is ever sampled.
SAMPLED = ("forward", "input_grad")
MACHINES = ("cambricon-s", "cnvlutin", "sparten", "tensordash")
LARGEST_SHIFT = 4  # of 16 parts of a map
MOST_THINNED = 0.4  # of an image's values


@dataclass(frozen=True, slots=True)
class Image:
    """How one image is made of those of a trace."""

    source: int
    mirrored: bool
    shift: tuple[int, int]
    thinned: float


def batch(trace: Trace, names: Sequence[str], images: int, seed: int = 0) -> Trace:
    """The named layers with so many images."""
    random = np.random.default_rng(seed)
    drawn = [
        Image(int(random.integers(1 << 16)), bool(random.integers(2)),
              (int(random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1)),
               int(random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1))), float(random.random() * MOST_THINNED))
        for _ in range(images)
    ]  # fmt: skip
    chosen = [index for index, spec in enumerate(trace.specs) if spec.name in names]
    return Trace(trace.name, [_grown(trace.layer(index), drawn, random) for index in chosen])


def _grown(layer: Layer, images: Sequence[Image], random: np.random.Generator) -> Layer:
    made: dict[int, BitTensor] = {}

    def operand(role: str, own: Operand) -> Operand:
        if role == "weight":
            return own
        if id(own.bits) not in made:
            made[id(own.bits)] = _many(own.bits, images, random)
        return replace(own, bits=made[id(own.bits)])

    passes = {
        name: PassOperands(operands={role: operand(role, own) for role, own in given.operands.items()})
        for name, given in layer.passes.items()
    }
    return Layer(spec=_of_images(layer.spec, len(images)), passes=passes)


def _of_images(spec: LayerSpec, images: int) -> LayerSpec:
    return replace(spec, input_shape=(images, *spec.input_shape[1:]), output_shape=(images, *spec.output_shape[1:]))


def _many(bits: BitTensor, images: Sequence[Image], random: np.random.Generator) -> BitTensor:
    given = bits.to_bool()
    found = np.empty((len(images), *given.shape[1:]), dtype=np.bool_)
    for target, image in zip(found, images, strict=True):
        own = given[image.source % len(given)]
        if image.mirrored:
            own = own[..., ::-1]
        sizes = own.shape[1:]
        shift = tuple(part * size // 16 for part, size in zip(image.shift, sizes, strict=True))
        kept = random.random(own.shape, dtype=np.float32) >= image.thinned
        target[:] = np.roll(own, shift, axis=(1, 2)) & kept
    return BitTensor.from_array(found)


@dataclass(frozen=True, slots=True)
class Estimated:
    """A row of a report, or the fewest compute cycles of a pass."""

    name: str
    low: float
    cycles: int
    high: float
    drawn: int = 0
    groups: int = 0


def computed(trace: Trace, architecture: Architecture) -> Callable[[Sampling | None], list[Estimated]]:
    """Whole or sampled, the compute cycles of each pass of which schedules are sampled, and those of all together."""
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    passes = {
        f"{trace.specs[index].name} {name}": contract(trace.layer(index), name, order)
        for index in range(len(trace)) for name in SAMPLED if name in trace.layer(index).passes
    }  # fmt: skip
    arranged_passes = {name: [arranged(each, architecture) for each in found] for name, found in passes.items()}

    def run(sampling: Sampling | None) -> list[Estimated]:
        rows, every = [], []
        for name, contractions in arranged_passes.items():
            fewest = [
                min(schedule(each, architecture).actual, key=lambda found: found.compute_cycles)
                for each in _asked(contractions, sampling, name)
            ]
            every += fewest
            rows.append(_estimated(name, fewest))
        return [*rows, _estimated("total", every)]

    return run


def _asked(contractions: Sequence[Contraction], sampling: Sampling | None, name: str) -> Sequence[Contraction]:
    if sampling is None:
        return contractions
    return [SampledContraction.of(each, sampling, f"{name} {place}") for place, each in enumerate(contractions)]


def _estimated(name: str, schedules: Sequence[Schedule]) -> Estimated:
    cycles = sum(each.compute_cycles for each in schedules)
    error = combined([each.error for each in schedules if isinstance(each, SampledSchedule)])
    width = math.ceil(error.half_width)
    return Estimated(name, cycles - width, cycles, cycles + width, error.drawn, error.groups)


def reported(trace: Trace, architecture: Architecture) -> Callable[[Sampling | None], list[Estimated]]:
    """Whole or sampled, the cycles of all rows of the report of a step."""

    def run(sampling: Sampling | None) -> list[Estimated]:
        asked = {} if sampling is None else {"sample": sampling.fraction, "seed": sampling.seed}
        report = simulate(architecture, trace, workers=1, **asked)
        return [_row(each) for each in report.records]

    return run


def _row(row: Row) -> Estimated:
    name, found = f"{row.layer} {row.pass_name}", row.interval
    if found is None:
        return Estimated(name, row.cycles, row.cycles, row.cycles)
    return Estimated(name, found.low, row.cycles, found.high, found.drawn, found.groups)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one row, over the seeds."""

    name: str
    inside: float
    half_width: float  # all of the truth
    bias: float
    error: float  # root of the mean square
    groups: str


def coverage(exact: Sequence[Estimated], sampled: Sequence[Sequence[Estimated]]) -> Iterator[Coverage]:
    """Row by row, of what is estimated in any of the samples."""
    for truth, *rows in zip(exact, *sampled, strict=True):
        if any(row.groups for row in rows):
            low, cycles, high = (np.array(each) for each in zip(*((row.low, row.cycles, row.high) for row in rows),
                                                                strict=True))  # fmt: skip
            errors = cycles / truth.cycles - 1
            yield Coverage(
                name=truth.name, inside=float(np.mean((low <= truth.cycles) & (truth.cycles <= high))),
                half_width=float(np.mean(high - low)) / 2 / truth.cycles, bias=float(errors.mean()),
                error=float(np.sqrt(np.square(errors).mean())),
                groups=f"{np.mean([row.drawn for row in rows]):.0f}/{np.mean([row.groups for row in rows]):.0f}",
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--sample", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--machine", action="append", choices=MACHINES)
    parser.add_argument("--network", action="append", choices=tuple(NETWORKS))
    parser.add_argument("--step", action="store_true", help="cycles of whole steps, in place of compute cycles")
    asked = parser.parse_args()
    for network in asked.network or NETWORKS:
        trace = batch(load_trace(TRACES / network), NETWORKS[network], asked.images)
        for machine in asked.machine or MACHINES:
            run = (reported if asked.step else computed)(trace, load_architecture(machine))
            times = [time.process_time()]
            exact = run(None)
            times.append(time.process_time())
            seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
            found = [run(Sampling(fraction=asked.sample, seed=seed)) for seed in seeds]
            times.append(time.process_time())
            exactly, sampled = times[1] - times[0], (times[2] - times[1]) / asked.seeds
            print(f"\n{machine}, {network}, {asked.images} images, --sample {asked.sample}, {asked.seeds} seeds: "
                  f"{exactly:.2f} CPU-s exact, {sampled:.2f} sampled")  # fmt: skip
            print("| | groups | inside | half width | bias | error |\n|---|---:|---:|---:|---:|---:|")
            for each in coverage(exact, found):
                print(f"| {each.name} | {each.groups} | {each.inside:.1%} | {each.half_width:.2%} | {each.bias:+.2%} "
                      f"| {each.error:.2%} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
