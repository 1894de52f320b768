"""Bytes and stalls seen from outside: conservation, compulsory traffic, limits of bandwidth and capacity, refusals."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_checks import RESULTS, check_row
from twins_memory import stored_size

import swatsim
from swatsim.errors import MappingError
from swatsim.report.timeline_checks import check_timeline

TRACES = Path(__file__).parent.parent / "traces"
MACHINES = tuple(swatsim.shipped_architectures())
OBJECTIVES = ("cycles", "dram_bytes", "energy")
LEVELS = ("dram", "central", "sb", "nbin", "nbout")
ALONE = {"mapping.overlap": "none"}
# Nothing but the computation takes time.
UNLIMITED = {f"memory.{level}.width_bytes_per_cycle": None for level in LEVELS}
AT_ONCE = {f"memory.{level}.latency_cycles": 0 for level in LEVELS}
PLAIN = {
    **{f"memory.{level}.refresh_period_cycles": None for level in LEVELS},
    **{f"memory.{level}.refresh_cycles": 0 for level in LEVELS},
    "memory.dram.standard": None, "memory.dram.duplex": "half", **ALONE,
}  # fmt: skip
LIMITLESS = {**UNLIMITED, **AT_ONCE, **PLAIN}


def make_layer(seed=0, **changes):
    shape = {"images": 2, "channels": 20, "size": 9, "filters": 24, "kernel": 3, "stride": 1, "groups": 1, **changes}
    random, density = np.random.default_rng(seed), changes.get("density", 0.4)
    padding = shape["kernel"] // 2
    out = (shape["size"] + 2 * padding - shape["kernel"]) // shape["stride"] + 1
    arrays = {
        "input": (shape["images"], shape["channels"], shape["size"], shape["size"]),
        "weight": (shape["filters"], shape["channels"] // shape["groups"], shape["kernel"], shape["kernel"]),
        "output_grad": (shape["images"], shape["filters"], out, out),
    }
    return swatsim.Layer.from_arrays(
        "layer", **{name: random.random(size) < density for name, size in arrays.items()},
        stride=shape["stride"], padding=padding, groups=shape["groups"],
    )  # fmt: skip


def simulated(machine, layer, overrides=None, **options):
    architecture = swatsim.load_architecture(machine, overrides=overrides or {})
    report = swatsim.simulate(architecture, swatsim.Trace("t", [layer]), keep_timeline=True, workers=1, **options)
    outermost = architecture.memory.outermost
    check_timeline(report.timeline, duplex=architecture.memory.levels[outermost].duplex)
    return {row.pass_name: row for row in report.layer_records if row.pass_name in RESULTS}


layers = st.builds(
    make_layer, seed=st.integers(0, 1000), images=st.integers(1, 3), channels=st.sampled_from([4, 16, 40]),
    size=st.integers(3, 10), filters=st.sampled_from([4, 32, 60]), kernel=st.sampled_from([1, 3]),
    stride=st.integers(1, 2), groups=st.sampled_from([1, 2, 4]), density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------ conservation


@pytest.mark.parametrize("machine", MACHINES)
@settings(max_examples=settings().max_examples // 10)
@given(layer=layers, objective=st.sampled_from(OBJECTIVES))
def test_bytes_are_conserved_in_random_layers(machine, layer, objective):
    architecture = swatsim.load_architecture(machine)
    for row in simulated(machine, layer, objective=objective).values():
        check_row(row, layer, architecture)


@pytest.mark.parametrize("machine", MACHINES)
def test_bytes_are_conserved_in_a_shipped_trace(machine):
    """All other traces on dadiannao: tests/test_shipped_traces.py."""
    architecture, trace = swatsim.load_architecture(machine), swatsim.load_trace(TRACES / "smallcnn")
    layers = {layer.spec.name: layer for layer in trace}
    report = swatsim.simulate(architecture, trace, keep_timeline=True)
    check_timeline(report.timeline, duplex=architecture.memory.levels[architecture.memory.outermost].duplex)
    for row in report.layer_records:
        if row.pass_name in RESULTS:
            check_row(row, layers[row.layer], architecture)


@settings(max_examples=settings().max_examples // 4)
@given(layer=layers, capacity=st.sampled_from([2048, 8192, 1 << 22]))
def test_what_is_loaded_is_what_arrives(layer, capacity):
    """All tiles share their rows, so that nothing is broadcast: each level gets what the one above it gives."""
    dense = {f"memory.{level}.format": "dense" for level in LEVELS}
    keys = {
        "mapping.tile_split": "columns",
        "memory.central.capacity_bytes": capacity,
        **dense,
        "datapath.skip": "rows",
    }
    try:
        rows = simulated("dadiannao", layer, keys)
    except MappingError:
        return
    for name, row in rows.items():
        for tensor in {"input", "weight", "output"} - {RESULTS[name]}:
            moved = {place: count for place, count in row.moved_bytes.items() if place.tensor == tensor}
            count = lambda level, direction, moved=moved, tensor=tensor: moved.get((level, direction, tensor), 0)  # noqa: E731
            assert count("central", "write") + count("sb", "write") // 16 == count("dram", "read")
            assert count("nbin", "write") == count("central", "read")
            assert count("nbin", "read") >= count("nbin", "write") >= 0


# ---------------------------------------------------------------------------------------------- bandwidth and capacity


@pytest.mark.parametrize("machine", ["dadiannao", "dadiannao-dense", "tensordash", "bit-tactical"])
@settings(max_examples=settings().max_examples // 12)
@given(layer=layers)
def test_unlimited_memory_never_stalls(machine, layer):
    for row in simulated(machine, layer, LIMITLESS).values():
        assert (row.stall_cycles, row.dense_stall_cycles) == (0, 0)
        assert (row.cycles, row.dense_cycles) == (row.compute_cycles, row.dense_compute_cycles)
        assert row.bound_by == "compute"


@pytest.mark.parametrize("machine", ["dadiannao", "dadiannao-dense", "tensordash", "bit-tactical"])
@settings(max_examples=settings().max_examples // 12)
@given(layer=layers)
def test_a_slow_channel_takes_a_cycle_a_byte(machine, layer):
    for row in simulated(machine, layer, {**LIMITLESS, "memory.dram.width_bytes_per_cycle": 1}).values():
        # Only the first load and the last store have nothing beside them.
        assert row.dram_bytes <= row.cycles <= row.dram_bytes + row.compute_cycles
        assert row.bound_by == "dram" or row.compute_cycles >= row.dram_bytes


def test_one_block_takes_load_then_compute_then_store():
    """Closed form where everything fits one block: latency, load, computation, store, latency."""
    keys = {**LIMITLESS, "memory.dram.width_bytes_per_cycle": 4, "memory.dram.latency_cycles": 7}
    layer = make_layer(size=3, filters=4, channels=4, images=1)
    for row in simulated("dadiannao", layer, keys, objective="dram_bytes").values():
        if row.blocks == 1:
            load, store = (-(-row.moved("dram", direction) // 4) for direction in ("read", "write"))
            assert row.cycles == load + 7 + row.compute_cycles + store + 7


WIDTHS = [f"memory.{level}.width_bytes_per_cycle" for level in LEVELS]
FILLS = [f"memory.{level}.fill_bytes_per_cycle" for level in LEVELS[1:]]


@settings(max_examples=settings().max_examples // 3)
@given(layer=layers, key=st.sampled_from(WIDTHS + FILLS), width=st.sampled_from([4, 16, 100, 422]))
def test_twice_the_width_never_costs_cycles(layer, key, width):
    """Of one way to cut the reduction: a machine is then only asked for more at a time."""
    base = {**PLAIN, key: width}
    slow, fast = (simulated("dadiannao", layer, {**base, key: each}) for each in (width, 2 * width))
    for name, row in slow.items():
        assert fast[name].cycles <= row.cycles
        assert fast[name].dense_cycles <= row.dense_cycles


CAPACITIES = {"central": 8192, "sb": 2048, "nbin": 512, "nbout": 64}


@settings(max_examples=settings().max_examples // 3)
@given(
    layer=layers, objective=st.sampled_from(OBJECTIVES), level=st.sampled_from(list(CAPACITIES)),
    more=st.sampled_from([1.5, 2, 10]),
)  # fmt: skip
def test_a_larger_buffer_never_costs(layer, objective, level, more):
    small = {f"memory.{name}.capacity_bytes": count for name, count in CAPACITIES.items()}
    large = {**small, f"memory.{level}.capacity_bytes": int(CAPACITIES[level] * more)}
    try:
        before = simulated("dadiannao", layer, {**PLAIN, **small}, objective=objective)
    except MappingError:
        return
    after = simulated("dadiannao", layer, {**PLAIN, **large}, objective=objective)
    for name, row in before.items():
        assert measured(after[name])[objective] <= measured(row)[objective] * (1 + 1e-12)


def measured(row):
    return {"cycles": row.cycles, "dram_bytes": row.dram_bytes, "energy": row.energy.total.value}


@settings(max_examples=settings().max_examples // 4)
@given(layer=layers)
def test_each_objective_is_best_at_its_own(layer):
    keys = {**PLAIN, **{f"memory.{name}.capacity_bytes": 2 * count for name, count in CAPACITIES.items()}}
    try:
        found = {objective: simulated("dadiannao", layer, keys, objective=objective) for objective in OBJECTIVES}
    except MappingError:
        return
    for objective, other in itertools.permutations(OBJECTIVES, 2):
        for name, row in found[objective].items():
            cut = "parts" in row.mapping or "parts" in found[other][name].mapping
            if not cut or objective == "dram_bytes":
                assert measured(row)[objective] <= measured(found[other][name])[objective] * (1 + 1e-12)


# ---------------------------------------------------------------------------------------------------------- formats


@settings(max_examples=settings().max_examples // 6)
@given(
    seed=st.integers(0, 1000), density=st.sampled_from([0.1, 0.5]),
    form=st.sampled_from(["dense", "bitmap", "csr", "csc", "run_length", "zfnaf"]),
)  # fmt: skip
def test_a_format_of_weights_is_counted_from_their_bits(seed, density, form):
    layer = make_layer(seed, channels=5, filters=6, size=4, images=1, density=density)
    row = simulated("dadiannao", layer, formats={"weight": form}, objective="dram_bytes")["forward"]
    weight = layer.passes["forward"].operands["weight"].bits.to_bool().astype(int)
    filters = [[[int(each[c, r, s]) for c in range(5)] for r in range(3) for s in range(3)] for each in weight]
    assert row.as_dict()["dram_read_weight_bytes"] == sum(stored_size(filter, form) for filter in filters)
    plain = simulated("dadiannao", layer, objective="dram_bytes")["forward"]
    assert row.dense_moved_bytes == plain.dense_moved_bytes
    assert row.dense_cycles == plain.dense_cycles


def test_bitmaps_of_full_tensors_cost_more_where_they_are_asked_for():
    layer = make_layer(density=1.0)
    plain, asked = (simulated("dadiannao", layer, formats=each)["forward"] for each in ({}, {"weight": "bitmap"}))
    count, filters = layer.passes["forward"].operands["weight"].bits.size, 24
    assert plain.as_dict()["dram_read_weight_bytes"] == 2 * count
    assert asked.as_dict()["dram_read_weight_bytes"] == 2 * count + filters * -(-count // filters // 8)


# ---------------------------------------------------------------------------------------------------------- refusals

REFUSED = re.compile(
    r"layer: forward(?: \(skipping off\))?: memory\.(central|sb)\.capacity_bytes: "
    r"got (\d+), expected at least (\d+) for the smallest blocks, the next ones beside them"
)


@settings(max_examples=settings().max_examples // 6)
@given(layer=layers, central=st.sampled_from([8, 64, 512]), sb=st.sampled_from([512, 1024]))
def test_buffers_too_small_say_what_they_need(layer, central, sb):
    """One line; with what it asks for (level by level, pass by pass) the layer fits at last."""
    keys = {"memory.central.capacity_bytes": central, "memory.sb.capacity_bytes": sb}
    for _ in range(40):
        try:
            simulated("dadiannao", layer, keys, passes=("forward",))
            return
        except MappingError as error:
            found = REFUSED.fullmatch(str(error))
            assert found, str(error)
            key = f"memory.{found[1]}.capacity_bytes"
            assert int(found[2]) == keys[key] < int(found[3])
            keys[key] = int(found[3])
    raise AssertionError("it never fits")


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_asked_for_is_what_is_needed(name):
    """To the byte, whichever side is on the rows and in however many parts the reduction is."""

    def asked(capacity_bytes):
        keys = {"memory.central.capacity_bytes": capacity_bytes, "memory.sb.capacity_bytes": None}
        try:
            simulated("dadiannao", make_layer(), keys, passes=(name,))
        except MappingError as refused:
            return int(re.search(r"expected at least (\d+)", str(refused))[1])
        return None

    # The machine with skipping off asks for itself.
    needed, more = 1, asked(1)
    while more is not None:
        needed, more = more, asked(more)
    assert asked(needed - 1) == needed
