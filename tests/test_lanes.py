"""The datapath family `lanes` by hand: who takes what, who waits for whom, what is refused, what is lost to what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from architecture_files import VALID
from free_memory import load_with_free_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

import swatsim
from swatsim.architecture import read_architecture
from swatsim.contraction import Contraction, contract
from swatsim.datapaths import arranged, lanes
from swatsim.datapaths.lanes import chunks
from swatsim.errors import ArchitectureError
from swatsim.mapping import map_contraction
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.way import Schedule

FEWER = settings(max_examples=40)


def machine_with(**keys: Any) -> swatsim.Architecture:
    """A machine by its keys: those without a section belong to the datapath."""
    given_keys = {
        "tiles": 1, "tile.rows": 1, "tile.columns": 1, "tile.lanes": 1, "mapping.tile_split": "rows",
        "mapping.flatten": "never", "datapath.moves": [], "datapath.order": "fixed", "datapath.lane_order": None,
        "datapath.chunk_steps": None, "datapath.barrier_tiles": 1, "datapath.lockstep": "row",
        "datapath.balance": "none",
    }  # fmt: skip
    for key, value in keys.items():
        name = key.replace("__", ".")
        given_keys[name if "." in name or name == "tiles" else f"datapath.{name}"] = value
    return load_with_free_memory("dadiannao", given_keys)


def rows_against(rows: np.ndarray, columns: np.ndarray) -> Contraction:
    """The forward pass of a linear layer with these filters and positions."""
    layer = swatsim.Layer.from_arrays(
        "layer", kind="linear", input=columns, weight=rows, output_grad=np.ones((len(columns), len(rows)))
    )
    (contraction,) = contract(layer, "forward", Order(steps="rsc", windows="npq"))
    return contraction


def drawn(*lines: str) -> np.ndarray:
    """Values of vectors drawn with a letter each: `.` is a zero."""
    return np.array([[float(letter != ".") for letter in line.replace(" ", "")] for line in lines])


def scheduled(
    rows: np.ndarray, machine: swatsim.Architecture, columns: np.ndarray | None = None, positions: int = 1
) -> Schedule:
    """The schedule that skips, of the only way that there is."""
    columns = np.ones((positions, rows.shape[1])) if columns is None else columns
    contraction = arranged(rows_against(rows, columns), machine)
    (found, *_) = schedule(contraction, machine).actual
    assert found.way.skips
    return found


def cycles_of(*lines: str, columns: np.ndarray | None = None, positions: int = 1, **keys: Any) -> int:
    return scheduled(drawn(*lines), machine_with(**keys), columns, positions).compute_cycles


# ---------------------------------------------------------------------------------------------------------- one operand

CNVLUTIN = {
    "skip": "columns", "reach": "own_lane", "lockstep": "lane", "barrier": "buffer", "chunk_steps": 16,
    "empty_chunk_cycles": 1, "tile__lanes": 2, "mapping__lane_channels": "blocked",
}  # fmt: skip


def test_cnvlutin_waits_for_the_lane_with_most_values_in_its_bricks():
    """Lane 0 holds the first 32 channels: 3 values and an empty brick (1); lane 1 the others: 2 and 1."""
    channels = drawn("x.xx............ ................", "...............x x...............")
    window = np.concatenate([channels[0], channels[1]])[None]
    found = scheduled(np.ones((1, 64)), machine_with(**CNVLUTIN), columns=window)
    assert found.compute_cycles == 4
    interleaved = machine_with(**CNVLUTIN | {"mapping__lane_channels": "interleaved"})
    # Even channels: 0, 2 and 48; odd ones: 3 and 47. Bricks of 16 values of a lane are 32 channels.
    assert scheduled(np.ones((1, 64)), interleaved, columns=window).compute_cycles == max(2 + 1, 1 + 1)


@given(randoms(), DENSITIES)
@FEWER
def test_cnvlutin_on_random_windows(random, density):
    """For each window the slowest of 16 lanes, each of its bricks at least one cycle (machines' rule, written anew)."""
    windows = random.random((5, 16 * 48)) < density
    machine = machine_with(**CNVLUTIN | {"tile__lanes": 16})
    lanes = windows.reshape(5, 16, 3, 16).sum(axis=3)
    expected = np.maximum(lanes, 1).sum(axis=2).max(axis=1).sum()
    assert scheduled(np.ones((1, 16 * 48)), machine, columns=windows).compute_cycles == expected


@pytest.mark.parametrize(
    ("keys", "cycles"),
    [
        ({"reach": "crossbar", "lockstep": "row", "barrier": "buffer"}, 3),  # 5 and 3 of two a cycle
        ({"reach": "crossbar", "lockstep": "tile", "barrier": "buffer"}, 4),  # 4 + 3 places that either has: 2 + 2
        ({"reach": "own_lane", "lockstep": "row", "barrier": "buffer"}, 3),  # 2 + 1 and 1 + 2
        ({"reach": "own_lane", "lockstep": "row", "barrier": "chunk"}, 4),  # max(2, 1) + max(1, 2)
        ({"reach": "own_lane", "lockstep": "lane", "barrier": "buffer"}, 2),
        ({"reach": "own_lane", "lockstep": "tile", "barrier": "buffer"}, 4),
        ({"reach": "own_lane", "lockstep": "row", "barrier": "step", "chunk_steps": None}, 4),
        ({"reach": "crossbar", "lockstep": "row", "barrier": "buffer", "balance": "pair"}, 3),  # 3 with 1, 2 with 2
    ],
)
def test_two_rows_of_two_lanes(keys, cycles):
    """Two chunks of two steps of two lanes."""
    lines = ("xx x. .x x.", ".x .. x. .x") if keys.get("balance") else ("xx x. .x ..", ".x .. x. x.")
    found = cycles_of(*lines, **{"skip": "rows", "tile__rows": 2, "tile__lanes": 2, "chunk_steps": 2} | keys)
    assert found == cycles


def test_lane_order_says_who_chooses_first():
    """At step 1, lane 0 reaches only lane 1's value of step 2; lane 1 prefers it, but reaches lane 2's as well."""
    keys = {"skip": "rows", "reach": "moves", "moves": [[1, 0], [1, 1]], "barrier": "buffer", "tile__lanes": 3}
    assert cycles_of("... ..x .xx", **keys, lane_order=[0, 1, 2]) == 1
    assert cycles_of("... ..x .xx", **keys, lane_order=[1, 0, 2]) == 2


def test_barrier_after_each_step_drops_what_is_empty_everywhere():
    lines = ("x... x... .... .... x.x.", ".... xxxx .... .... ....")
    keys = {"skip": "rows", "reach": "own_lane", "barrier": "step", "tile__rows": 2, "tile__lanes": 4}
    assert cycles_of(*lines, **keys) == 3
    assert cycles_of(*lines, **keys, empty_chunk_cycles=1) == 5


@pytest.mark.parametrize("reach", [{"reach": "own_lane", "chunk_steps": 2}, {"reach": "n_of_m", "n": 1, "m": 2}])
def test_units_that_are_read_some_at_a_time(reach, monkeypatch):
    """Of tiles of three rows, one unit at a time as all of them."""
    weight = np.random.default_rng(5).random((14, 12)) < 0.4
    machine = machine_with(skip="rows", lockstep="tile", barrier="buffer", tile__rows=3, tile__lanes=2, **reach)
    together = scheduled(weight, machine).cycles
    monkeypatch.setattr("swatsim.datapaths.lanes.chunks.WORDS_AT_ONCE", 1)
    assert np.array_equal(scheduled(weight, machine).cycles, together)


@pytest.mark.parametrize("lockstep", ["row", "tile"])
def test_pairs_whose_columns_are_read_some_at_a_time(lockstep, monkeypatch):
    """One unit of columns at a time as all of them."""
    random = np.random.default_rng(6)
    weight, windows = random.random((5, 200)) < 0.4, random.random((7, 200)) < 0.6
    machine = machine_with(**SPARTEN | {"lockstep": lockstep, "tile__columns": 2})
    together = schedule(rows_against(weight, windows), machine).actual
    monkeypatch.setattr("swatsim.datapaths.lanes.pairs.WORDS_AT_ONCE", 1)
    apart = schedule(rows_against(weight, windows), machine).actual
    assert [each.cycles.tolist() for each in apart] == [each.cycles.tolist() for each in together]


def test_words_are_gathered_for_the_steps_that_there_are(monkeypatch):
    """A kernel does not look how long what it writes to is."""
    asked = []
    monkeypatch.setattr(
        chunks, "gather_words", lambda words, base, runs, parts, found: asked.append((parts.tolist(), found.shape))
    )
    side = map_contraction(rows_against(np.ones((3, 8), bool), np.ones((1, 8), bool)), machine_with(**SPARTEN)).rows
    for _ in chunks.gather_rows(side, np.arange(8).reshape(4, 2), 2, 1):
        pass
    assert [(len(parts) - 1, shape) for parts, shape in asked] == [(4, (2, 4)), (4, (1, 4))]


@pytest.mark.parametrize(("counts", "sparser"), [
    ((3, 10), True), ((4, 10), False), ((5, 10), False), ((39, 100), True), ((40, 100), False),
])  # fmt: skip
def test_the_sparser_side_has_the_larger_fraction_of_zeros(counts, sparser):
    """Compared with 8 of 20."""
    candidate, other = (SimpleNamespace(nonzeros=nonzeros, positions=size) for nonzeros, size in (counts, (8, 20)))
    assert lanes._sparser(candidate, other) == sparser


def test_halves_are_paired():
    """Of 8 values and 0, the halves have 4, 4, 0, 0: each row runs one of 4 and one of 0."""
    lines = ("xxxxxxxx", "........", "xxxx....", "........")
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "buffer", "chunk_steps": 2, "tile__rows": 2}
    assert cycles_of(*lines, **keys) == 8 + 4
    # In the second tile the full half is paired with the second row's last one.
    assert cycles_of(*lines, **keys, balance="pair") == 4 + 4


def test_greedy_deals_the_fullest_rows_first():
    lines = ("xxxx", "x...", "xxx.", "....")
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "buffer", "chunk_steps": 4, "tile__rows": 2}
    assert cycles_of(*lines, **keys) == 4 + 3
    assert cycles_of(*lines, **keys, balance="greedy") == 4 + 1


def test_rows_are_stored_as_they_are_dealt():
    """Rows that are as full stay in order, and each line is still that of its row."""
    random = np.random.default_rng(4)
    weight = random.random((7, 9)) < random.random((7, 1))
    plain = rows_against(weight, np.ones((1, 9)))
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "buffer", "chunk_steps": 4}
    rows = arranged(plain, machine_with(**keys, balance="greedy")).rows
    order = sorted(range(7), key=lambda row: -weight[row].sum())
    assert rows.base[0].tolist() == plain.rows.base[0][order].tolist()
    assert rows.lines.nonzeros[0].tolist() == weight[order].sum(axis=1).tolist()
    assert rows.lines.start[0].tolist() == [9 * row for row in order]
    assert arranged(plain, machine_with(**keys)) is plain
    assert arranged(plain, machine_with(skip="none", reach="none", barrier="buffer", balance="greedy")) is plain


# ------------------------------------------------------------------------------------------------------ n of every m


@pytest.mark.parametrize(
    ("pattern", "lines", "cycles"),
    [
        ((2, 4), ["xx.. ..xx"], 1),
        ((2, 4), ["xxx. ...."], 2),  # 2 passes: as long as the dense steps
        ((2, 4), ["xx.. ..xx x..."], 2),  # the last chunk is a single step
        ((2, 4), [".... ...."], 1),  # a pattern does not know that nothing is there
        ((2, 4), ["xx.. ..xx", "xxxx ...."], 2),  # rows of a tile together
        ((1, 4), ["x... .x.. ..x. ...x"], 1),
        ((1, 4), ["x... .x.. .xx. ...x"], 2),
        ((1, 4), ["x... xxxx .xx. ...x"], 4),
        ((3, 4), ["xxx. .xxx xxx. .xxx"], 3),
        ((3, 4), ["xxxx .xxx xxx. .xxx"], 4),
    ],
)
def test_patterns(pattern, lines, cycles):
    n, m = pattern
    keys = {"skip": "rows", "reach": "n_of_m", "n": n, "m": m, "lockstep": "tile", "barrier": "buffer"}
    assert cycles_of(*lines, **keys, tile__lanes=4, tile__rows=2) == cycles


def test_two_of_four_halves_the_cycles():
    random = np.random.default_rng(1)
    weight = np.zeros((8, 16, 4))
    for row, group in np.ndindex(8, 16):
        weight[row, group, random.permutation(4)[:2]] = 1
    keys = {"skip": "rows", "reach": "n_of_m", "n": 2, "m": 4, "lockstep": "tile", "barrier": "buffer"}
    machine = machine_with(**keys, tile__lanes=8, tile__rows=4)
    found = schedule(rows_against(weight.reshape(8, 64), np.ones((3, 64))), machine)
    assert 2 * found.actual[0].compute_cycles == found.dense[0].compute_cycles == 2 * 3 * 8


# -------------------------------------------------------------------------------------------------------- both operands

SPARTEN = {"skip": "both", "reach": "crossbar", "lockstep": "row", "barrier": "buffer", "chunk_steps": 128}


@given(randoms(), DENSITIES, DENSITIES)
@FEWER
def test_sparten_multiplies_what_both_have(random, row_density, column_density):
    """One tile of 4 units and a window at a time: the slowest of 4 filters."""
    rows, columns = random.random((8, 300)) < row_density, random.random((3, 300)) < column_density
    found = scheduled(rows, machine_with(**SPARTEN, tile__rows=4), columns=columns)
    common = rows.astype(int) @ columns.T.astype(int)
    assert found.cycles[0].tolist() == common.reshape(2, 4, 3).max(axis=1).tolist()
    assert found.multiplications == common.sum()


def test_pairs_of_a_tile_together_multiply_what_any_of_them_may_need():
    """Rows have 0, 1 or 2; columns 1, 2 or 3: 1 and 2 are left, for each of the four pairs."""
    keys = SPARTEN | {"lockstep": "tile", "tile__rows": 2, "tile__columns": 2}
    found = scheduled(drawn("xx..", "..x."), machine_with(**keys), columns=drawn(".x..", "..xx"))
    assert (found.compute_cycles, found.multiplications) == (2, 8)


@pytest.mark.parametrize("lanes", [2, 16])
def test_chunks_of_pairs_that_are_longer_than_a_word(lanes):
    """Of what two vectors have in common, so many a cycle in each chunk of 40 steps."""
    random = np.random.default_rng(3)
    rows, columns = random.random((1, 100 * lanes)) < 0.6, random.random((1, 100 * lanes)) < 0.6
    machine = machine_with(**SPARTEN | {"chunk_steps": 40}, tile__lanes=lanes)
    common = (rows & columns)[0]
    expected = sum(-(-common[first : first + 40 * lanes].sum() // lanes) for first in range(0, common.size, 40 * lanes))
    assert scheduled(rows, machine, columns=columns).compute_cycles == expected


def test_sums_over_columns_are_kept_where_rounds_are_too_many(monkeypatch):
    random = np.random.default_rng(2)
    rows, columns = random.random((8, 40)) < 0.5, random.random((9, 40)) < 0.5
    machine = machine_with(**SPARTEN, tile__rows=2, tiles=2)
    apart = scheduled(rows, machine, columns=columns).cycles
    monkeypatch.setattr("swatsim.datapaths.lanes.pairs.MOST_CYCLES", apart.size - 1)
    assert np.array_equal(scheduled(rows, machine, columns=columns).cycles, apart.sum(axis=2, keepdims=True))


# ------------------------------------------------------------------------------------------------------- running ahead


@pytest.mark.parametrize(("depth", "cycles"), [(0, 7 * 4 + 7 * 4), (1, 32), (2, 32)])
def test_rows_that_are_slow_in_turn_run_ahead(depth, cycles):
    """Two filters of 7 + 1 and 1 + 7 values in two chunks, against 4 positions."""
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "chunk", "chunk_steps": 7, "tile__rows": 2}
    assert cycles_of("xxxxxxx x......", "x...... xxxxxxx", **keys, positions=4, decouple_depth=depth) == cycles


@given(randoms(), st.integers(1, 5), st.sampled_from(("rows", "both")), st.sampled_from(("chunk", "buffer")))
@FEWER
def test_more_room_is_never_slower(random, rows, skip, barrier):
    keys = {"skip": skip, "reach": "crossbar", "barrier": barrier, "chunk_steps": 5, "tile__rows": 3, "tile__lanes": 2}
    weight, columns = random.random((rows, 30)) < 0.5, random.random((6, 30)) < 0.7
    counts = [
        scheduled(weight, machine_with(**keys, decouple_depth=depth), columns=columns).compute_cycles
        for depth in (0, 1, 2, 8)
    ]
    free = scheduled(weight, machine_with(**keys | {"barrier": "pass"}), columns=columns).compute_cycles
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= free


# --------------------------------------------------------------------------------------------------------------- bounds


@given(randoms(), st.integers(1, 3), st.booleans(), st.sampled_from(("fixed", "most_candidates")))
@FEWER
def test_a_full_crossbar_is_never_slower_than_moves(random, ahead, free, order):
    weight = random.random((6, 40)) < random.choice([0.1, 0.3, 0.6])
    keys = {
        "skip": "rows", "lockstep": "row", "barrier": "pass" if free else "buffer", "tile__rows": 3, "tile__lanes": 4,
    }  # fmt: skip
    moves = [[step, aside] for step in range(1, ahead + 1) for aside in (0, 1, -1)]
    crossbar = scheduled(weight, machine_with(**keys, reach="crossbar", chunk_steps=64), positions=3)
    by_moves = scheduled(weight, machine_with(**keys, reach="moves", moves=moves, order=order), positions=3)
    assert crossbar.compute_cycles <= by_moves.compute_cycles


@pytest.mark.parametrize("skip", ["rows", "columns", "sparser", "both"])
@pytest.mark.parametrize(
    "keys",
    [
        {"reach": "crossbar", "barrier": "chunk", "chunk_steps": 2},
        {"reach": "crossbar", "barrier": "buffer", "chunk_steps": 3, "lockstep": "tile"},
        {"reach": "own_lane", "barrier": "step"},
        {"reach": "own_lane", "barrier": "buffer", "chunk_steps": 4, "empty_chunk_cycles": 1, "decouple_depth": 1},
    ],
)
def test_values_everywhere_take_the_dense_cycles(skip, keys):
    machine = machine_with(skip=skip, **keys, tiles=2, tile__rows=2, tile__columns=3, tile__lanes=4)
    found = schedule(rows_against(np.ones((9, 24)), np.ones((7, 24))), machine)
    assert found.actual[0].compute_cycles == min(each.compute_cycles for each in found.dense)
    assert found.ideal_positions == found.macs


@given(randoms(), st.sampled_from(("rows", "columns", "both")))
@FEWER
def test_fewer_values_are_never_slower_to_a_crossbar(random, skip):
    rows, columns = random.random((7, 40)) < 0.8, random.random((5, 40)) < 0.8
    keys = {"skip": skip, "reach": "crossbar", "barrier": "chunk", "chunk_steps": 4, "lockstep": "tile"}
    machine = machine_with(**keys, tile__rows=2, tile__columns=2, tile__lanes=4)
    found = [
        schedule(rows_against(rows * kept, columns * kept), machine) for kept in (np.ones(40), random.random(40) < 0.5)
    ]
    full, half = (min(each.compute_cycles for each in one.actual) for one in found)
    assert half <= full
    assert found[1].ideal_positions <= found[0].ideal_positions


def test_what_is_slower_than_the_dense_machine_is_not_run():
    """The fullest half with the one of fewest values, of 2 cycles each, where a row has 3 steps."""
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "buffer", "chunk_steps": 1, "balance": "pair"}
    machine = machine_with(**keys, tile__rows=2, tile__lanes=4)
    found = schedule(rows_against(drawn("x... x... xxxx", "xxxx xxxx xxxx"), np.ones((1, 12))), machine)
    assert [each.way.skips for each in found.actual] == [()]


# --------------------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # 4 + 0 and 1 + 3 values in two chunks: 4 + 3 cycles with a barrier after each, 4 without; 4 on average.
        ({"barrier": "chunk"}, {"barriers": 3}),
        ({"barrier": "buffer"}, {}),
        # In two lanes: (2 + 0) and (1 + 2), of 8 values in 4 lanes; 2.5 on average, rounded up.
        ({"barrier": "buffer", "tile__lanes": 2, "chunk_steps": 2}, {"reach": 1}),
    ],
)
def test_what_cycles_are_lost_to(keys, expected):
    keys = {"skip": "rows", "reach": "crossbar", "chunk_steps": 4, "tile__rows": 2} | keys
    found = scheduled(drawn("xxxx ....", "x... xxx."), machine_with(**keys))
    losses = found.losses()._asdict()
    assert losses == dict.fromkeys(losses, 0) | expected


def test_losses_of_rows_and_tiles():
    """Rows of 8, 4, 2 and 2 values on two tiles: the first has 6 on average, all have 4."""
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "pass", "chunk_steps": 8, "tile__rows": 2, "tiles": 2}
    found = scheduled(drawn("xxxxxxxx", "xxxx....", "xx......", "......xx"), machine_with(**keys))
    assert (found.compute_cycles, found.losses()._asdict()) == (
        8, {"reach": 0, "rows": 2, "tiles": 2, "barriers": 0, "edges": 0}
    )  # fmt: skip


@pytest.mark.parametrize(("lines", "cycles", "expected"), [
    # Two of four rows have something to do: 8 and 4 values.
    (("xxxxxxxx", "xxxx...."), 8, {"rows": 2}),
    # Rows of 8, 4, 2, 2 and then of 4, 0, 0, 0 values: the first one has 12, all of them 5 on average.
    (("xxxxxxxx", "xxxx....", "xx......", "......xx", "....xxxx", *["........"] * 3), 12, {"rows": 7}),
])  # fmt: skip
def test_losses_of_more_rows_than_are_at_work_or_of_fewer(lines, cycles, expected):
    """A single set of rows that wait for one another, however many of them there are."""
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "pass", "chunk_steps": 8, "tile__rows": 4}
    found = scheduled(drawn(*lines), machine_with(**keys))
    losses = found.losses()._asdict()
    assert (found.compute_cycles, losses) == (cycles, dict.fromkeys(losses, 0) | expected)
    assert len(found.set_cycles) == min(4, len(lines))


def test_unequal_lanes_are_lost_to_rows():
    """Lanes of 4 and 0 values: 4 cycles where 2 would do."""
    keys = {"skip": "rows", "reach": "own_lane", "lockstep": "lane", "barrier": "buffer", "chunk_steps": 2}
    found = scheduled(drawn("x. x. x. x."), machine_with(**keys, tile__lanes=2))
    assert (found.compute_cycles, found.losses().rows, found.losses().reach) == (4, 2, 0)


def test_losses_of_pairs():
    """8 and 2 in common on one tile, nothing on the other, in one round."""
    keys = SPARTEN | {"barrier": "pass", "tile__rows": 2, "tiles": 2, "mapping__tile_split": "columns"}
    columns = np.vstack([np.ones(8), np.zeros(8)])
    found = scheduled(drawn("xxxxxxxx", "xx......"), machine_with(**keys), columns=columns)
    assert found.losses()._asdict() == {"reach": 0, "rows": 3, "tiles": 2, "barriers": 0, "edges": 0}


# ---------------------------------------------------------------------------------------------------- lanes of channels


def test_a_lane_holds_a_contiguous_part_of_a_taps_channels():
    weight = np.ones((1, 5, 1, 2))
    layer = swatsim.Layer.from_arrays(
        "layer", kind="conv2d", input=np.ones((1, 5, 1, 2)), weight=weight, output_grad=np.ones((1, 1, 1, 1))
    )
    (contraction,) = contract(layer, "forward", Order(steps="rsc", windows="npq"))
    keys = {"skip": "rows", "reach": "crossbar", "barrier": "buffer", "chunk_steps": 2, "tile__lanes": 2}
    found = {
        lanes: map_contraction(
            contraction, machine_with(**keys, mapping__lane_channels=lanes, mapping__step_order="rsc")
        ).row_offset.tolist()
        for lanes in ("interleaved", "blocked")
    }
    assert found["interleaved"] == [[0, 1], [2, 3], [4, -1], [5, 6], [7, 8], [9, -1]]
    assert found["blocked"] == [[0, 3], [1, 4], [2, -1], [5, 8], [6, 9], [7, -1]]


# ---------------------------------------------------------------------------------------------------------------- rules

MOVES = {"skip": "rows", "reach": "moves", "moves": [[1, 0]], "lockstep": "row", "barrier": "buffer"}
OWN_LANE = {"skip": "rows", "reach": "own_lane", "chunk_steps": 4, "lockstep": "row", "barrier": "buffer"}
CROSSBAR = OWN_LANE | {"reach": "crossbar"}
PATTERN = {"skip": "rows", "reach": "n_of_m", "n": 2, "m": 4, "lockstep": "tile", "barrier": "buffer"}
NO_EFFECT = {"skip": "none", "moves": [], "chunk_steps": None, "n": None, "m": None}

# (what is right, what makes it wrong, the key that is refused and what is expected instead)
BROKEN: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        NO_EFFECT | {"reach": "none"},
        {"skip": "rows"},
        "reach: got 'none', expected moves, own_lane, crossbar or n_of_m",
    ),
    (MOVES, {"skip": "both"}, "reach: got 'moves', expected own_lane or crossbar"),
    (PATTERN, {"skip": "both"}, "reach: got 'n_of_m', expected own_lane or crossbar"),
    (CROSSBAR, {"chunk_steps": None}, "chunk_steps: got null, expected an integer"),
    (OWN_LANE, {"chunk_steps": None}, "chunk_steps: got null, expected an integer"),
    (OWN_LANE, {"barrier": "step"}, "chunk_steps: got 4, expected 1 or null"),
    (PATTERN, {"n": None}, "n: got null, expected an integer"),
    (PATTERN, {"m": None}, "m: got null, expected an integer"),
    (PATTERN, {"n": 4}, "n: got 4, expected fewer than 4 (datapath.m)"),
    (PATTERN, {"m": 3}, "m: got 3, expected a divisor of 16 (tile.lanes)"),
    (CROSSBAR, {"lockstep": "lane"}, "lockstep: got 'lane', expected row or tile"),
    (MOVES, {"lockstep": "lane"}, "lockstep: got 'lane', expected row or tile"),
    (OWN_LANE | {"lockstep": "lane"}, {"skip": "both"}, "lockstep: got 'lane', expected row or tile"),
    (OWN_LANE | {"lockstep": "lane"}, {"barrier": "pass"}, "barrier: got 'pass', expected step, chunk or buffer"),
    (CROSSBAR, {"barrier": "step"}, "barrier: got 'step', expected chunk, buffer or pass"),
    (PATTERN, {"barrier": "step"}, "barrier: got 'step', expected chunk, buffer or pass"),
    (MOVES, {"barrier": "chunk"}, "barrier: got 'chunk', expected buffer or pass"),
    (CROSSBAR | {"barrier": "pass"}, {"decouple_depth": 1}, "decouple_depth: got 1, expected 0"),
    (OWN_LANE | {"lockstep": "lane"}, {"decouple_depth": 1}, "decouple_depth: got 1, expected 0"),
    (CROSSBAR | {"skip": "columns"}, {"balance": "greedy"}, "balance: got 'greedy', expected none or pair"),
    (CROSSBAR | {"skip": "both"}, {"balance": "pair"}, "balance: got 'pair', expected none or greedy"),
    (MOVES, {"balance": "pair"}, "balance: got 'pair', expected none or greedy"),
    (CROSSBAR | {"lockstep": "tile"}, {"balance": "pair"}, "balance: got 'pair', expected none or greedy"),
    (CROSSBAR | {"barrier": "chunk"}, {"balance": "pair"}, "balance: got 'pair', expected none or greedy"),
]


def with_datapath(keys: dict[str, Any]) -> swatsim.Architecture:
    overrides = {"moves": [], "lane_order": None, "order": "fixed"} | keys
    named = {f"datapath.{key}": value for key, value in overrides.items()}
    return read_architecture(VALID.encode(), "arch/foo.yaml", {"tile.lanes": 16} | named)


@pytest.mark.parametrize(("right", "wrong", "text"), BROKEN)
def test_what_makes_no_sense_is_refused(right, wrong, text):
    with_datapath(right)
    with pytest.raises(ArchitectureError) as caught:
        with_datapath(right | wrong)
    assert f"datapath.{text}" in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        OWN_LANE | {"lockstep": "lane", "barrier": "step", "chunk_steps": None},
        OWN_LANE | {"barrier": "step", "chunk_steps": 1},
        OWN_LANE | {"skip": "both", "lockstep": "tile", "barrier": "chunk", "decouple_depth": 3},
        CROSSBAR | {"skip": "both", "balance": "greedy", "barrier": "pass"},
        CROSSBAR | {"skip": "sparser", "balance": "pair", "barrier": "pass"},
        MOVES | {"balance": "greedy", "decouple_depth": 64},
        PATTERN | {"n": 3, "m": 16, "barrier": "chunk", "lockstep": "row"},
    ],
)
def test_what_makes_sense_is_not_refused(keys):
    with_datapath(keys)
    # A key without effect is no contradiction.
    with_datapath(keys | {"skip": "none"})


@pytest.mark.parametrize("relaxation", [each for each in lanes.RELAXATIONS if each.value is not None])
def test_what_explain_tries_is_the_freest_value(relaxation):
    key = relaxation.key.removeprefix("datapath.")
    with_datapath(CROSSBAR | {key: relaxation.value})
    if isinstance(relaxation.value, int):
        with pytest.raises(ArchitectureError, match=key):
            with_datapath(CROSSBAR | {key: relaxation.value - 1})
