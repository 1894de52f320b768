"""What papers say of their machines, and what ours give for it: measured by `python -m benchmarks.validation --update`.

Each headline is a published speedup with the workload nearest to its own that there is. Compute cycles, as the papers'
figures of datapaths are; a ratio over another machine is at equal multipliers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import NamedTuple

import swatsim
from benchmarks.compute import Cycles, network_cycles, total
from benchmarks.published_counts import SCNN_OF_THE_REFERENCE
from benchmarks.workloads import PRUNED, coarse, pruned, two_of_four, uniform
from swatsim.architecture import Architecture
from swatsim.layer import Layer
from swatsim.passes import PASSES

TRACES = Path(__file__).parent.parent / "traces"
FORWARD = ("forward",)


class Claim(NamedTuple):
    """One published figure and ours."""

    machine: str
    published: float
    text: str  # what the paper says of it, as the table has it
    workload: str  # of ours


@dataclass(frozen=True, kw_only=True)
class Headline:
    """A claim, how ours is measured, and whether that is quick enough for every run of the tests."""

    claim: Claim
    measure: Callable[[], float]
    quick: bool


HEADLINES: dict[str, Headline] = {}
# Why ours differ, by machine; {name} stands for the figure of a headline, its dashes underlined.
CAUSES = {
    "scnn": "On AlexNet the dense machine decides: its lanes are nearly empty in the first layer, of 3 channels; where "
    "taps lie beside them it is {scnn_alexnet_flat:.2f}x instead of {scnn_alexnet:.2f}x. What `arch/scnn.yaml` has of "
    "the paper is remembered: groups of 8 channels, queues before the banks, PEs that wait once a group. By the rules "
    "of the independent simulator above, which wait at each step and each channel, SparTen is "
    "{sparten_scnn_waiting:.2f}x faster than SCNN instead of {sparten_scnn:.2f}x.",
    "ant": "All of the gain is weight_grad's ({ant_weight_grad:.2f}x); in the forward pass ({ant_forward:.2f}x) SCNN's "
    "products are useful anyway. The share of useless products is the published one ({ant_useless:.2f}), but a group "
    "of 4 inputs that lie apart needs a range of the gradient in which many pairs are useless still. How its ranges "
    "are cut is remembered only: with each pair checked before it is fetched, ours is {ant_exact:.2f}x.",
    "bit-tactical": "TCLp's back end skips bits of the activations, which no trace has; ours is its front end alone.",
    "cambricon-x": "The paper's baseline, DianNao, is another machine, and its workloads have linear layers with 4 to "
    "9 % of their weights. Ours is over the same machine with skipping off, on convolutions with 35 % of them.",
    "sparten": "By the paper's own figures one-sided sparsity is 4.7 / 1.8 = 2.6x faster than dense; ours over itself "
    "skipping one side alone is {sparten_one_sided:.2f}x (filters) and {sparten_other_side:.2f}x (inputs), on either "
    "side of it. It has SCNN at 4.7 / 3 = 1.6x of dense, where SCNN's paper has 2.7x: over SCNN by SCNN's paper ours "
    "is {sparten_scnn:.2f}x faster, over the one that waits at each channel {sparten_scnn_waiting:.2f}x.",
    "tensordash": "Batch norm leaves no zeros in ResNet-50's output gradients, so input_grad has none to skip; forward "
    "and weight_grad come to {tensordash_forward:.2f}x. The paper's mean is over networks most of which have none: at "
    "the densities that VGG-16 without batch norm has in training ours is {tensordash_without_norm:.2f}x.",
    "cambricon-s": "The paper's networks and densities are others. Here a chunk of 256 candidates has 20 to 50 values "
    "to multiply, of which 16 are taken a cycle, and the last cycle of a chunk is half empty.",
    "eager-pruning": "The figure is for a whole training run, ours is of one step at 80 %.",
    "procrustes": "*Up to*: weight_grad, whose rows are output gradients without zeros here, gains nothing. The "
    "paper's machine skips zero inputs there (R), ours does not.",
    "sparsetrain": "SparseTrain prunes the gradients, and leaves out results that ReLU masks; here gradients are dense "
    "behind batch norm, and all results are computed.",
}


def headline(key: str, claim: Claim, *, quick: bool = False) -> Callable[[Callable[[], float]], Callable[[], float]]:
    """Add a claim with the function that measures ours."""

    def add(measure: Callable[[], float]) -> Callable[[], float]:
        HEADLINES[key] = Headline(claim=claim, measure=measure, quick=quick)
        return measure

    return add


# --------------------------------------------------------------------------------------------------------- machines


@cache
def machine(name: str, **overrides: object) -> Architecture:
    """A shipped architecture; `datapath__skip` stands for datapath.skip."""
    return swatsim.load_architecture(
        name, overrides={key.replace("__", "."): value for key, value in overrides.items()}
    )


def dense_1024() -> Architecture:
    """1024 multipliers that skip nothing, in the split of tiles that is best for each layer."""
    return machine("dadiannao-dense", tiles=4, mapping__tile_split="best")


# -------------------------------------------------------------------------------------------------------- workloads


def trace_layers(name: str) -> Iterator[Layer]:
    """The layers of a shipped trace that are no linear ones."""
    trace = swatsim.load_trace(TRACES / name)
    for index, spec in enumerate(trace.specs):
        if spec.kind != "linear":
            yield trace.layer(index)


@cache
def cycles_of_trace(architecture: Architecture, name: str, passes: tuple[str, ...] = PASSES) -> Cycles:
    """All of some passes of a trace's convolutions."""
    return total(network_cycles(architecture, trace_layers(name), passes), passes)


@cache
def cycles_of_pruned(architecture: Architecture, network: str) -> Cycles:
    """Inference of a pruned network."""
    return network_cycles(architecture, pruned(network), FORWARD)["forward"]


@cache
def cycles_of_uniform(architecture: Architecture, network: str, input: float, weight: float) -> Cycles:
    """Inference of a network whose layers all have the same densities."""
    return network_cycles(architecture, uniform(network, input=input, weight=weight), FORWARD)["forward"]


def over(slow: tuple[Architecture, Cycles], fast: tuple[Architecture, Cycles]) -> float:
    """How much faster the second is, at equal multipliers."""
    one, other = (cycles.actual * architecture.macs_per_cycle for architecture, cycles in (slow, fast))
    return one / other


def mean(values: Iterable[float]) -> float:
    """Geometric mean."""
    found = list(values)
    return float(prod(found) ** (1 / len(found)))


# -------------------------------------------------------------------------------------------------- SCNN and ANT


RANDOM = "densities of Han et al., positions random"


@headline(
    "scnn-dense",
    Claim(
        "scnn", 0.79, "79 % of the dense machine's speed at densities 1.0/1.0",
        "GoogLeNet's convolutions, all values present, over a dense machine of 1024 multipliers",
    ),
)  # fmt: skip
def _scnn_dense() -> float:
    return _scnn_over_dense(1.0)


@headline(
    "scnn-sparse",
    Claim("scnn", 24.0, "24x at densities 0.1/0.1", "the same with a tenth of the weights and of the inputs"),
)
def _scnn_sparse() -> float:
    return _scnn_over_dense(0.1)


@headline("scnn-even", Claim("scnn", 1.0, "as fast as dense at about 0.85/0.85", "the same with 0.85 of both"))
def _scnn_even() -> float:
    return _scnn_over_dense(0.85)


def _scnn_over_dense(density: float) -> float:
    scnn, dense = machine("scnn"), dense_1024()
    return over(
        (dense, cycles_of_uniform(dense, "googlenet", 1.0, 1.0)),
        (scnn, cycles_of_uniform(scnn, "googlenet", density, density)),
    )


@headline("scnn-vgg16", Claim("scnn", 3.52, "3.52x over dense, VGG-16 pruned", f"VGG-16, {RANDOM}"))
def _scnn_vgg16() -> float:
    return over_dense(machine("scnn"), "vgg16")


@headline("scnn-alexnet", Claim("scnn", 2.37, "2.37x over dense, AlexNet pruned", f"AlexNet, {RANDOM}"))
def _scnn_alexnet() -> float:
    return over_dense(machine("scnn"), "alexnet")


@headline(
    "scnn-alexnet-flat",
    Claim("scnn", 2.37, "the same", "over a dense machine that lays the first layer's taps beside its channels"),
)
def _scnn_alexnet_flat() -> float:
    dense = machine("dadiannao-dense", tiles=4, mapping__tile_split="best", mapping__flatten="auto")
    scnn = machine("scnn")
    return over((dense, cycles_of_pruned(dense, "alexnet")), (scnn, cycles_of_pruned(scnn, "alexnet")))


def over_dense(architecture: Architecture, network: str) -> float:
    """A machine over the dense one of 1024 multipliers, inference of a pruned network."""
    dense = dense_1024()
    return over((dense, cycles_of_pruned(dense, network)), (architecture, cycles_of_pruned(architecture, network)))


@headline(
    "ant",
    Claim("ant", 3.71, "3.71x over an SCNN-like machine at 90 %, training", "three passes of traces/resnet50-90"),
)
def _ant() -> float:
    return _ant_over_scnn(PASSES)


@headline("ant-weight-grad", Claim("ant", 3.71, "the same", "weight_grad of it alone"))
def _ant_weight_grad() -> float:
    return _ant_over_scnn(("weight_grad",))


@headline("ant-forward", Claim("ant", 3.71, "the same", "forward of it alone"))
def _ant_forward() -> float:
    return _ant_over_scnn(FORWARD)


@headline("ant-exact", Claim("ant", 3.71, "the same", "three passes of it, each pair checked before it is fetched"))
def _ant_exact() -> float:
    return _ant_over_scnn(PASSES, anticipate="exact")


def _ant_over_scnn(passes: tuple[str, ...], anticipate: str = "range") -> float:
    machines = (machine("scnn"), machine("ant", datapath__anticipate=anticipate))
    return over(*((each, cycles_of_trace(each, "resnet50-90", passes)) for each in machines))


@headline(
    "ant-useless",
    Claim(
        "ant", 0.90, "up to 90 % of weight_grad's products are useless (in SCNN)",
        "share in weight_grad of traces/resnet50-90 on arch/scnn.yaml",
    ),
)  # fmt: skip
def _useless() -> float:
    found = cycles_of_trace(machine("scnn"), "resnet50-90", ("weight_grad",))
    return 1 - found.positions / found.products


# ------------------------------------------------------------------------------------------------ one side, inference


@headline(
    "cnvlutin",
    Claim(
        "cnvlutin", 1.37, "1.37x over DaDianNao (1.24 to 1.55), all layers",
        "mean of AlexNet, GoogLeNet and VGG-16, 44 % zeros (its mean) in all inputs but the images, positions random",
    ),
    quick=True,
)  # fmt: skip
def _cnvlutin() -> float:
    return mean(map(_cnvlutin_on, ("alexnet", "googlenet", "vgg16")))


def _cnvlutin_on(network: str) -> float:
    _, *layers = uniform(network, input=0.56, weight=1.0)
    first = next(uniform(network, input=1.0, weight=1.0))
    return network_cycles(machine("cnvlutin"), [first, *layers], FORWARD)["forward"].speedup


@headline(
    "cnvlutin-trace",
    Claim("cnvlutin", 1.37, "the same", "forward of traces/resnet50, whose zeros are those of training"),
)
def _cnvlutin_trace() -> float:
    return cycles_of_trace(machine("cnvlutin"), "resnet50", FORWARD).speedup


@headline(
    "bit-tactical",
    Claim("bit-tactical", 5.05, "5.05x for TCLp, over DaDianNao", "mean of pruned AlexNet and VGG-16"),
)
def _bit_tactical() -> float:
    return mean(cycles_of_pruned(machine("bit-tactical"), network).speedup for network in PRUNED)


@headline("cambricon-x", Claim("cambricon-x", 7.23, "7.23x over DianNao", "mean of pruned AlexNet and VGG-16"))
def _cambricon_x() -> float:
    return mean(cycles_of_pruned(machine("cambricon-x"), network).speedup for network in PRUNED)


@headline(
    "cambricon-s",
    Claim("cambricon-s", 1.71, "1.71x over Cambricon-X", "AlexNet and VGG-16 pruned in blocks of 16 filters, random"),
)
def _cambricon_s() -> float:
    machines = (machine("cambricon-x"), machine("cambricon-s"))
    return mean(
        over(*((each, network_cycles(each, coarse(network), FORWARD)["forward"]) for each in machines))
        for network in PRUNED
    )


# ------------------------------------------------------------------------------------------------------------ SparTen


@headline(
    "sparten",
    Claim("sparten", 4.7, "4.7x over dense", "mean of pruned AlexNet and VGG-16, over 1024 dense multipliers"),
)
def _sparten() -> float:
    return mean(over_dense(machine("sparten"), network) for network in PRUNED)


@headline(
    "sparten-one-sided",
    Claim("sparten", 1.8, "1.8x over one-sided sparsity", "the same, over itself skipping the filters' zeros alone"),
)
def _sparten_one_sided() -> float:
    return _sparten_over("rows")


@headline(
    "sparten-other-side",
    Claim("sparten", 1.8, "the same", "the same, over itself skipping the inputs' zeros alone"),
)
def _sparten_other_side() -> float:
    return _sparten_over("columns")


def _sparten_over(side: str) -> float:
    one = machine("sparten", datapath__skip=side, datapath__balance="none")
    return mean(
        over((one, cycles_of_pruned(one, network)), (both, cycles_of_pruned(both, network)))
        for both in (machine("sparten"),) for network in PRUNED
    )  # fmt: skip


@headline("sparten-scnn", Claim("sparten", 3.0, "3x over SCNN", "the same, over arch/scnn.yaml"))
def _sparten_over_scnn() -> float:
    return _sparten() / mean(over_dense(machine("scnn"), network) for network in PRUNED)


@headline(
    "sparten-scnn-waiting",
    Claim("sparten", 3.0, "the same", "the same, over SCNN by the rules of the independent simulator above"),
)
def _sparten_over_waiting_scnn() -> float:
    scnn = swatsim.load_architecture("scnn", overrides=SCNN_OF_THE_REFERENCE)
    return _sparten() / mean(over_dense(scnn, network) for network in PRUNED)


# ----------------------------------------------------------------------------------------------------------- training


@headline(
    "tensordash",
    Claim("tensordash", 1.95, "1.95x, training, mean of all networks", "three passes of traces/resnet50-dense"),
)
def _tensordash() -> float:
    return cycles_of_trace(machine("tensordash"), "resnet50-dense").speedup


@headline(
    "tensordash-forward",
    Claim("tensordash", 1.95, "the same", "forward and weight_grad of it, whose sparser operand is the input"),
)
def _tensordash_forward() -> float:
    passes = ("forward", "weight_grad")
    return cycles_of_trace(machine("tensordash"), "resnet50-dense", passes).speedup


@headline(
    "tensordash-without-norm",
    Claim(
        "tensordash", 1.95, "the same",
        "VGG-16, 57 % of inputs and 44 % of gradients, as a trained one without batch norm has; random",
    ),
)  # fmt: skip
def _tensordash_without_norm() -> float:
    layers = uniform("vgg16", input=0.57, weight=1.0, output_grad=0.44)
    return total(network_cycles(machine("tensordash"), layers)).speedup


@headline(
    "eager-pruning",
    Claim("eager-pruning", 1.91, "1.91x over the previous accelerator, training", "three passes of traces/resnet50"),
)
def _eager_pruning() -> float:
    return cycles_of_trace(machine("eager-pruning"), "resnet50").speedup


@headline("procrustes", Claim("procrustes", 4.0, "up to 4x, training", "three passes of traces/resnet50-90"))
def _procrustes() -> float:
    return cycles_of_trace(machine("procrustes"), "resnet50-90").speedup


@headline(
    "sparsetrain",
    Claim("sparsetrain", 2.7, "2.7x, training (AlexNet, ResNet)", "three passes of traces/resnet50"),
)
def _sparsetrain() -> float:
    return cycles_of_trace(machine("sparsetrain"), "resnet50").speedup


@headline(
    "sigma",
    Claim("sigma", 5.7, "5.7x over a systolic array, sparse GEMMs", "three passes of traces/resnet50"),
)
def _sigma() -> float:
    # The array that the paper compares with is as large, and loads each fold's weights before it begins.
    systolic = machine(
        "systolic", tile__rows=128, tile__columns=128, datapath__between_folds="wait", datapath__stream_vectors=None
    )
    return over(*((each, cycles_of_trace(each, "resnet50")) for each in (systolic, machine("sigma"))))


@headline(
    "sparse-tensor-core",
    Claim("sparse-tensor-core", 2.0, "2x", "weights of which no four neighbours have more than two"),
    quick=True,
)
def _sparse_tensor_core() -> float:
    layer = two_of_four("2:4", (128, 1152, 1024), 0.5, 1.0)
    return network_cycles(machine("sparse-tensor-core"), [layer], FORWARD)["forward"].speedup
