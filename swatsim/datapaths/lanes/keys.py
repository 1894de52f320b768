"""The keys of the datapath family `lanes`, and which of them make no sense together (docs/datapaths/lanes.md).

A key that another one leaves without effect is no contradiction: `--set datapath.skip=none` alone must do.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from swatsim.keys.constraints import Choice, Integer, Items
from swatsim.keys.machine import DatapathKeys
from swatsim.keys.rule import Rule

Move: TypeAlias = Annotated[
    tuple[Annotated[int, Integer(low=1, high=64)], Annotated[int, Integer(low=-63, high=63)]],
    Items(what="integers: steps ahead, lanes aside", fewest=2, most=2),
]


class Keys(DatapathKeys):
    """Inner products whose idle multipliers take a later value: what is skipped, from where, who waits for whom."""

    kind: Annotated[Literal["lanes"], Choice(words=("lanes",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[
        Literal["none", "rows", "columns", "sparser", "both"],
        Choice(words=("none", "rows", "columns", "sparser", "both")),
    ] = Field(
        description="Operand whose zeros are skipped: none (reach and barriers then have no effect), the one on the "
        "rows, the one on the columns, sparser: whichever has more zeros is put on the rows and scheduled, or both: "
        "each pair of a row and a column multiplies only where both have a value."
    )
    reach: Annotated[
        Literal["none", "moves", "own_lane", "crossbar", "n_of_m"],
        Choice(words=("none", "moves", "own_lane", "crossbar", "n_of_m")),
    ] = Field(
        description="Where an idle multiplier may take a value from: nowhere (with skip none), along the "
        "listed moves, from its own lane anywhere in the chunk of steps, from any lane in the chunk, or by a fixed "
        "pattern: n of every m neighbouring lanes."
    )
    moves: Annotated[tuple[Move, ...], Items(what="moves [steps ahead, lanes aside]", fewest=0, most=32)] = Field(
        default=(),
        description="With reach moves: [steps ahead, lanes aside] in order of preference; lane l takes from lane "
        "(l + lanes aside) modulo the lanes. The largest number of steps ahead is the lookahead.",
    )
    order: Annotated[Literal["fixed", "most_candidates"], Choice(words=("fixed", "most_candidates"))] = Field(
        default="fixed",
        description="With reach moves: which idle lane chooses first: by lane_order, or the one with most candidates "
        "(recounted after every choice, the lowest lane on a tie).",
    )
    lane_order: Annotated[
        tuple[Annotated[int, Integer(low=0, high=63)], ...] | None,
        Items(what="lanes", fewest=1, most=64, null="0, 1, 2, …"),
    ] = Field(default=None, description="With order fixed: the lanes in the order in which they choose.")
    chunk_steps: Annotated[int | None, Integer(low=1, high=65536, null="the reach has no chunks")] = Field(
        default=None, description="With reach crossbar or own_lane: steps among which a multiplier may choose."
    )
    empty_chunk_cycles: Annotated[int, Integer(low=0, high=64)] = Field(
        default=0,
        description="With reach crossbar or own_lane: fewest cycles of a chunk, however empty (never more than it has "
        "steps).",
    )
    n: Annotated[int | None, Integer(low=1, high=63, null="reach is not n_of_m")] = Field(
        default=None, description="With reach n_of_m: values that are kept of every m."
    )
    m: Annotated[int | None, Integer(low=2, high=64, null="reach is not n_of_m")] = Field(
        default=None, description="With reach n_of_m: neighbouring lanes of a step that make a group."
    )
    lockstep: Annotated[Literal["lane", "row", "tile"], Choice(words=("lane", "row", "tile"))] = Field(
        description="Who shares one schedule: lane: each lane advances by itself and they wait for each other at the "
        "barrier; row: each row (with skip both: each pair of a row and a column) advances by itself; tile: the rows "
        "of a tile advance together."
    )
    barrier: Annotated[
        Literal["step", "chunk", "buffer", "pass"], Choice(words=("step", "chunk", "buffer", "pass"))
    ] = Field(
        description="When they wait for each other: after each step, after each chunk, after each buffer (the "
        "reduction of one group of windows), or only at the end of the pass."
    )
    barrier_tiles: Annotated[int, Integer(low=1, high=65536)] = Field(
        default=1,
        description="Tiles that wait for each other at the barrier (all, where there are fewer); the others wait only "
        "at the end of the pass.",
    )
    decouple_depth: Annotated[int, Integer(low=0, high=64)] = Field(
        default=0,
        description="Chunks or buffers, as the barrier has it, that one may be ahead of the slowest that it waits for.",
    )
    balance: Annotated[Literal["none", "greedy", "pair"], Choice(words=("none", "greedy", "pair"))] = Field(
        default="none",
        description="How work is evened out: greedy: rows are dealt with the fullest first; pair: the halves of the "
        "buffers of a tile are paired, the fullest with the emptiest, and each row runs a pair.",
    )


_SELECTING = ("crossbar", "own_lane")

_REACH_RULES = (
    Rule(
        key="datapath.reach",
        others=("datapath.skip",),
        holds=lambda reach, skip: skip == "none" or reach != "none",
        expected="moves, own_lane, crossbar or n_of_m",
        when="is not none",
        reason="without a reach, a skipped zero leaves its multiplier idle",
    ),
    Rule(
        key="datapath.reach",
        others=("datapath.skip",),
        holds=lambda reach, skip: skip != "both" or reach in ("none", *_SELECTING),
        expected="own_lane or crossbar",
        when="is both",
        reason="moves and patterns are of one operand's zeros, whatever it meets",
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
        key="datapath.chunk_steps",
        others=("datapath.reach", "datapath.barrier"),
        holds=lambda chunk_steps, reach, barrier: reach != "own_lane" or barrier == "step" or chunk_steps is not None,
        expected="an integer",
        when="is own_lane",
        reason="a lane runs ahead within a chunk of so many steps",
    ),
    Rule(
        key="datapath.chunk_steps",
        others=("datapath.barrier", "datapath.reach"),
        holds=lambda chunk_steps, barrier, reach: (
            barrier != "step" or reach != "own_lane" or chunk_steps is None or chunk_steps == 1
        ),
        expected="1 or null",
        when="is step",
        reason="where all wait after every step, none runs ahead",
    ),
    Rule(
        key="datapath.n",
        others=("datapath.reach",),
        holds=lambda n, reach: reach != "n_of_m" or n is not None,
        expected="an integer",
        when="is n_of_m",
        reason="it says how many of a group are kept",
    ),
    Rule(
        key="datapath.m",
        others=("datapath.reach",),
        holds=lambda m, reach: reach != "n_of_m" or m is not None,
        expected="an integer",
        when="is n_of_m",
        reason="it says how many lanes make a group",
    ),
    Rule(
        key="datapath.n",
        others=("datapath.m",),
        holds=lambda n, m: n is None or m is None or n < m,
        expected="fewer than {datapath.m}",
        reason="where all of a group are kept, nothing is skipped",
    ),
    Rule(
        key="datapath.m",
        others=("tile.lanes", "datapath.reach"),
        holds=lambda m, lanes, reach: reach != "n_of_m" or m is None or lanes % m == 0,
        expected="a divisor of {tile.lanes}",
        reason="a step has whole groups",
    ),
)

_WAITING_RULES = (
    Rule(
        key="datapath.lockstep",
        others=("datapath.reach",),
        holds=lambda lockstep, reach: lockstep != "lane" or reach in ("none", "own_lane"),
        expected="row or tile",
        when="is not own_lane",
        reason="a lane that takes from others cannot advance by itself",
    ),
    Rule(
        key="datapath.lockstep",
        others=("datapath.skip",),
        holds=lambda lockstep, skip: lockstep != "lane" or skip != "both",
        expected="row or tile",
        when="is both",
        reason="what a row and a column have in common is found for all lanes at once",
    ),
    Rule(
        key="datapath.barrier",
        others=("datapath.lockstep",),
        holds=lambda barrier, lockstep: lockstep != "lane" or barrier != "pass",
        expected="step, chunk or buffer",
        when="is lane",
        reason="the lanes of a row add up one result at a time",
    ),
    Rule(
        key="datapath.barrier",
        others=("datapath.reach",),
        holds=lambda barrier, reach: barrier != "step" or reach in ("none", "own_lane"),
        expected="chunk, buffer or pass",
        when="is not own_lane",
        reason="where all wait after every step, nothing is taken from a later one",
    ),
    Rule(
        key="datapath.barrier",
        others=("datapath.reach",),
        holds=lambda barrier, reach: reach != "moves" or barrier != "chunk",
        expected="buffer or pass",
        when="is moves",
        reason="moves look ahead across all steps, which are in no chunks",
    ),
    Rule(
        key="datapath.decouple_depth",
        others=("datapath.barrier",),
        holds=lambda depth, barrier: depth == 0 or barrier in ("chunk", "buffer"),
        expected="0",
        when="is neither chunk nor buffer",
        reason="one is ahead by chunks or by buffers",
    ),
    Rule(
        key="datapath.decouple_depth",
        others=("datapath.lockstep",),
        holds=lambda depth, lockstep: depth == 0 or lockstep != "lane",
        expected="0",
        when="is lane",
        reason="the lanes of a row add up one result at a time",
    ),
)

_BALANCE_RULES = (
    Rule(
        key="datapath.balance",
        others=("datapath.skip",),
        holds=lambda balance, skip: balance != "greedy" or skip != "columns",
        expected="none or pair",
        when="is columns",
        reason="windows that lie side by side share their values, and stay together",
    ),
    Rule(
        key="datapath.balance",
        others=("datapath.skip",),
        holds=lambda balance, skip: balance != "pair" or skip != "both",
        expected="none or greedy",
        when="is both",
        reason="how full a half is depends on what it meets",
    ),
    Rule(
        key="datapath.balance",
        others=("datapath.reach",),
        holds=lambda balance, reach: balance != "pair" or reach in ("none", *_SELECTING),
        expected="none or greedy",
        when="is moves or n_of_m",
        reason="two halves are one after the other in no order of steps that moves or patterns know",
    ),
    Rule(
        key="datapath.balance",
        others=("datapath.lockstep",),
        holds=lambda balance, lockstep: balance != "pair" or lockstep == "row",
        expected="none or greedy",
        when="is not row",
        reason="each row runs the halves that it was given",
    ),
    Rule(
        key="datapath.balance",
        others=("datapath.barrier",),
        holds=lambda balance, barrier: balance != "pair" or barrier in ("buffer", "pass"),
        expected="none or greedy",
        when="is neither buffer nor pass",
        reason="a pair is even only as a whole",
    ),
)

RULES: tuple[Rule, ...] = (*_REACH_RULES, *_WAITING_RULES, *_BALANCE_RULES)
