"""The pipeline as a whole: what it refuses, what it promises on every machine, and which keys decide."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import swatsim
from swatsim.bits import BitTensor
from swatsim.errors import ArchitectureError, MappingError, SwatsimError
from swatsim.report.timeline_checks import check_timeline

TRACE = Path(__file__).parent.parent / "traces" / "smallcnn"
MACHINES = swatsim.shipped_architectures()


def one_layer(**changes):
    arrays = {"input": np.ones((1, 2, 4, 4)), "weight": np.ones((2, 2, 1, 1)), "output_grad": np.ones((1, 2, 1, 1))}
    return swatsim.Trace("t", [swatsim.Layer.from_arrays("layer", **{**arrays, **changes})])


def compulsory_bytes(bits, form, value_bytes):
    """The least that an operand can take in DRAM, each value once."""
    if form == "dense" or bits.nonzeros == bits.size:  # what has no zeros is stored dense
        return bits.size * value_bytes
    return bits.nonzeros * value_bytes + (bits.size // 8 if form == "bitmap" else 0)


# Others are as large, and take long: on a smaller trace.
LARGE = {"dadiannao", "dadiannao-dense", "bit-tactical", "sparten"}
CASES = [(name, "smallcnn") for name in MACHINES]
CASES += [(name, "resnet50" if name in LARGE else "resnet18-cifar/rigl-90-end") for name in MACHINES]


def keys_of(rows):
    return [(row.layer, row.pass_name) for row in rows]


@pytest.mark.parametrize(("machine", "trace_name"), CASES)
def test_every_row_of_a_shipped_trace_keeps_its_bounds(machine, trace_name):
    architecture, trace = swatsim.load_architecture(machine), swatsim.load_trace(TRACE.parent / trace_name)
    report = swatsim.simulate(architecture, trace, keep_timeline=True)
    outermost = architecture.memory.outermost
    rows = {(row.layer, row.pass_name): row for row in report.records}
    assert len(rows) == len(report.records)
    assert len(report.layer_records) == 3 * len(trace) - 1  # the first layer needs no input gradient
    assert [row.pass_name for row in report.totals] == [
        "forward", "input_grad", "weight_grad", "backward", "other", "step"
    ]  # fmt: skip
    for row in report.records:
        assert row.ideal_cycles <= row.compute_cycles
        assert row.effectual_macs <= row.unskippable_macs <= row.macs
        assert 0 <= row.utilization <= 1
        assert row.stall_cycles == sum(row.stalls.values()) >= 0
    for row in (*report.layer_records, *report.streaming_records):
        # A part of a reduction is stored by itself: its last run of zeros needs no fillers.
        runs_cut = " parts" in row.mapping and architecture.memory.levels[outermost].format == "run_length"
        assert row.compulsory_dram_bytes <= row.dram_bytes or runs_cut
    # Streaming work takes its own blocks on each machine, and whole cycles in each of them.
    for row in (*report.layer_records, *report.totals[:4]):
        assert row.compute_cycles <= row.dense_compute_cycles
    check_timeline(report.timeline, duplex=architecture.memory.levels[outermost].duplex)
    step = report.total()
    assert (sum(placed.cycles for placed in report.timeline), len(report.timeline)) == (
        step.cycles, len(report.layer_records) + len(report.streaming_records)
    )  # fmt: skip
    assert sorted(keys_of(report.timeline)) == sorted(keys_of((*report.layer_records, *report.streaming_records)))
    for layer in trace:
        pointwise = layer.spec.weight_shape[2:] == (1, 1) and layer.spec.stride != (1, 1)
        for pass_name, given in layer.passes.items():
            columns = rows[layer.spec.name, pass_name].as_dict()
            for role, operand in given.operands.items():
                read = columns[f"{outermost}_read_{role.removesuffix('_grad')}_bytes"]
                form = architecture.memory.levels[outermost].format
                least = compulsory_bytes(operand.bits, form, architecture.datapath.value_bytes)
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
        ({"objective": "time"}, "objective: got 'time', expected one of cycles, dram_bytes, energy"),
        ({"formats": {"gradient": "csr"}}, "format: got 'gradient', expected one of input, weight, output"),
        ({"formats": {"weight": "zip"}}, "format of weight: got 'zip', expected one of dense, bitmap, csr, csc, "),
        ({"layers": "conv1", "passes": ["input_grad"]}, "passes: got input_grad, expected one that the chosen layers "),
        ({"workers": 0}, "workers: got 0, expected an integer from 1"),
        ({"workers": 1.5}, "workers: got 1.5, expected an integer from 1"),
        ({"trace": 5}, "trace: got 5, expected a path or what load_trace returns"),
        ({"trace": "none"}, "none: got nothing there, expected a trace"),
        ({"architecture": None}, "architecture: got None, expected a name, a path or what load_architecture returns"),
        ({"architecture": "dadianao"}, "no architecture is named 'dadianao', expected one of "),
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


def test_one_pass_may_be_named_alone_and_files_by_their_names():
    report = swatsim.simulate("dadiannao", TRACE, passes="forward")
    assert {row.pass_name for row in report.records} == {"forward"}
    read = swatsim.load_architecture("dadiannao"), swatsim.load_trace(TRACE)
    assert report.rows.equals(swatsim.simulate(*read, passes="forward").rows)


def layers_of(*masks_and_needs):
    """Layers of one shape: whether the weight gradient is needed, and whether the input's is."""
    random = np.random.default_rng(1)
    layers = []
    for number, (learns, needs) in enumerate(masks_and_needs):
        arrays = {
            "input": random.random((1, 4, 5, 5)) < 0.5, "weight": random.random((4, 4, 1, 1)) < 0.5,
            "output_grad": random.random((1, 4, 5, 5)) < 0.5,
        }  # fmt: skip
        layer = swatsim.Layer.from_arrays(f"l{number}", **arrays, needs_input_grad=needs)
        if not learns:
            nothing = BitTensor.from_array(np.zeros((4, 4, 1, 1)))
            unneeded = replace(layer.passes["weight_grad"], result_mask=nothing)
            layer = replace(layer, passes={**layer.passes, "weight_grad": unneeded})
        layers.append(layer)
    return layers


def test_a_pass_of_whose_result_nothing_is_needed_is_not_computed():
    machine = swatsim.load_architecture("dadiannao")
    trained = swatsim.simulate(machine, swatsim.Trace("t", layers_of(*[(True, True)] * 3, (True, False))))
    some = layers_of((False, False), (False, True), (True, True), (True, False))
    report = swatsim.simulate(machine, swatsim.Trace("t", some))
    assert [(row.layer, row.pass_name) for row in report.layer_records] == [
        ("l0", "forward"), ("l1", "forward"), ("l1", "input_grad"), ("l2", "forward"), ("l2", "input_grad"),
        ("l2", "weight_grad"), ("l3", "forward"), ("l3", "weight_grad"),
    ]  # fmt: skip
    every = {(row.layer, row.pass_name): row for row in trained.layer_records}
    for row in report.layer_records:  # what is computed is computed as ever
        assert row.compute_cycles == every[row.layer, row.pass_name].compute_cycles
    macs = 25 * 16
    assert [report.total(name).macs for name in ("forward", "input_grad", "weight_grad")] == [
        4 * macs,
        2 * macs,
        2 * macs,
    ]
    # The paper counts the input gradient of a layer that it trains, and trains every layer.
    assert [report.total(name).paper_macs for name in ("forward", "input_grad", "weight_grad")] == [
        4 * macs, 3 * macs, 2 * macs,
    ]  # fmt: skip
    assert [row.layer for row in report.streaming_records if row.pass_name == "update"] == ["l2", "l3"]
    # Only the weights of layers that pass a gradient on, and the inputs of those that learn.
    assert [(kept.activation_bytes > 0, kept.weight_bytes > 0) for kept in report.footprint.layers] == [
        (False, False), (False, True), (True, True), (True, False),
    ]  # fmt: skip
    with pytest.raises(SwatsimError, match="passes: got weight_grad"):
        swatsim.simulate(machine, swatsim.Trace("t", some), layers="l[01]", passes="weight_grad")


def test_the_report_says_how_the_trace_was_made():
    trace = swatsim.load_trace(TRACE)
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace)
    assert report.trace["provenance"] == dict(trace.manifest.provenance)
    assert report.trace["optimizer"].startswith("SGD")
    assert (report.trace["scheme"], report.trace["digest"]) == ("swat-u", trace.digest)


@pytest.mark.parametrize("objective", ["dram_bytes", "energy"])
def test_an_objective_is_met_at_least_as_well_as_by_chance(objective):
    """In every pass of layers: nothing that is chosen for fewer cycles moves fewer bytes, or needs less energy."""
    machine, trace = swatsim.load_architecture("dadiannao"), swatsim.load_trace(TRACE)
    measure = {"dram_bytes": lambda row: row.dram_bytes, "energy": lambda row: row.energy.total.value}[objective]
    fastest, chosen = (swatsim.simulate(machine, trace, objective=name).layer_records for name in ("cycles", objective))
    assert keys_of(fastest) == keys_of(chosen)
    assert all(measure(mine) <= measure(other) for mine, other in zip(chosen, fastest, strict=True))
    assert sum(map(measure, chosen)) < sum(map(measure, fastest))


def test_a_format_replaces_that_of_the_levels():
    trace = swatsim.load_trace(TRACE)
    plain, changed = (
        {keys: row for row in swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, formats=formats).records
         if (keys := (row.layer, row.pass_name))}
        for formats in ({}, {"weight": "dense"})
    )  # fmt: skip
    read = "dram_read_weight_bytes"
    weight = trace.layer(1).spec.weight_shape
    row = changed[trace.specs[1].name, "forward"].as_dict()
    assert row[read] % (2 * int(np.prod(weight))) == 0 < row[read]
    assert plain[trace.specs[1].name, "forward"].as_dict()[read] < row[read]
    # The dense machine stores everything dense anyway.
    assert [each.dense_cycles for each in changed.values() if each.macs] == [
        each.dense_cycles for each in plain.values() if each.macs
    ]


LEVELS = ("dram", "central", "sb", "nbin", "nbout")
# Every other property of a level must change something when it is far from what the file says.
WITHOUT_EFFECT = {
    "memory.dram.capacity_bytes",  # it holds everything
    "memory.dram.banks",  # channels of a DRAM standard, which this machine's is not
    "memory.dram.bank_cycles",
    "memory.nbin.capacity_bytes",  # all filters of this trace are one round: no window comes twice
    "memory.nbout.capacity_bytes",  # needs only be enough for a round's sums, which the file's rules see to
    *(f"memory.{level}.duplex" for level in LEVELS[1:]),  # half is what it must be
    "memory.nbout.fill_bytes_per_cycle",  # nothing fills it: there are no partial sums to fetch back
}
NOT_ALLOWED = {
    "memory.dram.fill_bytes_per_cycle",  # no level is above it
    "memory.nbout.format",  # sums are dense
    *(f"memory.{level}.standard" for level in LEVELS[1:]),  # of the outermost level, as is its duplex
}
EXTREMES = {
    "banks": 1, "bank_cycles": 1000, "width_bytes_per_cycle": 1, "fill_bytes_per_cycle": 1, "latency_cycles": 99_999,
    "energy_pj_per_bit": 0.25, "energy_low_pj_per_bit": 0, "energy_high_pj_per_bit": 999, "format": "bitmap",
    "duplex": "half", "standard": "hbm2", "refresh_period_cycles": 10,
}  # fmt: skip
CAPACITIES = {"dram": 1, "central": 8192, "sb": 10_000, "nbin": None, "nbout": None}


def changed_by(level, name):
    """Whether a property that is far from the file's changes anything in a report."""
    overrides = {f"memory.{level}.{name}": CAPACITIES[level] if name == "capacity_bytes" else EXTREMES[name]}
    if name == "refresh_period_cycles":
        overrides[f"memory.{level}.refresh_cycles"] = 5
    if name == "energy_pj_per_bit":
        overrides |= {f"memory.{level}.energy_{end}_pj_per_bit": None for end in ("low", "high")}
    return plain_report() != reported(overrides)


@functools.cache
def plain_report():
    return reported({})


def reported(overrides):
    machine = swatsim.load_architecture("dadiannao-dense", overrides=overrides)
    return [row.as_dict() for row in swatsim.simulate(machine, swatsim.load_trace(TRACE), workers=1).records]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["capacity_bytes", *EXTREMES])
def test_memory_keys_have_the_effect_that_is_documented(level, name):
    key = f"memory.{level}.{name}"
    if key in NOT_ALLOWED:
        with pytest.raises(ArchitectureError):
            changed_by(level, name)
    else:
        assert changed_by(level, name) == (key not in WITHOUT_EFFECT)
