"""Bytes and stalls: conservation, compulsory traffic, closed forms, and limits of bandwidth and capacity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swatsim

UNLIMITED = {f"memory.{level}.width_bytes_per_cycle": None for level in ("dram", "central", "sb", "nbin", "nbout")}
NO_LATENCY = {"memory.dram.latency_cycles": 0}
MACHINES = ("dadiannao", "dadiannao-dense", "tensordash", "bit-tactical")


def make_layer(seed=0, **changes):
    rng = np.random.default_rng(seed)
    shape = {"images": 2, "channels": 20, "size": 9, "filters": 24, "kernel": 3, "stride": 1, "groups": 1, **changes}
    padding = shape["kernel"] // 2
    out = (shape["size"] + 2 * padding - shape["kernel"]) // shape["stride"] + 1
    density = changes.get("density", 0.4)
    arrays = {
        "input": (shape["images"], shape["channels"], shape["size"], shape["size"]),
        "weight": (shape["filters"], shape["channels"] // shape["groups"], shape["kernel"], shape["kernel"]),
        "output_grad": (shape["images"], shape["filters"], out, out),
    }
    return swatsim.Layer.from_arrays(
        "layer",
        **{name: rng.random(size) < density for name, size in arrays.items()},
        stride=shape["stride"],
        padding=padding,
        groups=shape["groups"],
    )


def rows_of(machine, layer, **overrides):
    architecture = swatsim.load_architecture(machine, overrides=overrides)
    return {row.pass_name: row for row in swatsim.simulate(architecture, swatsim.Trace("t", [layer])).layer_records}


layers = st.builds(
    make_layer,
    seed=st.integers(0, 1000),
    images=st.integers(1, 3),
    channels=st.sampled_from([4, 16, 40]),
    size=st.integers(3, 12),
    filters=st.sampled_from([4, 32, 60]),
    kernel=st.sampled_from([1, 3]),
    stride=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
buffers = st.fixed_dictionaries(
    {
        "memory.central.capacity_bytes": st.sampled_from([256, 4096, 1 << 22]),
        "memory.sb.capacity_bytes": st.sampled_from([64, 1024, 1 << 21]),
    }
)


def stored(operand, form, value_bytes=2):
    """The least that an operand can take in one piece: metadata rounded up only once."""
    bits = operand.bits
    return bits.size * value_bytes if form == "dense" else bits.nonzeros * value_bytes + bits.size // 8


@pytest.mark.parametrize("machine", MACHINES)
@settings(max_examples=25, deadline=None)
@given(layer=layers, sizes=buffers)
def test_what_is_computed_was_loaded_and_is_stored(machine, layer, sizes):
    architecture = swatsim.load_architecture(machine, overrides=sizes)
    central, dram = architecture.memory.central.format, architecture.memory.dram.format
    for name, row in rows_of(machine, layer, **sizes).items():
        result = {"forward": "output", "input_grad": "input", "weight_grad": "weight"}[name]
        moved = row.as_dict()
        operands = {role.removesuffix("_grad"): operand for role, operand in layer.passes[name].operands.items()}
        elements = {"output": layer.spec.output_shape, "input": layer.spec.input_shape}.get(
            result, layer.spec.weight_shape
        )
        computed = int(np.prod(elements))
        if name == "input_grad" and layer.spec.stride != (1, 1) and layer.spec.weight_shape[2:] == (1, 1):
            computed = -(-elements[2] // 2) * -(-elements[3] // 2) * elements[0] * elements[1]
        assert moved[f"dram_write_{result}_bytes"] == computed * 2
        assert moved[f"nbout_write_{result}_bytes"] >= computed * 4
        # Every computed value leaves NBout, passes the central memory, and is written off chip.
        assert moved[f"nbout_read_{result}_bytes"] >= computed * 4
        assert moved[f"central_write_{result}_bytes"] == moved[f"central_read_{result}_bytes"]
        for role, operand in operands.items():
            if name == "input_grad" and layer.spec.stride != (1, 1):
                continue  # a phase without taps needs none of its operands
            touched_all = layer.spec.stride == (1, 1) or role == "weight" or layer.spec.weight_shape[2] == 3
            if touched_all and not (role == "input" and layer.spec.stride == (2, 2)):
                assert moved[f"dram_read_{role}_bytes"] >= stored(operand, dram)
        streamed = [role for role in operands if moved[f"central_write_{role}_bytes"]]
        for role in streamed:
            if central == dram and layer.spec.stride == (1, 1):
                assert moved[f"central_write_{role}_bytes"] == moved[f"dram_read_{role}_bytes"]
            elif central == dram:  # phases may put different operands on the rows
                assert moved[f"central_write_{role}_bytes"] <= moved[f"dram_read_{role}_bytes"]
            assert moved[f"nbin_write_{role}_bytes"] == moved[f"nbin_read_{role}_bytes"]
        assert row.stall_cycles >= 0


@pytest.mark.parametrize("machine", MACHINES)
@settings(max_examples=15, deadline=None)
@given(layer=layers, sizes=buffers)
def test_unlimited_memory_never_stalls(machine, layer, sizes):
    for row in rows_of(machine, layer, **UNLIMITED, **NO_LATENCY, **sizes).values():
        assert row.stall_cycles == 0
        assert row.cycles == row.compute_cycles
        assert row.dense_cycles == row.dense_compute_cycles
        assert row.bound_by == "compute"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_slow_channel_takes_a_cycle_a_byte(machine):
    narrow = {**UNLIMITED, **NO_LATENCY, "memory.dram.width_bytes_per_cycle": 1}
    for row in rows_of(machine, make_layer(), **narrow).values():
        dram_bytes = row.moved("dram", "read") + row.moved("dram", "write")
        # Nothing overlaps the first block's computation with the last one's store: one block is the difference.
        assert dram_bytes <= row.cycles <= dram_bytes + row.compute_cycles
        assert row.bound_by == "dram"


@pytest.mark.parametrize("machine", MACHINES)
@settings(max_examples=15, deadline=None)
@given(layer=layers, width=st.integers(1, 64))
def test_twice_the_bandwidth_never_costs_cycles(machine, layer, width):
    slow = rows_of(machine, layer, **{"memory.dram.width_bytes_per_cycle": width})
    fast = rows_of(machine, layer, **{"memory.dram.width_bytes_per_cycle": 2 * width})
    for name, row in slow.items():
        assert fast[name].cycles <= row.cycles
        assert fast[name].compute_cycles == row.compute_cycles


def test_one_block_takes_load_then_compute_then_store():
    """Closed form where everything fits: latency, load, computation, store, latency."""
    overrides = {**UNLIMITED, "memory.dram.width_bytes_per_cycle": 4, "memory.dram.latency_cycles": 7}
    for row in rows_of("dadiannao", make_layer(), **overrides).values():
        load = -(-row.moved("dram", "read") // 4)
        store = -(-row.moved("dram", "write") // 4)
        assert row.cycles == load + 7 + row.compute_cycles + store + 7


@pytest.mark.parametrize(("weight_density", "gradient_density"), [(0.1, 0.9), (0.9, 0.1)])
def test_phases_load_their_weights_and_share_the_gradient(weight_density, gradient_density):
    """Each phase has other taps: all weights are loaded once. The gradient is loaded once where it is streamed."""
    random = np.random.default_rng(1)
    layer = swatsim.Layer.from_arrays(
        "layer",
        input=np.ones((2, 32, 8, 8)),
        weight=random.random((32, 32, 3, 3)) < weight_density,
        output_grad=random.random((2, 32, 4, 4)) < gradient_density,
        stride=2,
        padding=1,
    )
    row = rows_of("dadiannao", layer, **{"memory.dram.format": "dense"})["input_grad"]
    moved = row.as_dict()
    assert row.scheduled == ("weight" if weight_density < gradient_density else "output_grad")
    assert moved["dram_read_weight_bytes"] == 32 * 32 * 9 * 2
    gradient_bytes = 2 * 32 * 4 * 4 * 2
    if row.scheduled == "weight":
        assert moved["dram_read_output_bytes"] == gradient_bytes
    else:
        assert moved["dram_read_output_bytes"] == 4 * gradient_bytes


def test_small_buffers_reload():
    small = {"memory.sb.capacity_bytes": 512, "memory.central.capacity_bytes": 2048}
    large = rows_of("dadiannao-dense", make_layer())
    for name, row in rows_of("dadiannao-dense", make_layer(), **small).items():
        assert row.moved("dram", "read") > large[name].moved("dram", "read")
        assert row.compute_cycles == large[name].compute_cycles


def test_dense_bytes_are_the_closed_form():
    layer = make_layer(filters=300, channels=48, size=8, images=1)
    row = rows_of("dadiannao-dense", layer)["forward"]
    moved = row.as_dict()
    assert moved["dram_read_weight_bytes"] == moved["sb_write_weight_bytes"] == 300 * 48 * 9 * 2
    assert moved["dram_read_input_bytes"] == 48 * 8 * 8 * 2
    assert moved["sb_read_weight_bytes"] == 300 * 48 * 9 * 2 * 64  # one window a cycle: read for each of 64
    assert moved["central_read_input_bytes"] == 64 * 48 * 9 * 2 * 2  # 300 filters are two rounds of 256
    assert moved["nbin_write_input_bytes"] == 64 * 48 * 9 * 2 * (16 + 3)  # the second round uses 3 of 16 tiles
    assert moved["nbout_write_output_bytes"] == 300 * 64 * 4
    assert moved["dram_write_output_bytes"] == 300 * 64 * 2


def test_bitmap_counts_real_bits():
    layer = make_layer(density=0.25)
    row = rows_of("dadiannao", layer)["forward"]
    weight = layer.passes["forward"].operands["weight"].bits
    per_filter = weight.size // weight.shape[0]
    assert row.as_dict()["dram_read_weight_bytes"] == weight.nonzeros * 2 + weight.shape[0] * -(-per_filter // 8)


def test_a_round_larger_than_its_buffer_spills_partial_sums():
    tiny = {"memory.sb.capacity_bytes": 2048}
    layer = make_layer(images=4, size=16, density=1.0)
    spilled = rows_of("dadiannao-dense", layer, **tiny)["weight_grad"].as_dict()
    whole = rows_of("dadiannao-dense", layer)["weight_grad"].as_dict()
    assert whole["nbout_read_weight_bytes"] == 24 * 20 * 9 * 4
    # 16 rows of 4·16·16 values of 2 bytes against half of 2048: 32 slices.
    assert spilled["nbout_read_weight_bytes"] == 32 * whole["nbout_read_weight_bytes"]
    assert spilled["central_write_weight_bytes"] == whole["central_write_weight_bytes"] + 31 * 24 * 20 * 9 * 4
