"""Random blocks and machines of the kernels that run them, and the ways between their arrays and the twins' dicts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from kernel_cases import randoms

from swatsim.kernels import blocks as fields
from swatsim.kernels import totals as totals_fields
from swatsim.kernels.blocks import Blocks, Computation, Results, SideBlocks
from swatsim.kernels.engines import Timing
from swatsim.kernels.measure import SideMeasures, fill_cut
from swatsim.kernels.totals import SideTotals

FIELDS = ("width", "fill_width", "banks", "bank_cycles")
SIDE_FIELDS = {
    "level": fields.LOAD_LEVEL, "start": fields.START_ROUND, "stop": fields.STOP_ROUND, "rounds": fields.ROUNDS,
    "tile_vectors": fields.TILE_VECTORS, "vectors": fields.VECTORS, "groups": fields.GROUPS, "kind": fields.KIND,
}  # fmt: skip


@st.composite
def machines(draw, levels=None):
    """A machine of two to four levels, as `twins.Engines` takes it."""
    random = draw(randoms())
    count = levels or draw(st.integers(2, 4))
    refreshes, unlimited = draw(st.booleans()), draw(st.sampled_from([0.0, 0.3]))
    made = []
    for _ in range(count):
        period = int(random.integers(2, 14))
        pause = int(random.integers(1, period)) if refreshes and random.random() < 0.7 else 0
        made.append({
            "width": 0 if random.random() < unlimited else int(random.integers(1, 9)),
            "fill_width": int(random.integers(0, 9)),
            "banks": int(random.integers(1, 5)), "bank_cycles": int(random.integers(1, 4)),
            "refresh": (period if pause else 0, pause),
        })  # fmt: skip
    most = draw(st.sampled_from([0, 3, 12]))
    latency = {name: int(random.integers(0, most + 1)) for name in ("load", "start", "store")}
    return {"levels": made, "latency": latency, "full_duplex": draw(st.booleans())}


@st.composite
def works(draw, levels, most=8):
    """A list of blocks; what is loaded ahead comes beside a block that another one follows."""
    random = draw(randoms())
    scales = {kind: draw(st.sampled_from([0, 3, 20])) for kind in ("own", "ahead", "compute", "store", "busy")}
    count = draw(st.integers(0, most))
    found = []
    for number in range(count):
        sizes = {kind: int(random.integers(0, most + 1)) * int(random.random() < 0.8) for kind, most in scales.items()}
        busy = random.integers(0, 4 * scales["busy"] + 1, (levels - 1, 3)) * (random.random((levels - 1, 3)) < 0.7)
        found.append({
            "own": sizes["own"], "own_level": int(random.integers(0, levels)),
            "ahead": sizes["ahead"] if number + 1 < count else 0,
            "waits": sizes["own"] > 0 or bool(random.random() < 0.3),
            "compute": sizes["compute"], "store": sizes["store"], "busy": [tuple(row) for row in busy.tolist()],
        })  # fmt: skip
    return found


def blocks_of(blocks, levels):
    """The kernels' arrays of a list of blocks; `levels` are the on-chip ones."""

    found = Blocks.empty(len(blocks), levels)
    for number, each in enumerate(blocks):
        found.busy[number] = each["busy"]
        for kind in ("own", "own_level", "ahead", "waits", "compute", "store"):
            getattr(found, kind)[number] = each[kind]
    return found


def plain_blocks(blocks):
    """The way back."""
    return [
        {"own": int(own), "own_level": int(level), "ahead": int(ahead), "waits": bool(waits), "compute": int(compute),
         "store": int(store), "busy": [tuple(row) for row in busy.tolist()]}
        for own, level, ahead, waits, compute, store, busy in zip(
            blocks.own, blocks.own_level, blocks.ahead, blocks.waits, blocks.compute, blocks.store, blocks.busy,
            strict=True,
        )
    ]  # fmt: skip


def timing_of(machine):
    """The kernels' arrays of a machine."""
    levels, latency = machine["levels"], machine["latency"]
    table = [[level[name] for name in FIELDS] + [*level["refresh"]] for level in levels]
    return Timing(
        levels=np.array(table, dtype=np.int64), load_latency=latency["load"],
        start_latency=latency["start"], store_latency=latency["store"], full_duplex=machine["full_duplex"],
    )  # fmt: skip


def plain_machine(timing):
    """The way back."""
    return {
        "levels": [
            dict(zip(FIELDS, row[:4], strict=True)) | {"refresh": (row[4], row[5])} for row in timing.levels.tolist()
        ],
        "latency": {name: int(getattr(timing, f"{name}_latency")) for name in ("load", "start", "store")},
        "full_duplex": bool(timing.full_duplex),
    }


# ------------------------------------------------------------------------------------------------ sides and mappings


@st.composite
def mappings(draw):
    """(rows, columns, results, compute, columns_outside) as `twins.lay_out` takes them."""
    random = draw(randoms())
    levels, parts = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    groups, bundle = draw(st.sampled_from([(1, 1), (3, 1), (4, 2), (5, 2), (3, 3)]))
    sides = []
    for _ in range(2):
        rounds, size = draw(st.integers(1, 6)), draw(st.integers(1, 4))
        sides.append((rounds, [_bundle(random, groups, group, bundle, rounds, size, (levels, parts))
                               for group in range(0, groups, bundle)]))  # fmt: skip
    kinds = [(row, column) for row in range(2) for column in range(2)]

    def amounts(most):
        return {key: int(random.integers(0, most)) for key in kinds}

    results = {
        "store": [amounts(9), amounts(9)], "load": [amounts(4), amounts(4)],
        "per_value": random.integers(0, 5, (2, 2, levels, 2)).tolist(),
        "in_tiles": [bool(random.integers(0, 2)) for _ in range(levels)],
    }  # fmt: skip
    columns_outer = draw(st.booleans())
    outer, inner = sides[::-1] if columns_outer else sides
    shape = (parts, draw(st.integers(1, 3)), groups * outer[0], draw(st.sampled_from([1, inner[0]])))
    compute = {
        "cycles": random.integers(0, 9, shape).tolist(), "columns_outer": columns_outer, "inner_rounds": inner[0],
    }  # fmt: skip
    return sides[0][1], sides[1][1], results, compute, draw(st.booleans())


def _bundle(random, groups, group, bundle, rounds, size, counts):
    """The blocks of one bundle, which begins with `group`: several rounds of one group, or all of several."""
    levels, parts = counts
    found = []
    together = min(bundle, groups - group)
    starts = [0] if bundle > 1 else range(0, rounds, size)
    for start in starts:
        stop = rounds if bundle > 1 else min(start + size, rounds)
        found.append({
            "load": random.integers(0, 9, parts).tolist(), "level": random.integers(0, levels + 1, parts).tolist(),
            "busy": random.integers(0, 20, (parts, levels, 3, 2)).tolist(),
            "start": group * rounds + start,
            "stop": (group + together - 1) * rounds + stop, "rounds": stop - start,
            "vectors": int(random.integers(1, 9)), "tile_vectors": int(random.integers(1, 5)), "groups": together,
            "kind": int(random.integers(0, 2)),
        })  # fmt: skip
    return found


def side_blocks_of(bundles):
    """The kernels' arrays of a side with a single cut."""
    blocks = [block for bundle in bundles for block in bundle]

    parts, levels = np.shape(blocks[0]["busy"])[:2]
    table = np.zeros((parts, len(blocks), fields.SIDE_BUSY + fields.SIDE_LEVEL_FIELDS * levels), dtype=np.int64)
    for number, block in enumerate(blocks):
        table[:, number, fields.LOAD] = block["load"]
        table[:, number, fields.SIDE_BUSY :] = np.reshape(block["busy"], (parts, -1))
        for name, field in SIDE_FIELDS.items():
            table[:, number, field] = block[name]
    return SideBlocks(table)


def side_totals_of(blocks, numbers):
    """Where the blocks of each cut are: `blocks` of a bundle, `numbers` in all; nothing else is known of them."""
    table = np.zeros((len(blocks), totals_fields.OF_LEVEL), dtype=np.int64)
    table[:, totals_fields.FIRST] = np.cumsum([0, *numbers])[:-1]
    table[:, totals_fields.COUNT], table[:, totals_fields.OF_BUNDLE] = numbers, blocks
    return SideTotals(table=table, resident=1)


def blocks_of_side(side, totals):
    """The blocks of all cuts."""
    if isinstance(side, SideMeasures):
        for cut in range(totals.table.shape[0]):
            fill_cut(side, totals.table, cut)
    return SideBlocks(side.table)


def plain_side(side, totals, cut):
    """The way back, of one of many cuts."""
    blocks = blocks_of_side(side, totals)
    of_cut = (
        int(totals.of(field)[cut]) for field in (totals_fields.FIRST, totals_fields.COUNT, totals_fields.OF_BUNDLE)
    )
    start, count, each = of_cut
    found = []
    for number in range(start, start + count):
        rows = blocks.table[:, number]
        busy = rows[:, fields.SIDE_BUSY :].reshape(rows.shape[0], -1, 3, 2)
        found.append({
            **{name: int(rows[0, field]) for name, field in SIDE_FIELDS.items()},
            "load": rows[:, fields.LOAD].tolist(), "level": rows[:, fields.LOAD_LEVEL].tolist(), "busy": busy.tolist(),
        })  # fmt: skip
    return [found[first : first + each] for first in range(0, len(found), each)]


def results_of(results):
    """The kernels' arrays of what results take."""

    def table(kinds):
        found = np.zeros((2, 2, 2), dtype=np.int64)
        for place, amounts in enumerate(kinds):
            for key, amount in amounts.items():
                found[place][key] = amount
        return found

    return Results(
        store=table(results["store"]), load=table(results["load"]),
        per_value=np.array(results["per_value"], dtype=np.int64), in_tiles=np.array(results["in_tiles"]),
    )  # fmt: skip


def plain_results(results):
    """The way back."""

    def table(kinds):
        return [{tuple(map(int, key)): int(amounts[key]) for key in np.ndindex(amounts.shape)} for amounts in kinds]

    return {
        "store": table(results.store), "load": table(results.load), "per_value": results.per_value.tolist(),
        "in_tiles": results.in_tiles.tolist(),
    }  # fmt: skip


def computation_of(compute):
    """The kernels' arrays of compute cycles."""
    cycles = np.array(compute["cycles"], dtype=np.int64)
    sums = np.zeros((*cycles.shape[:2], cycles.shape[2] + 1, cycles.shape[3] + 1), dtype=np.int64)
    sums[:, :, 1:, 1:] = cycles.cumsum(axis=2).cumsum(axis=3)
    return Computation(sums=sums, columns_outer=compute["columns_outer"], inner_rounds=compute["inner_rounds"])


def plain_computation(computation):
    """The way back."""
    return {
        "cycles": np.diff(np.diff(computation.sums, axis=2), axis=3).tolist(),
        "columns_outer": bool(computation.columns_outer), "inner_rounds": int(computation.inner_rounds),
    }  # fmt: skip
