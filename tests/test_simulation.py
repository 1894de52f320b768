"""The pipeline as a whole: what it refuses, what it promises on every machine, and which keys decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import swatsim
from swatsim.errors import MappingError, SwatsimError

TRACE = Path(__file__).parent.parent / "traces" / "smallcnn"
MACHINES = swatsim.shipped_architectures()


def one_layer(**changes):
    arrays = {"input": np.ones((1, 2, 4, 4)), "weight": np.ones((2, 2, 1, 1)), "output_grad": np.ones((1, 2, 1, 1))}
    return swatsim.Trace("t", [swatsim.Layer.from_arrays("layer", **{**arrays, **changes})])


def compulsory_bytes(bits, form):
    """The least that an operand can take in DRAM, each value once."""
    return bits.size * 2 if form == "dense" else bits.nonzeros * 2 + bits.size // 8


@pytest.mark.parametrize("trace_name", ["smallcnn", "resnet50"])
@pytest.mark.parametrize("machine", MACHINES)
def test_every_row_of_a_shipped_trace_keeps_its_bounds(machine, trace_name):
    architecture, trace = swatsim.load_architecture(machine), swatsim.load_trace(TRACE.parent / trace_name)
    report = swatsim.simulate(architecture, trace)
    rows = {(row.layer, row.pass_name): row for row in report.records}
    assert len(rows) == 3 * len(trace) - 1 + 5  # the first layer needs no input gradient; five totals
    for row in rows.values():
        assert row.ideal_cycles <= row.compute_cycles <= row.dense_compute_cycles
        assert row.effectual_macs <= row.unskippable_macs <= row.macs
        assert 0 < row.utilization <= 1
        assert row.stall_cycles >= 0
    for layer in trace:
        pointwise = layer.spec.weight_shape[2:] == (1, 1) and layer.spec.stride != (1, 1)
        for pass_name, given in layer.passes.items():
            columns = rows[layer.spec.name, pass_name].as_dict()
            for role, operand in given.operands.items():
                read = columns[f"dram_read_{role.removesuffix('_grad')}_bytes"]
                least = compulsory_bytes(operand.bits, architecture.memory.dram.format)
                assert read >= least or pointwise  # a strided 1x1 kernel skips lines of its input


def test_a_border_too_large_to_hold_is_refused():
    trace = one_layer(stride=2**30, padding=2**28)
    with pytest.raises(MappingError) as caught:
        swatsim.simulate(swatsim.load_architecture("dadiannao"), trace)
    assert str(caught.value) == (
        f"layer: got {2 * (4 + 2**29) ** 2} values in a tensor of shape (1, 2, 4, 4) with border "
        "(268435456, 268435456, 268435456, 268435456), expected at most 1073741824"
    )


def test_a_huge_stride_has_no_more_phases_than_positions():
    rows = swatsim.simulate(swatsim.load_architecture("dadiannao"), one_layer(stride=2**30)).layer_records
    assert [row.macs for row in rows] == [4, 4, 4]  # one window, one phase with a tap


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"passes": ["backward"]}, "passes: got backward, expected some of forward, input_grad, weight_grad"),
        ({"passes": []}, "passes: got none, expected some of forward, input_grad, weight_grad"),
        ({"layers": "x*"}, "layers: got 'x*', which matches none of the 4 layers of smallcnn"),
        ({"layers": None}, "layers: got None, expected a pattern of layer names"),
        ({"layers": "conv1", "passes": ["input_grad"]}, "passes: got input_grad, expected one that the chosen layers "),
        ({"workers": 0}, "workers: got 0, expected an integer from 1"),
        ({"workers": 1.5}, "workers: got 1.5, expected an integer from 1"),
        ({"trace": "traces/smallcnn"}, "trace: got 'traces/smallcnn', expected what load_trace returns"),
        ({"architecture": "dadiannao"}, "architecture: got 'dadiannao', expected what load_architecture returns"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    trace = swatsim.load_trace(TRACE)
    if arguments.get("layers") == "conv1":
        arguments = {**arguments, "layers": trace.specs[0].name}
    machine = swatsim.load_architecture("dadiannao")
    with pytest.raises(SwatsimError) as caught:
        swatsim.simulate(**{"architecture": machine, "trace": trace, **arguments})
    assert str(caught.value).startswith(message)


def test_one_pass_may_be_named_alone():
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), swatsim.load_trace(TRACE), passes="forward")
    assert {row.pass_name for row in report.records} == {"forward"}


def test_the_report_says_how_the_trace_was_made():
    trace = swatsim.load_trace(TRACE)
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace)
    assert report.trace["provenance"] == dict(trace.manifest.provenance)
    assert report.trace["optimizer"].startswith("SGD")
    assert (report.trace["scheme"], report.trace["digest"]) == ("swat-u", trace.digest)


# What docs/model.md §3 lists as without effect yet; every other property must change something when it is the least.
WITHOUT_EFFECT = {
    *(f"memory.{level}.banks" for level in ("dram", "central", "sb", "nbin", "nbout")),
    *(f"memory.{level}.energy_pj_per_bit" for level in ("dram", "central", "sb", "nbin", "nbout")),
    *(f"memory.{level}.latency_cycles" for level in ("central", "sb", "nbin", "nbout")),
    *(f"memory.{level}.capacity_bytes" for level in ("dram", "nbin", "nbout")),
    "memory.nbout.format",  # can only be dense
}
EXTREMES = {
    "capacity_bytes": 1, "banks": 77, "width_bytes_per_cycle": 1, "latency_cycles": 99_999, "energy_pj_per_bit": 9.5,
    "format": "bitmap",
}  # fmt: skip


@pytest.mark.parametrize("level", ["dram", "central", "sb", "nbin", "nbout"])
@pytest.mark.parametrize("name", list(EXTREMES))
def test_memory_keys_have_the_effect_that_is_documented(level, name):
    key = f"memory.{level}.{name}"
    if key == "memory.nbout.format":
        return
    trace = swatsim.load_trace(TRACE)
    plain, changed = (
        swatsim.simulate(swatsim.load_architecture("dadiannao-dense", overrides=overrides), trace, workers=1).records
        for overrides in ({}, {key: EXTREMES[name]})
    )
    assert (plain == changed) == (key in WITHOUT_EFFECT)
