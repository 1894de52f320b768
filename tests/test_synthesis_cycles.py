"""What synthetic traces are for: they take as many cycles as the real ones, and the document says how nearly."""

from __future__ import annotations

from pathlib import Path

import pytest

import swatsim
from benchmarks.synthesis import DOCUMENT, SEEDS, lines
from swatsim import schedule
from swatsim.contraction import contract
from swatsim.passes import PASSES
from swatsim.sides import Order
from swatsim.synthesis import like
from swatsim.trace import Trace

TRACES = Path(__file__).parent.parent / "traces"


def compute_cycles(layers, machine, pass_name):
    """Of the best way of each contraction, memory apart."""
    order = Order(steps=machine.mapping.step_order, windows=machine.mapping.window_order)
    return sum(
        min(way.compute_cycles for way in schedule.schedule(contraction, machine).actual)
        for layer in layers if pass_name in layer.spec.passes
        for contraction in contract(layer, pass_name, order)
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    """Layers of a trained network, enough of them that no single tile decides: real, clustered and Bernoulli."""
    trace = swatsim.load_trace(TRACES / "resnet50-thin")
    chosen = [index for index, spec in enumerate(trace.specs) if spec.name.startswith(("layer2", "layer3"))]
    part = Trace("part", [trace.layer(index) for index in chosen])
    return [list(each) for each in (part, like(part, 0), like(part, 0, "bernoulli"))]


@pytest.mark.parametrize("name", swatsim.shipped_architectures())
def test_a_twin_takes_as_many_cycles_as_the_real_trace(trained, name):
    machine = swatsim.load_architecture(name)
    worst = 0.0
    for pass_name in PASSES:
        real, clustered, bernoulli = (compute_cycles(layers, machine, pass_name) for layers in trained)
        assert clustered == pytest.approx(real, rel=0.05), pass_name
        worst = max(worst, abs(bernoulli / real - 1))
    # What Bernoulli masks miss, where zeros are skipped and somebody waits for the fullest.
    indifferent = {"dadiannao-dense", "sigma", "sparse-tensor-core", "sparsetrain", "systolic"}
    least = {"dadiannao": 0.15, "global-buffer": 0.1, "eager-pruning": 0.04} | dict.fromkeys(indifferent, -1)
    assert worst > least.get(name, 0.05)


def test_the_document_holds_what_the_benchmark_prints():
    """For the smallest trace and one architecture; the others take long."""
    text = DOCUMENT.read_text()
    begin = text.index("<!-- synthesis smallcnn -->")
    shown = text[begin : text.index("<!-- end -->", begin)].splitlines()
    for line in lines("smallcnn", range(SEEDS["smallcnn"]), ["tensordash"]):
        assert f"| {' | '.join(line.cells)} |" in shown
