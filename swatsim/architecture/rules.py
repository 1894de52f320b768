"""Combinations of keys that make no sense, each with the reason why.

A key that another one leaves without effect is no contradiction: `--set datapath.skip=none` alone must do.
"""

from __future__ import annotations

from collections.abc import Callable

from swatsim.architecture.memory_rules import MEMORY_RULES
from swatsim.architecture.rule import Contradiction, HierarchyRule, Key, Rule, Values

# The type of the pydantic errors made from this module's findings.
CONTRADICTION = "contradiction"

RULES: tuple[Rule | HierarchyRule, ...] = (
    Rule(
        key="datapath.reach",
        others=("datapath.skip",),
        holds=lambda reach, skip: skip == "none" or reach != "none",
        expected="moves or crossbar",
        when="is not none",
        reason="without a reach, a skipped zero leaves its multiplier idle",
    ),
    Rule(
        key="datapath.moves",
        others=("datapath.reach",),
        holds=lambda moves, reach: reach != "moves" or bool(moves),
        expected="at least one move",
        when="is moves",
        reason="the moves are all that a multiplier reaches",
    ),
    Rule(
        key="datapath.moves",
        holds=lambda moves: len({tuple(move) for move in moves}) == len(moves),
        expected="each move once",
        reason="a second look at the same place finds nothing new",
    ),
    Rule(
        key="datapath.moves",
        others=("tile.lanes",),
        holds=lambda moves, lanes: all(abs(move[1]) < lanes for move in moves),
        expected="fewer than {tile.lanes} lanes aside",
        reason="a move further aside comes round to a lane that a shorter one reaches",
    ),
    Rule(
        key="datapath.lane_order",
        others=("tile.lanes",),
        holds=lambda lane_order, lanes: lane_order is None or sorted(lane_order) == list(range(lanes)),
        expected="each of the {tile.lanes} lanes once, from 0",
        reason="every lane gets its turn",
    ),
    Rule(
        key="datapath.chunk_steps",
        others=("datapath.reach",),
        holds=lambda chunk_steps, reach: reach != "crossbar" or chunk_steps is not None,
        expected="an integer",
        when="is crossbar",
        reason="the crossbar selects within a chunk of so many steps",
    ),
    Rule(
        key="datapath.lockstep",
        others=("datapath.reach",),
        holds=lambda lockstep, reach: reach != "crossbar" or lockstep == "row",
        expected="row",
        when="is crossbar",
        reason="each row's crossbar selects by that row's own values, so rows cannot share a schedule",
    ),
    Rule(
        key="datapath.barrier",
        others=("datapath.reach",),
        holds=lambda barrier, reach: barrier != "chunk" or reach == "crossbar",
        expected="buffer or pass",
        when="is not crossbar",
        reason="chunks belong to reach crossbar",
    ),
    Rule(
        key="datapath.accumulator_bytes",
        others=("datapath.value_bytes",),
        holds=lambda accumulator_bytes, value_bytes: accumulator_bytes >= value_bytes,
        expected="at least {datapath.value_bytes}",
        reason="a partial sum holds at least one value",
    ),
    *MEMORY_RULES,
)


def contradictions(
    value: Callable[[Key], object], usable: Callable[[Key], bool] = lambda key: True
) -> list[Contradiction]:
    """Check every rule whose keys are all `usable`.

    `value` gives the value of a key such as ("tile", "lanes"); that of ("memory",) is a dict.
    """
    values = Values(value=value, usable=usable)
    return [found for rule in RULES for found in values.broken(rule)]
