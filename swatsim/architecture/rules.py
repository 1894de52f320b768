"""Combinations of keys that make no sense, each with the reason why; those of a datapath are in its own module.

A key that another one leaves without effect is no contradiction: `--set datapath.skip=none` alone must do.
"""

from __future__ import annotations

from collections.abc import Callable

from swatsim.architecture.memory_rules import MEMORY_RULES
from swatsim.datapaths import datapaths
from swatsim.keys.rule import Contradiction, HierarchyRule, Key, Rule, Values

# The type of the pydantic errors made from this module's findings.
CONTRADICTION = "contradiction"
KIND: Key = ("datapath", "kind")

RULES: tuple[Rule | HierarchyRule, ...] = (
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
    rules: tuple[Rule | HierarchyRule, ...] = RULES
    if usable(KIND):
        # A key belongs to the family of its datapath, and so does what it goes with.
        rules = (*datapaths()[str(value(KIND))].RULES, *RULES)
    return [found for rule in rules for found in values.broken(rule)]
