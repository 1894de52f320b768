"""Why the passes of a layer take as long as they do: the facts of each pass, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

from swatsim.quantities import times_text
from swatsim.report.loss_words import loss_words, stall_words
from swatsim.report.records import Row
from swatsim.report.report import Report
from swatsim.report.view import WIDTH

FORMAT = "swatsim-explanation"
VERSION = 1
# An override that gains less is no advice.
LEAST_GAIN = 1.01
_INDENT = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One of the counts whose product is the work, and what is counted, such as filters."""

    what: str
    count: int

    def __str__(self) -> str:
        return f"{self.count:,} {self.what if self.count != 1 else self.what.removesuffix('s')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One contraction of a pass, or `times` that are alike; the reduction is segments x elements."""

    times: int
    groups: int
    rows: Factor  # in each group, as the columns
    columns: Factor
    segments: Factor
    elements: Factor

    @property
    def macs(self) -> int:
        """Multiply positions of all of them."""
        factors = (self.rows, self.columns, self.segments, self.elements)
        count = self.times * self.groups
        for factor in factors:
            count *= factor.count
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One tensor that a pass multiplies."""

    role: str
    nonzeros: int
    elements: int
    skipped: bool

    @property
    def density(self) -> float:
        """Share of the elements that are there."""
        return self.nonzeros / self.elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How the tiles take the vectors on one side of the machine."""

    side: str  # of the machine: rows or columns
    what: str
    vectors: int  # in each group of the convolution
    per_tile: int
    tiles: int
    at_once: int
    rounds: int

    @property
    def filled(self) -> float:
        """Mean share of the side's places that have a vector."""
        return self.vectors / (self.rounds * self.per_tile * self.tiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """Non-zeros of the fullest by those of the mean: of a tile's rows (or columns), and of the tiles.

    None where a tile has a single one, where there is a single tile, or where the other side decides as well.
    """

    side: str
    vectors: float | None
    tiles: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a pass multiplies, and how the tiles take it."""

    products: tuple[Product, ...]
    operands: tuple[Operand, ...]
    shares: tuple[Share, ...]  # empty where the contractions of the pass have different ones
    imbalance: Imbalance | None  # of what is skipped
    may_skip: bool  # whether the machine skips anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The pass on a machine with one key changed."""

    override: str
    cycles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassExplanation:
    """All that is told of one pass of one layer."""

    row: Row
    work: Work
    trials: tuple[Trial, ...]  # fewest cycles first

    @property
    def best(self) -> Trial | None:
        """The change that gains most, where it gains anything to speak of."""
        found = self.trials[:1]
        return found[0] if found and self.row.cycles >= LEAST_GAIN * found[0].cycles else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is told of some layers, and the report that it is about."""

    report: Report
    machine: Any  # swatsim.architecture.Architecture
    passes: tuple[PassExplanation, ...]

    def losses(self, found: PassExplanation) -> list[tuple[str, int, str]]:
        """(cause, cycles, what it means), largest first."""
        lost = ((cause, cycles) for cause, cycles in found.row.losses._asdict().items() if cycles)
        return [(cause, cycles, loss_words(cause, self.machine, found)) for cause, cycles in _largest_first(lost)]

    def stalls(self, found: PassExplanation) -> list[tuple[str, int, str]]:
        """(cause, cycles, what it means), largest first."""
        waited = ((cause, cycles) for cause, cycles in found.row.stalls.items() if cycles)
        return [(cause, cycles, stall_words(cause, self.machine)) for cause, cycles in _largest_first(waited)]


def _largest_first(causes: Iterator[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(causes, key=lambda cause: -cause[1])


# -------------------------------------------------------------------------------------------------------------- words


def text_lines(explanation: Explanation) -> list[str]:
    """All of it for people, no line longer than WIDTH characters."""
    name = explanation.report.architecture["name"]
    lines = list(_wrapped(f"{name}, trace {explanation.report.trace_title}", "", 0))
    for found in explanation.passes:
        lines += ["", *_pass_lines(explanation, found)]
    return lines


def _pass_lines(explanation: Explanation, found: PassExplanation) -> Iterator[str]:
    row = found.row
    title = (
        f"{row.layer}, {row.pass_name}: {row.cycles:,} cycles; with skipping off {row.dense_cycles:,}: "
        f"speedup {times_text(row.speedup)}"
    )
    yield from _wrapped(title, "", 0)
    for label, text in (
        ("  work", _work(found)),
        ("  operands", _operands(found)),
        ("  tiles", _tiles(found)),
        ("  dense", f"{row.dense_compute_cycles:,} cycles of computation with skipping off"),
        ("  ideal", _ideal(row)),
        ("  actual", _actual(row)),
    ):
        yield from _wrapped(text, label, _INDENT)
    lost = row.compute_cycles - row.ideal_cycles
    if lost:
        yield from _wrapped(f"{_share(lost, row.compute_cycles)} of the computation, to", "  lost", _INDENT)
        yield from _causes(explanation.losses(found), row.compute_cycles)
    if row.stall_cycles:
        yield from _wrapped(f"{_share(row.stall_cycles, row.cycles)} of all cycles, for", "  stalls", _INDENT)
        yield from _causes(explanation.stalls(found), row.cycles)
    yield from _wrapped(_advice(found), "  advice", _INDENT)


def _work(found: PassExplanation) -> str:
    texts = []
    for product in found.work.products:
        factors = (product.rows, product.columns)
        reduction = [product.segments, product.elements] if product.segments.count > 1 else [product.elements]
        values = product.segments.count * product.elements.count
        text = " x ".join(map(str, factors))
        text += f" x {values:,} (" + " x ".join(map(str, reduction)) + ")"
        groups = f"{product.groups:,} groups of " if product.groups > 1 else ""
        texts.append((f"{product.times} times " if product.times > 1 else "") + groups + text)
    return " + ".join(texts) + f" = {sum(product.macs for product in found.work.products):,} MACs"


def _operands(found: PassExplanation) -> str:
    texts = [
        f"{operand.role} {operand.density:.1%} non-zero" + (", its zeros are skipped" if operand.skipped else "")
        for operand in sorted(found.work.operands, key=lambda operand: not operand.skipped)
    ]
    if "none" in found.row.scheduled.split("+"):
        contractions = "" if found.row.scheduled == "none" else " in part of it"
        why = "with skipping it would take no fewer cycles" if found.work.may_skip else "this machine skips nothing"
        texts.append(f"nothing is skipped{contractions}: {why}")
    return "; ".join(texts)


def _tiles(found: PassExplanation) -> str:
    shares = (
        f"{Factor(what=share.what, count=share.vectors)} on the {share.side}, {share.at_once:,} at once: "
        f"{Factor(what='rounds', count=share.rounds)}"
        for share in found.work.shares
    )
    return "; ".join([*shares, f"mapped as {found.row.mapping}"])


def _ideal(row: Row) -> str:
    return (
        f"{row.ideal_cycles:,} cycles, {_faster(row.dense_compute_cycles, row.ideal_cycles)}: "
        f"{_share(row.unskippable_macs, row.macs)} of the MACs cannot be skipped; packed perfectly on "
        f"{row.machine.peak_macs_per_cycle:,} multipliers"
    )


def _actual(row: Row) -> str:
    return f"{row.compute_cycles:,} cycles, {_faster(row.dense_compute_cycles, row.compute_cycles)}"


def _faster(before: int, after: int) -> str:
    return f"{times_text(before / after if after else None)} the speed of dense"


def _causes(causes: Sequence[tuple[str, int, str]], whole: int) -> Iterator[str]:
    longest = max(len(cause) for cause, _, _ in causes)
    digits = max(len(f"{cycles:,}") for _, cycles, _ in causes)
    for cause, cycles, words in causes:
        label = f"    {cause:<{longest}} {cycles:>{digits},} {cycles / whole:>4.0%}  "
        yield from _wrapped(words, label, len(label))


def _advice(found: PassExplanation) -> str:
    tried = ", ".join(trial.override for trial in found.trials)
    if not tried:
        return "nothing to try: no key that could be relaxed is at fault"
    if found.best is None:
        return f"no single key of those tried gains 1%: {tried}"
    gain = times_text(found.row.cycles / found.best.cycles)
    others = f", the most of {len(found.trials)} keys tried one at a time" if len(found.trials) > 1 else ""
    return f"{found.best.override}: {found.best.cycles:,} cycles, {gain} the speed of this{others}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.0%})" if whole else f"{part:,}"


def _wrapped(text: str, label: str, indent: int) -> Iterator[str]:
    """Lines of the text beside its label."""
    lines = wrap(text, WIDTH - indent, break_on_hyphens=False)
    yield label.ljust(indent) + lines[0]
    yield from (" " * indent + line for line in lines[1:])


# --------------------------------------------------------------------------------------------------------------- JSON


def to_json(explanation: Explanation) -> str:
    """Everything that the words are made of, and the words; the same input gives the same bytes."""
    report = explanation.report
    document = {
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        "architecture": report.architecture,
        "trace": report.trace,
        "simulation": report.simulation,
        "passes": [_pass_json(explanation, found) for found in explanation.passes],
        "text": text_lines(explanation),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _pass_json(explanation: Explanation, found: PassExplanation) -> dict[str, object]:
    def causes(told: list[tuple[str, int, str]]) -> list[dict[str, object]]:
        return [{"cause": cause, "cycles": cycles, "words": words} for cause, cycles, words in told]

    return {
        "row": found.row.as_dict(),
        "work": asdict(found.work),
        "unskippable_macs": found.row.unskippable_macs,
        "losses": causes(explanation.losses(found)),
        "stalls": causes(explanation.stalls(found)),
        "trials": [asdict(trial) for trial in found.trials],
        "advice": None if found.best is None else found.best.override,
    }
