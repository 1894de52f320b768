"""Which hierarchies make no sense, each with the reason why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from swatsim.architecture.memory import FEWEST_LEVELS, MOST_LEVELS, OPERANDS, path_of
from swatsim.keys.rule import HierarchyRule, Holds, Levels, Rule


def _named(names: Iterable[str]) -> list[Mapping[str, str]]:
    return [{"<level>": name} for name in names]


def _neighbours(holds: Holds) -> Iterable[Mapping[str, str]]:
    """Each pair of on-chip levels between which something moves."""
    paths = [path_of(holds, operand) for operand in OPERANDS]
    outermost = next(iter(holds), None)
    pairs = dict.fromkeys(pair for path in paths for pair in pairwise(path) if outermost not in pair)
    return [{"<above>": above, "<level>": level} for above, level in pairs]


def _without_on_chip(holds: Holds) -> Iterable[str]:
    on_chip = dict(list(holds.items())[1:])
    # Where there is none at all, the count of levels says so.
    missing = [operand for operand in OPERANDS if on_chip and not path_of(on_chip, operand)]
    return [f"no on-chip level for {operand}" for operand in missing]


def _miscounted(holds: Holds) -> Iterable[str]:
    return [] if FEWEST_LEVELS <= len(holds) <= MOST_LEVELS else [f"{len(holds)} level{'s' if len(holds) != 1 else ''}"]


def _innermost(operand: str) -> Levels:
    return Levels(
        text=f"`<level>` is the innermost of the {operand}", reads_holds=True,
        cases=lambda holds: _named(path_of(holds, operand)[-1:]),
    )  # fmt: skip


EACH = Levels(text="", cases=_named)
OUTERMOST = Levels(text="`<level>` is the outermost", cases=lambda holds: _named(list(holds)[:1]))
ON_CHIP = Levels(text="`<level>` is not the outermost", cases=lambda holds: _named(list(holds)[1:]))
NEIGHBOURS = Levels(
    text="`<above>` is the next level above on chip that holds the same",
    cases=_neighbours,
    reads_holds=True,
)


def _capacity(operand: str, factors: tuple[str, str, str], reason: str) -> Rule:
    """The innermost level of an operand, in a tile, holds at least the product of three keys in bytes."""
    return Rule(
        key="memory.<level>.capacity_bytes",
        others=("memory.<level>.per", *factors),
        levels=_innermost(operand),
        holds=lambda capacity, per, one, two, three: per != "tile" or capacity is None or capacity >= one * two * three,
        expected="at least " + " x ".join("{" + factor + "}" for factor in factors),
        when="is tile",
        reason=reason,
    )


def _band(key: str, levels: Levels | None) -> tuple[Rule, Rule]:
    """An energy lies between its low and its high; `key` has a * in their place."""
    value = key.replace("*", "")
    return (
        Rule(
            key=key.replace("*", "low_"), others=(value,), levels=levels,
            holds=lambda low, value: low is None or low <= value,
            expected="at most {" + value + "}",
            reason="the band of the sources has the value in it",
        ),
        Rule(
            key=key.replace("*", "high_"), others=(value,), levels=levels,
            holds=lambda high, value: high is None or high >= value,
            expected="at least {" + value + "}",
            reason="the band of the sources has the value in it",
        ),
    )  # fmt: skip


MEMORY_RULES: tuple[Rule | HierarchyRule, ...] = (
    HierarchyRule(
        faults=_miscounted,
        reads_holds=False,
        expected=f"{FEWEST_LEVELS} to {MOST_LEVELS}",
        reason="one is off chip, and what is on chip is loaded apart from what feeds the multipliers",
    ),
    HierarchyRule(
        faults=_without_on_chip,
        reads_holds=True,
        expected="one below the outermost level for each of rows, columns and results",
        reason="nothing is multiplied straight out of off-chip memory",
    ),
    Rule(
        key="memory.<level>.holds",
        levels=OUTERMOST,
        holds=lambda held: set(held) >= set(OPERANDS),
        expected="rows, columns and results",
        reason="the outermost level is off chip, where all operands begin and all results end",
    ),
    Rule(
        key="memory.<level>.holds",
        levels=EACH,
        holds=lambda held: len(set(held)) == len(held),
        expected="each once",
        reason="a level holds an operand or does not",
    ),
    Rule(
        key="memory.<level>.per",
        levels=OUTERMOST,
        holds=lambda per: per == "node",
        expected="node",
        reason="the outermost level is off chip, one for all tiles",
    ),
    Rule(
        key="memory.<level>.per",
        others=("memory.<above>.per",),
        levels=NEIGHBOURS,
        holds=lambda per, above: per == "tile" or above == "node",
        expected="tile",
        when="is tile",
        reason="a level of one tile cannot serve one that all tiles share",
    ),
    Rule(
        key="memory.<level>.standard",
        levels=ON_CHIP,
        holds=lambda standard: standard is None,
        expected="null",
        reason="only the outermost level is DRAM",
    ),
    Rule(
        key="memory.<level>.duplex",
        levels=ON_CHIP,
        holds=lambda duplex: duplex == "half",
        expected="half",
        reason="only the outermost level reads and writes in turn; all others do both at once, each at the full width",
    ),
    Rule(
        key="memory.<level>.fill_bytes_per_cycle",
        levels=OUTERMOST,
        holds=lambda fill: fill is None,
        expected="null",
        reason="no level above fills the outermost one",
    ),
    Rule(
        key="memory.<level>.refresh_cycles",
        others=("memory.<level>.refresh_period_cycles",),
        levels=EACH,
        holds=lambda cycles, period: period is None or cycles < period,
        expected="less than {memory.<level>.refresh_period_cycles}",
        reason="the level serves in the rest of the period",
    ),
    Rule(
        key="memory.<level>.refresh_cycles",
        others=("memory.<level>.refresh_period_cycles",),
        levels=EACH,
        holds=lambda cycles, period: period is None or cycles > 0,
        expected="at least 1",
        when="is not null",
        reason="a period says how often the level refreshes, which then takes time",
    ),
    Rule(
        key="memory.<level>.refresh_period_cycles",
        others=("memory.<level>.refresh_cycles",),
        levels=EACH,
        holds=lambda period, cycles: period is not None or cycles == 0,
        expected="an integer",
        when="is not 0",
        reason="the cycles are taken out of each period",
    ),
    Rule(
        key="memory.<level>.format",
        levels=_innermost("results"),
        holds=lambda form: form == "dense",
        expected="dense",
        reason="the innermost level of the results has the partial sums, which are updated in place",
    ),
    _capacity(
        "rows",
        ("tile.rows", "tile.lanes", "datapath.value_bytes"),
        "the innermost level of the rows holds one step of each",
    ),
    _capacity(
        "columns",
        ("tile.columns", "tile.lanes", "datapath.value_bytes"),
        "the innermost level of the columns holds one step of each",
    ),
    _capacity(
        "results",
        ("tile.rows", "tile.columns", "datapath.accumulator_bytes"),
        "the innermost level of the results holds the sums of one round, one for each row and column",
    ),
    *_band("memory.<level>.energy_*pj_per_bit", EACH),
    *_band("energy.mac_*pj", None),
)
