"""What a rule between keys is, and how it is checked; the rules themselves are in rules.py and memory_rules.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from swatsim.keys.problems import shown

Key: TypeAlias = tuple[str, ...]
# What each level of the memory holds, outermost first.
Holds: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The levels that a rule is about: each case gives the names that stand for <level>, and <above>, in its keys."""

    text: str  # as the reference says it
    cases: Callable[[Holds], Iterable[Mapping[str, str]]]
    reads_holds: bool = False  # whether it looks at more than names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A relation between keys: `holds` gets the values of `key` and of `others`, in this order."""

    key: str
    others: tuple[str, ...] = ()
    levels: Levels | None = None
    holds: Callable[..., bool]
    expected: str  # {key of another} stands for its value
    when: str = ""  # which values of the first of `others` the rule is about; "": all
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyRule:
    """A demand on the levels together; `faults` gives what is there instead, as it follows "got"."""

    faults: Callable[[Holds], Iterable[str]]
    reads_holds: bool
    expected: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A rule that the values break."""

    key: Key
    keys: tuple[Key, ...]  # all that the rule reads; `key` is the first
    got: object
    text: str  # "got X, expected Y: reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values that rules are about, and which of them are in order."""

    value: Callable[[Key], object]
    usable: Callable[[Key], bool]

    def broken(self, rule: Rule | HierarchyRule) -> Iterator[Contradiction]:
        """Each case of the rule whose values are all usable and break it."""
        if isinstance(rule, HierarchyRule):
            yield from self._broken_hierarchy(rule)
            return
        cases = [{}] if rule.levels is None else self._cases(rule.levels)
        for names in cases:
            found = self._broken_case(rule, names)
            if found is not None:
                yield found

    def _broken_case(self, rule: Rule, names: Mapping[str, str]) -> Contradiction | None:
        keys = tuple(tuple(names.get(part, part) for part in key.split(".")) for key in (rule.key, *rule.others))
        if not all(self.usable(key) for key in keys):
            return None
        values = [self.value(key) for key in keys]
        if rule.holds(*values):
            return None
        expected = rule.expected
        written = [(".".join(key), _word(value)) for key, value in zip(keys, values, strict=True)]
        for placeholder, (key, word) in zip(rule.others, written[1:], strict=True):
            expected = expected.replace("{" + placeholder + "}", f"{word} ({key})")
        if rule.when:
            expected += f" with {written[1][0]} {written[1][1]}"
        text = f"got {shown(values[0])}, expected {expected}: {rule.reason}"
        return Contradiction(key=keys[0], keys=keys, got=values[0], text=text)

    def _broken_hierarchy(self, rule: HierarchyRule) -> Iterator[Contradiction]:
        holds = self._holds()
        keys = (_MEMORY, *((*_MEMORY, name, "holds") for name in holds))
        if not isinstance(self.value(_MEMORY), dict) or (rule.reads_holds and not all(map(self.usable, keys[1:]))):
            return
        for got in rule.faults(holds):
            text = f"got {got}, expected {rule.expected}: {rule.reason}"
            yield Contradiction(key=_MEMORY, keys=keys, got=got, text=text)

    def _cases(self, levels: Levels) -> Iterable[Mapping[str, str]]:
        holds = self._holds()
        if levels.reads_holds and not all(self.usable((*_MEMORY, name, "holds")) for name in holds):
            return ()
        return levels.cases(holds)

    def _holds(self) -> dict[str, Sequence[str]]:
        levels = self.value(_MEMORY)
        holds: dict[str, Sequence[str]] = {}
        for name in levels if isinstance(levels, dict) else ():
            key = (*_MEMORY, name, "holds")
            held = self.value(key) if self.usable(key) else ()
            holds[name] = held if isinstance(held, list | tuple) else ()
        return holds


_MEMORY: Key = ("memory",)


def _word(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
