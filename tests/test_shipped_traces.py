"""The traces in the repository are what their READMEs say: networks, budgets, and weights that are not random."""

import importlib.util
import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from memory_checks import RESULTS, check_row

import swatsim
from swatsim.bits import BitTensor
from swatsim.report.timeline_checks import check_timeline
from swatsim.trace import load_trace

TRACES = Path(__file__).parent.parent / "traces"
SPARSITY = {
    "resnet50": Fraction(4, 5),
    "resnet50-90": Fraction(9, 10),
    "resnet50-dense": None,
    "resnet50-thin": Fraction(4, 5),
    "smallcnn": Fraction(4, 5),
}
# At night all of them.
EVERY_LAYER = tuple(SPARSITY) if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else ("resnet50-90", "smallcnn")
FULL_WIDTH = ("resnet50", "resnet50-90", "resnet50-dense")


def load_maturity():
    spec = importlib.util.spec_from_file_location("maturity", TRACES / "maturity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maturity = load_maturity()


@pytest.fixture(scope="module", params=SPARSITY)
def trace(request):
    found = load_trace(TRACES / request.param)
    assert found.name == request.param
    return found


def test_every_operand_has_its_budget(trace):
    sparsity = SPARSITY[trace.name]
    assert trace.manifest.sparsity == sparsity
    selected = {("forward", "weight"), ("input_grad", "weight"), ("weight_grad", "input")}
    for index, layer in enumerate(trace):
        for pass_name in layer.spec.passes:
            for role, operand in layer.passes[pass_name].operands.items():
                is_selected = sparsity is not None and index > 0 and (pass_name, role) in selected
                assert operand.sparsity == (sparsity if is_selected else None)
                if is_selected:
                    kept = math.ceil((1 - sparsity) * operand.bits.size)
                    natural = layer.passes["forward"].operands["input"].bits.nonzeros
                    # Ties are kept; where fewer than K are not zero, all of those.
                    at_least = kept if role == "weight" else min(kept, natural)
                    assert at_least <= operand.bits.nonzeros <= 1.05 * at_least, (layer.spec.name, role)
                elif role == "weight":
                    assert operand.bits.packed is None


def test_the_selected_activation_is_a_part_of_the_natural_one(trace):
    for layer in trace:
        natural = layer.passes["forward"].operands["input"].bits.to_bool()
        kept = layer.passes["weight_grad"].operands["input"].bits.to_bool()
        assert not (kept & ~natural).any()


def test_the_first_layer_alone_needs_no_input_gradient(trace):
    assert [spec.needs_input_grad for spec in trace.specs] == [False] + [True] * (len(trace) - 1)


@pytest.mark.parametrize("name", FULL_WIDTH)
def test_full_width_is_the_published_network(name):
    trace = load_trace(TRACES / name)
    images = trace.specs[0].input_shape[0]
    assert images >= 2
    assert sum(spec.convolution.macs for spec in trace.specs) == images * 4_089_184_256
    strided = [spec for spec in trace.specs if spec.stride != (1, 1)]
    # Version 1.5: the stride is on the 3x3, and on the projection beside it.
    assert [spec.weight_shape[2] for spec in strided if "downsample" not in spec.name] == [7, 3, 3, 3]


def test_the_graph_is_a_resnets():
    graph = load_trace(TRACES / "resnet50").graph
    counts = {op: sum(node.op == op for node in graph) for op in ("conv2d", "batch_norm", "relu", "add", "max_pool")}
    assert counts == {"conv2d": 53, "batch_norm": 53, "relu": 49, "add": 16, "max_pool": 1}
    assert [node.op for node in graph[-3:]] == ["avg_pool", "flatten", "linear"]


@pytest.mark.parametrize("name", ["resnet50", "resnet50-90", "resnet50-thin"])
def test_weights_cluster_by_filter_far_beyond_chance(name):
    ratios = [
        maturity.clustering(layer.passes["forward"].operands["weight"].bits) for layer in load_trace(TRACES / name)
    ]
    assert np.nanmedian(ratios) >= 1.5


def test_the_measure_of_clustering_is_one_for_random_masks():
    random = np.random.default_rng(1)
    ratios = [maturity.clustering(BitTensor.from_array(random.random((256, 64, 3, 3)) < 0.2)) for _ in range(20)]
    assert 0.97 < np.mean(ratios) < 1.03
    mask = random.random((256, 64)) < 0.2 * random.lognormal(sigma=0.3, size=(256, 1))
    assert maturity.clustering(BitTensor.from_array(mask)) > 1.5


@pytest.mark.parametrize("name", SPARSITY)
def test_size_in_git(name):
    stored = sum(file.stat().st_size for file in (TRACES / name).rglob("*") if file.is_file())
    assert stored < (300_000 if name == "smallcnn" else 8_000_000)
    assert {path.suffix for path in (TRACES / name).rglob("*") if path.is_file()} <= {".json", ".zst", ".md", ".csv"}


@pytest.mark.parametrize("name", EVERY_LAYER)
def test_bytes_are_conserved_in_every_layer(name):
    """Compulsory traffic, results written once, and blocks loaded before they are computed, on the main machine."""
    trace = load_trace(TRACES / name)
    architecture = swatsim.load_architecture("dadiannao")
    report = swatsim.simulate(architecture, trace, keep_timeline=True)
    check_timeline(report.timeline)
    layers = {layer.spec.name: layer for layer in trace}
    checked = [row for row in report.layer_records if row.pass_name in RESULTS]
    assert len(checked) == sum(len(spec.passes) for spec in trace.specs)
    for row in checked:
        check_row(row, layers[row.layer], architecture)
