"""The shipped traces of CIFAR-size networks are what their recipes say: networks, budgets, patterns, needed results."""

import math
import runpy
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from swatsim.networks import network_shapes
from swatsim.trace import load_trace

TRACES = Path(__file__).parent.parent / "traces"
NETWORKS = ("resnet18-cifar", "vgg16-cifar", "densenet121-cifar")
SPARSITY = {"swat-erk-90": Fraction(9, 10), "rigl-90": Fraction(9, 10), "swat-structured-70": Fraction(7, 10)}
NAMES = [f"{network}/{run}-{moment}" for network in NETWORKS for run in SPARSITY for moment in ("start", "end")]


@pytest.fixture(scope="module", params=NAMES)
def trace(request):
    return load_trace(TRACES / request.param)


def run_of(trace):
    return next(run for run in SPARSITY if f"-{run}-" in trace.name)


def density(bits):
    return Fraction(bits.nonzeros, bits.size)


def bits_of(layer, pass_name, role):
    return layer.passes[pass_name].operands[role].bits


def test_every_recipe_has_its_traces_and_no_other_is_there():
    recipes = [name for name in runpy.run_path(str(TRACES / "recipes.py"))["RECIPES"] if "/" in name]
    assert sorted(f"{name}-{moment}" for name in recipes for moment in ("start", "end")) == sorted(NAMES)
    found = {
        str(path.parent.relative_to(TRACES))
        for network in NETWORKS
        for path in TRACES.glob(f"{network}/*/manifest.json")
    }
    assert found == set(NAMES)


def test_the_layers_are_the_networks(trace):
    network = next(name for name in NETWORKS if trace.name.startswith(name))
    assert trace.manifest.network == network
    images = 1 if network == "densenet121-cifar" else 2
    assert trace.specs == network_shapes(network, images=images).layers


def test_scheme_and_budget_are_the_names(trace):
    run = run_of(trace)
    assert f"{trace.manifest.scheme}-{float(trace.manifest.sparsity) * 100:.0f}" == run
    assert trace.manifest.sparsity == SPARSITY[run]


def test_weights_are_at_their_budget(trace):
    run, layers = run_of(trace), list(trace)
    weights = [bits_of(layer, "forward", "weight") for layer in layers]
    if run == "swat-erk-90":
        kept = sum(bits.nonzeros for bits in weights)
        total = sum(bits.size for bits in weights)
        # Of the whole network; at most one weight a layer is rounded up, ties aside.
        assert 0 <= kept - total / 10 <= 2 * len(layers)
        return
    # Uniform, the first convolution dense.
    assert density(weights[0]) == 1
    for layer, bits in zip(layers[1:], weights[1:], strict=True):
        mask = bits.to_bool()
        units = mask.reshape(*mask.shape[:2], -1).any(axis=2) if run == "swat-structured-70" else mask
        kept = math.ceil((1 - SPARSITY[run]) * units.size)
        # RigL's grown weights are 0 until their first update.
        assert 0.98 * kept <= units.sum() <= 1.02 * kept + 1, layer.spec.name


@pytest.mark.parametrize("name", [name for name in NAMES if "structured" in name])
def test_slices_stay_or_go_whole(name):
    for layer in list(load_trace(TRACES / name))[1:]:
        slices = bits_of(layer, "forward", "weight").to_bool().reshape(*layer.spec.weight_shape[:2], -1)
        assert (slices.all(axis=2) == slices.any(axis=2)).all(), layer.spec.name


def test_input_grad_multiplies_the_weights_of_forward(trace):
    for layer in list(trace)[1:]:
        forward, backward = bits_of(layer, "forward", "weight"), bits_of(layer, "input_grad", "weight")
        assert np.array_equal(forward.to_bool(), backward.to_bool())


def test_only_swat_selects_activations_and_only_rigl_needs_few_results(trace):
    swat = run_of(trace).startswith("swat")
    for index, layer in enumerate(trace):
        natural, kept = bits_of(layer, "forward", "input"), bits_of(layer, "weight_grad", "input")
        assert not (kept.to_bool() & ~natural.to_bool()).any()
        assert swat or kept.nonzeros == natural.nonzeros
        mask = layer.passes["weight_grad"].result_mask
        if swat or index == 0:
            assert mask is None
        else:
            active, needed = bits_of(layer, "forward", "weight").to_bool(), mask.to_bool()
            assert needed.sum() == math.ceil(needed.size / 10)
            assert not (active & ~needed).any()


@pytest.mark.parametrize("network", NETWORKS)
def test_training_moved_the_masks(network):
    for run in SPARSITY:
        start, end = (list(load_trace(TRACES / network / f"{run}-{moment}")) for moment in ("start", "end"))
        same = total = 0
        for before, after in zip(start[1:], end[1:], strict=True):
            first, last = bits_of(before, "forward", "weight").to_bool(), bits_of(after, "forward", "weight").to_bool()
            same, total = same + int((first & last).sum()), total + int(last.sum())
        assert 0.1 < same / total < 0.999, run


def test_size_in_git():
    files = [file for path in TRACES.glob("*/") for file in path.rglob("*") if file.is_file()]
    new = [file for file in files if file.relative_to(TRACES).parts[0] in NETWORKS]
    assert sum(file.stat().st_size for file in new) < 20_000_000
    assert {file.suffix for file in new} <= {".json", ".zst", ".md", ".csv"}
