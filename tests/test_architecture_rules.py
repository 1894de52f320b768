"""Combinations of keys that make no sense: each is refused with its reason, whoever asks for it."""

from __future__ import annotations

import pytest
import yaml
from architecture_files import VALID, edited, errors
from pydantic import ValidationError

from swatsim.architecture import Architecture, read_architecture
from swatsim.architecture.rules import RULES
from swatsim.keys.rule import HierarchyRule

Values = dict[str, object]

CROSSBAR = {"datapath.reach": "crossbar", "datapath.moves": [], "datapath.chunk_steps": 32, "datapath.lockstep": "row"}
NONE = {"datapath.skip": "none", "datapath.reach": "none", "datapath.moves": []}

# (what is right, what makes it wrong, the message after the override)
OWN_LANE: dict[str, object] = {
    "datapath.reach": "own_lane", "datapath.chunk_steps": 16, "datapath.lockstep": "lane", "datapath.barrier": "buffer",
}  # fmt: skip
TWO_OF_FOUR: dict[str, object] = {"datapath.reach": "n_of_m", "datapath.n": 2, "datapath.m": 4}

BROKEN: list[tuple[dict[str, object], dict[str, object], str]] = [
    (
        NONE,
        {"datapath.skip": "rows"},
        "datapath.reach: got 'none', expected moves, own_lane, crossbar or n_of_m with datapath.skip rows: "
        "without a reach, a skipped zero leaves its multiplier idle",
    ),
    (
        {},
        {"datapath.moves": []},
        "datapath.moves: got [], expected at least one move with datapath.reach moves: "
        "the moves are all that a multiplier reaches",
    ),
    (
        {},
        {"datapath.moves": [[1, 0], [2, 0], [1, 0]]},
        "datapath.moves: got [[1, 0], [2, 0], [1, 0]], expected each move once: "
        "a second look at the same place finds nothing new",
    ),
    (
        {},
        {"datapath.moves": [[1, -16]]},
        "datapath.moves: got [[1, -16]], expected fewer than 16 (tile.lanes) lanes aside: "
        "a move further aside comes round to a lane that a shorter one reaches",
    ),
    (
        {"tile.lanes": 3},
        {"datapath.lane_order": [2, 0, 2]},
        "datapath.lane_order: got [2, 0, 2], expected each of the 3 (tile.lanes) lanes once, from 0: "
        "every lane gets its turn",
    ),
    (
        CROSSBAR,
        {"datapath.chunk_steps": None},
        "datapath.chunk_steps: got null, expected an integer with datapath.reach crossbar: "
        "the crossbar selects within a chunk of so many steps",
    ),
    (
        CROSSBAR,
        {"datapath.lockstep": "lane"},
        "datapath.lockstep: got 'lane', expected row or tile with datapath.reach crossbar: "
        "a lane that takes from others cannot advance by itself",
    ),
    (
        {},
        {"datapath.skip": "both"},
        "datapath.reach: got 'moves', expected own_lane or crossbar with datapath.skip both: "
        "moves and patterns are of one operand's zeros, whatever it meets",
    ),
    (
        OWN_LANE,
        {"datapath.chunk_steps": None},
        "datapath.chunk_steps: got null, expected an integer with datapath.reach own_lane: "
        "a lane runs ahead within a chunk of so many steps",
    ),
    (
        OWN_LANE,
        {"datapath.barrier": "step"},
        "datapath.chunk_steps: got 16, expected 1 or null with datapath.barrier step: "
        "where all wait after every step, none runs ahead",
    ),
    (
        OWN_LANE,
        {"datapath.barrier": "pass"},
        "datapath.barrier: got 'pass', expected step, chunk or buffer with datapath.lockstep lane: "
        "the lanes of a row add up one result at a time",
    ),
    (
        OWN_LANE,
        {"datapath.decouple_depth": 1},
        "datapath.decouple_depth: got 1, expected 0 with datapath.lockstep lane: "
        "the lanes of a row add up one result at a time",
    ),
    (
        OWN_LANE | {"datapath.lockstep": "row"},
        {"datapath.skip": "both", "datapath.lockstep": "lane"},
        "datapath.lockstep: got 'lane', expected row or tile with datapath.skip both: "
        "what a row and a column have in common is found for all lanes at once",
    ),
    (
        TWO_OF_FOUR,
        {"datapath.n": None},
        "datapath.n: got null, expected an integer with datapath.reach n_of_m: it says how many of a group are kept",
    ),
    (
        TWO_OF_FOUR,
        {"datapath.m": None},
        "datapath.m: got null, expected an integer with datapath.reach n_of_m: it says how many lanes make a group",
    ),
    (
        TWO_OF_FOUR,
        {"datapath.n": 4},
        "datapath.n: got 4, expected fewer than 4 (datapath.m): where all of a group are kept, nothing is skipped",
    ),
    (
        TWO_OF_FOUR,
        {"datapath.m": 5},
        "datapath.m: got 5, expected a divisor of 16 (tile.lanes): a step has whole groups",
    ),
    (
        {},
        {"datapath.barrier": "step"},
        "datapath.barrier: got 'step', expected chunk, buffer or pass with datapath.reach moves: "
        "where all wait after every step, nothing is taken from a later one",
    ),
    (
        CROSSBAR | {"datapath.barrier": "chunk"},
        {"datapath.decouple_depth": 2, "datapath.barrier": "pass"},
        "datapath.decouple_depth: got 2, expected 0 with datapath.barrier pass: one is ahead by chunks or by buffers",
    ),
    (
        CROSSBAR,
        {"datapath.skip": "both", "datapath.balance": "pair"},
        "datapath.balance: got 'pair', expected none or greedy with datapath.skip both: "
        "how full a half is depends on what it meets",
    ),
    (
        {"datapath.lockstep": "row"},
        {"datapath.balance": "pair"},
        "datapath.balance: got 'pair', expected none or greedy with datapath.reach moves: "
        "two halves are one after the other in no order of steps that moves or patterns know",
    ),
    (
        CROSSBAR | {"datapath.balance": "pair"},
        {"datapath.lockstep": "tile"},
        "datapath.balance: got 'pair', expected none or greedy with datapath.lockstep tile: "
        "each row runs the halves that it was given",
    ),
    (
        CROSSBAR | {"datapath.balance": "pair"},
        {"datapath.barrier": "chunk"},
        "datapath.balance: got 'pair', expected none or greedy with datapath.barrier chunk: "
        "a pair is even only as a whole",
    ),
    (
        {},
        {"datapath.barrier": "chunk"},
        "datapath.barrier: got 'chunk', expected buffer or pass with datapath.reach moves: "
        "moves look ahead across all steps, which are in no chunks",
    ),
    (
        {},
        {"datapath.value_bytes": 8},
        "datapath.accumulator_bytes: got 4, expected at least 8 (datapath.value_bytes): "
        "a partial sum holds at least one value",
    ),
    (
        {},
        {"memory.nbout.format": "bitmap"},
        "memory.nbout.format: got 'bitmap', expected dense: "
        "the innermost level of the results has the partial sums, which are updated in place",
    ),
    (
        {},
        {"energy": {"mac_pj": 0.5, "mac_low_pj": 0.75}},
        "energy.mac_low_pj: got 0.75, expected at most 0.5 (energy.mac_pj): "
        "the band of the sources has the value in it",
    ),
    (
        {},
        {"energy": {"mac_pj": 0.5, "mac_high_pj": 0.25}},
        "energy.mac_high_pj: got 0.25, expected at least 0.5 (energy.mac_pj): "
        "the band of the sources has the value in it",
    ),
]

# The edge of each rule: these go.
WHOLE: list[dict[str, object]] = [
    NONE,
    CROSSBAR,
    CROSSBAR | {"datapath.barrier": "chunk"},
    CROSSBAR | {"datapath.lockstep": "tile", "datapath.skip": "both"},
    CROSSBAR | {"datapath.barrier": "chunk", "datapath.decouple_depth": 2},
    CROSSBAR | {"datapath.balance": "pair"},
    OWN_LANE,
    OWN_LANE | {"datapath.barrier": "step", "datapath.chunk_steps": None},
    TWO_OF_FOUR,
    {"datapath.moves": [[1, -15], [1, 15], [64, 0]]},
    {"tile.lanes": 3, "datapath.lane_order": [2, 0, 1]},
    {"datapath.order": "most_candidates"},
    {"datapath.barrier_tiles": 4},
    # Keys without effect.
    {"datapath.skip": "none"},
    CROSSBAR | {"datapath.moves": [[1, 0]], "datapath.order": "most_candidates"},
    {"datapath.chunk_steps": 32},
    {"tile.lanes": 2, "datapath.moves": [[1, 0]], "datapath.lane_order": [1, 0], "datapath.order": "most_candidates"},
    {"datapath.barrier_tiles": 5},
    {"datapath.value_bytes": 4},
    {"datapath.lockstep": "row", "datapath.barrier": "pass"},
    {f"memory.{level}.format": "bitmap" for level in ("dram", "central", "sb", "nbin")},
    {"energy": {"mac_pj": 1, "mac_low_pj": 1, "mac_high_pj": 1}},
    {"energy": {"mac_pj": 1, "mac_low_pj": None, "mac_high_pj": None}},
]


@pytest.mark.parametrize("overrides", WHOLE, ids=str)
def test_edges_are_accepted(overrides: dict[str, object]) -> None:
    read_architecture(VALID.encode(), "arch/foo.yaml", overrides)


@pytest.mark.parametrize(("right", "wrong", "expected"), BROKEN, ids=lambda value: str(value)[:60])
def test_contradiction_by_override_names_it(right: Values, wrong: Values, expected: str) -> None:
    read_architecture(VALID.encode(), "arch/foo.yaml", right)
    found = [line for line in errors(VALID, right | wrong) if line.endswith(f": {expected}")]
    assert len(found) == 1
    assert found[0].startswith("--set ")
    assert f"--set {next(iter(wrong))}=" in found[0]


@pytest.mark.parametrize(("right", "wrong", "expected"), BROKEN, ids=lambda value: str(value)[:60])
def test_contradiction_in_the_file_has_a_place(
    right: dict[str, object], wrong: dict[str, object], expected: str
) -> None:
    tree = changed(right | wrong)
    found = [line for line in errors(yaml.safe_dump(tree, sort_keys=False)) if line.endswith(f": {expected}")]
    assert len(found) == 1
    assert found[0].startswith("arch/foo.yaml:")


@pytest.mark.parametrize(("right", "wrong", "expected"), BROKEN, ids=lambda value: str(value)[:60])
def test_contradiction_in_a_model_built_by_hand(
    right: dict[str, object], wrong: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Architecture.model_validate(changed(right | wrong))
    key, text = expected.split(": ", 1)
    assert (tuple(key.split(".")), text) in [(detail["loc"], detail["msg"]) for detail in caught.value.errors()]


def test_every_rule_has_an_example() -> None:
    messages = {expected for _, _, expected in BROKEN}
    for rule in RULES:
        if isinstance(rule, HierarchyRule) or "<level>" in rule.key:
            continue  # tests/test_architecture_memory.py
        assert any(text.startswith(f"{rule.key}: ") and text.endswith(f": {rule.reason}") for text in messages), rule


def test_contradiction_is_told_at_the_key_that_is_written() -> None:
    text = edited(("  moves: [[1, -1], [1, 0]]\n", ""))
    expected = "datapath.moves: got [], expected at least one move with datapath.reach moves"
    assert errors(text) == [f"arch/foo.yaml:11:10: {expected}: the moves are all that a multiplier reaches"]


def test_several_overrides_of_one_contradiction_are_all_named() -> None:
    (line,) = errors(VALID, {"tile.lanes": 2, "datapath.lane_order": [1, 2], "datapath.moves": [[1, 0]]})
    assert line.startswith("--set datapath.lane_order=[1, 2] --set tile.lanes=2: datapath.lane_order: got [1, 2], ")


def test_contradictions_are_told_beside_other_errors() -> None:
    text = edited(("clock_hz: 606_000_000", "clock_hz: 0"), ("barrier: buffer", "barrier: chunk"))
    lines = errors(text)
    assert [line.split(": ")[1] for line in lines] == ["clock_hz", "datapath.barrier"]


def test_a_wrong_value_is_not_also_a_contradiction() -> None:
    text = edited(("reach: moves", "reach: move"), ("barrier: buffer", "barrier: chunk"))
    lines = errors(text)
    assert [line.split(": ")[1] for line in lines] == ["datapath.reach"]


def changed(overrides: dict[str, object]) -> dict[str, object]:
    tree = yaml.safe_load(VALID)
    for key, value in overrides.items():
        *parents, name = key.split(".")
        part = tree
        for parent in parents:
            part = part[parent]
        part[name] = value
    return tree
