"""The memory hierarchy of an architecture file: free names, the order of levels, and what is refused, where."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import yaml
from architecture_files import VALID, edited, errors, marked
from hypothesis import given
from hypothesis import strategies as st

from swatsim import dram_standards
from swatsim.architecture import OPERANDS, Memory, memory, read_architecture
from swatsim.architecture.memory_rules import MEMORY_RULES
from swatsim.errors import ArchitectureError
from swatsim.keys.rule import HierarchyRule

HEAD, LEVELS = VALID[: VALID.index("memory:")], VALID[VALID.index("memory:") :]
ROOM = "the innermost level of the {} holds {}"
BAND = "the band of the sources has the value in it"

# (edits of the valid file with an @ where the error is, the error)
BROKEN: list[tuple[list[tuple[str, str]], str]] = [
    (
        [
            (LEVELS[LEVELS.index("  sb:") :], ""),
            ("central: {holds: [columns, results]", "central: {holds: [rows, columns, results]"),
            ("  dram:", "  @dram:"),
        ],
        "memory: got 2 levels, expected 3 to 12: one is off chip, and what is on chip is loaded apart from what feeds "
        "the multipliers",
    ),
    (
        [("  dram:", "  @dram:"), ("sb: {holds: [rows]", "sb: {holds: [columns]")],
        "memory: got no on-chip level for rows, expected one below the outermost level for each of rows, columns and "
        "results: nothing is multiplied straight out of off-chip memory",
    ),
    (
        [("dram: {holds: [rows, columns, results]", "dram: {holds: @[rows, columns]")],
        "memory.dram.holds: got ['rows', 'columns'], expected rows, columns and results: "
        "the outermost level is off chip, where all operands begin and all results end",
    ),
    (
        [("sb: {holds: [rows]", "sb: {holds: @[rows, rows]")],
        "memory.sb.holds: got ['rows', 'rows'], expected each once: a level holds an operand or does not",
    ),
    (
        [("results], per: node, capacity_bytes: null", "results], per: @tile, capacity_bytes: null")],
        "memory.dram.per: got 'tile', expected node: the outermost level is off chip, one for all tiles",
    ),
    (
        [
            ("central: {holds: [columns, results], per: node", "central: {holds: [columns, results], per: tile"),
            ("nbin: {holds: [columns], per: tile", "nbin: {holds: [columns], per: @node"),
        ],
        "memory.nbin.per: got 'node', expected tile with memory.central.per tile: "
        "a level of one tile cannot serve one that all tiles share",
    ),
    (
        [("  sb: {", "  sb: {standard: @hbm2, ")],
        "memory.sb.standard: got 'hbm2', expected null: only the outermost level is DRAM",
    ),
    (
        [("  nbin: {", "  nbin: {duplex: @full, ")],
        "memory.nbin.duplex: got 'full', expected half: only the outermost level reads and writes in turn; all others "
        "do both at once, each at the full width",
    ),
    (
        [("  dram: {", "  dram: {fill_bytes_per_cycle: @32, ")],
        "memory.dram.fill_bytes_per_cycle: got 32, expected null: no level above fills the outermost one",
    ),
    (
        [("  central: {", "  central: {refresh_period_cycles: 8, refresh_cycles: @8, ")],
        "memory.central.refresh_cycles: got 8, expected less than 8 (memory.central.refresh_period_cycles): "
        "the level serves in the rest of the period",
    ),
    (
        [("  central: {", "  central: {refresh_period_cycles: 8, refresh_cycles: @0, ")],
        "memory.central.refresh_cycles: got 0, expected at least 1 with memory.central.refresh_period_cycles 8: "
        "a period says how often the level refreshes, which then takes time",
    ),
    (  # the key that the file leaves out is told at the one that it does not go with
        [("  central: {", "  central: {refresh_cycles: @8, ")],
        "memory.central.refresh_period_cycles: got null, expected an integer with memory.central.refresh_cycles 8: "
        "the cycles are taken out of each period",
    ),
    (
        [
            ("nbout: {width_bytes_per_cycle: 5", "nbout: {format: @csr, width_bytes_per_cycle: 5"),
            ("holds: [results], per: tile, capacity_bytes: 128, banks: 1, latency_cycles: 8, format: dense",
             "holds: [results], per: tile, capacity_bytes: 128, banks: 1, latency_cycles: 8"),
        ],
        "memory.nbout.format: got 'csr', expected dense: "
        "the innermost level of the results has the partial sums, which are updated in place",
    ),
    (  # the innermost level of the results is then unknown: it need not be the central one, which is not dense
        [
            ("central: {holds: [columns, results], per: node, capacity_bytes: 64, width_bytes_per_cycle: 4, "
             "energy_pj_per_bit: 0.5, banks: 1, latency_cycles: 8, format: dense",
             "central: {holds: [columns, results], per: node, capacity_bytes: 64, width_bytes_per_cycle: 4, "
             "energy_pj_per_bit: 0.5, banks: 1, latency_cycles: 8, format: csr"),
            ("holds: [results], per: tile", "holds: [@sums], per: tile"),
        ],
        "memory.nbout.holds[0]: got 'sums', expected one of rows, columns, results",
    ),
    (
        [("capacity_bytes: 4096", "capacity_bytes: @511")],
        "memory.sb.capacity_bytes: got 511, expected at least 16 (tile.rows) x 16 (tile.lanes) x 2 "
        "(datapath.value_bytes) with memory.sb.per tile: " + ROOM.format("rows", "one step of each"),
    ),
    (
        [("[columns], per: tile, capacity_bytes: 128", "[columns], per: tile, capacity_bytes: @31")],
        "memory.nbin.capacity_bytes: got 31, expected at least 1 (tile.columns) x 16 (tile.lanes) x 2 "
        "(datapath.value_bytes) with memory.nbin.per tile: " + ROOM.format("columns", "one step of each"),
    ),
    (
        [("[results], per: tile, capacity_bytes: 128", "[results], per: tile, capacity_bytes: @63")],
        "memory.nbout.capacity_bytes: got 63, expected at least 16 (tile.rows) x 1 (tile.columns) x 4 "
        "(datapath.accumulator_bytes) with memory.nbout.per tile: "
        + ROOM.format("results", "the sums of one round, one for each row and column"),
    ),
    (
        [("  sb: {", "  sb: {energy_low_pj_per_bit: @0.6, ")],
        f"memory.sb.energy_low_pj_per_bit: got 0.6, expected at most 0.5 (memory.sb.energy_pj_per_bit): {BAND}",
    ),
    (
        [("  sb: {", "  sb: {energy_high_pj_per_bit: @0.4, ")],
        f"memory.sb.energy_high_pj_per_bit: got 0.4, expected at least 0.5 (memory.sb.energy_pj_per_bit): {BAND}",
    ),
]  # fmt: skip

# The edge of each rule: these go.
WHOLE: list[list[tuple[str, str]]] = [
    [("capacity_bytes: 4096", "capacity_bytes: 512")],
    [("[columns], per: tile, capacity_bytes: 128", "[columns], per: tile, capacity_bytes: 32")],
    [("[results], per: tile, capacity_bytes: 128", "[results], per: tile, capacity_bytes: 64")],
    # What all tiles share has no tile's step to hold.
    [("[rows], per: tile, capacity_bytes: 4096", "[rows], per: node, capacity_bytes: 1")],
    [("[rows], per: tile, capacity_bytes: 4096", "[rows], per: tile, capacity_bytes: null")],
    [("  central: {", "  central: {refresh_period_cycles: 8, refresh_cycles: 7, ")],
    [("  central: {", "  central: {refresh_period_cycles: 2, refresh_cycles: 1, ")],
    [("  central: {", "  central: {refresh_period_cycles: null, refresh_cycles: 0, ")],
    [("  sb: {", "  sb: {energy_low_pj_per_bit: 0.5, energy_high_pj_per_bit: 0.5, ")],
    [("  sb: {", "  sb: {standard: null, duplex: half, fill_bytes_per_cycle: 1, ")],
    [("  dram: {", "  dram: {standard: ddr4-2400, duplex: full, fill_bytes_per_cycle: null, ")],
    # Both levels a tile's; the results still go through one that all share.
    [("central: {holds: [columns, results], per: node", "central: {holds: [columns, results], per: tile")],
]


@pytest.mark.parametrize(("edits", "expected"), BROKEN, ids=lambda value: value[:60] if isinstance(value, str) else "")
def test_broken_rules_have_their_place(edits: list[tuple[str, str]], expected: str) -> None:
    text, place = marked(edited(*edits))
    assert errors(text) == [f"arch/foo.yaml:{place}: {expected}"]


@pytest.mark.parametrize("edits", WHOLE, ids=lambda value: value[0][1][:60])
def test_edges_are_accepted(edits: list[tuple[str, str]]) -> None:
    read_architecture(edited(*edits).encode(), "foo.yaml")


def test_every_rule_of_the_memory_has_an_example() -> None:
    messages = [expected for _, expected in BROKEN]
    for rule in MEMORY_RULES:
        if isinstance(rule, HierarchyRule):
            assert any(f", expected {rule.expected}: {rule.reason}" in text for text in messages), rule
        elif "<level>" in rule.key:
            last = rule.key.removeprefix("memory.<level>")
            found = [text for text in messages if f"{last}: got " in text and text.endswith(f": {rule.reason}")]
            assert found, rule


def test_every_standard_has_its_timing() -> None:
    assert set(memory.STANDARDS) == set(dram_standards.STANDARDS)


def test_levels_are_counted() -> None:
    more = "".join(f"  level{number}: {{holds: [rows], per: node, capacity_bytes: 1, REST}}\n" for number in range(8))
    rest = "width_bytes_per_cycle: 4, energy_pj_per_bit: 0.5, banks: 1, latency_cycles: 8, format: dense"
    text = edited(("  sb:", more.replace("REST", rest) + "  sb:"))
    assert errors(text) == [
        "arch/foo.yaml:21:3: memory: got 13 levels, expected 3 to 12: "
        "one is off chip, and what is on chip is loaded apart from what feeds the multipliers"
    ]
    assert len(read_architecture(text.replace("  level7", "# level7").encode(), "foo.yaml").memory.levels) == 12


def test_one_level_is_not_told_three_times() -> None:
    (line,) = errors(HEAD + LEVELS[: LEVELS.index("  central:")])
    assert line.startswith("arch/foo.yaml:21:3: memory: got 1 level, expected 3 to 12: ")


@pytest.mark.parametrize(
    "name",
    ["SB", "1st", "_sb", "a-b", "a b", "é", "a" * 33, "compute", "conflict", "refresh", "latency", "total", "mac"],
)
def test_names_that_a_level_cannot_have(name: str) -> None:
    text, place = marked(edited(("  sb: ", f"  @{name}: ")))
    assert errors(text) == [
        f"arch/foo.yaml:{place}: memory: got the name '{name}', expected a name of at most 32 small letters, digits "
        "and _, a letter first, and none of compute, conflict, refresh, latency, total, mac"
    ]


def test_the_order_of_levels_is_the_hierarchy() -> None:
    lines = LEVELS.split("\n")[1:-1]
    dram, central, sb, nbin, nbout = lines
    memory = read_architecture(VALID.encode(), "foo.yaml").memory
    assert memory.path("columns") == ("dram", "central", "nbin")
    assert (memory.resident("columns"), memory.innermost("columns")) == ("central", "nbin")
    assert (memory.resident("rows"), memory.innermost("rows")) == ("sb", "sb")

    def swapped(*order: str) -> str:
        return HEAD + "\n".join(("memory:", *order, ""))

    # A side branch may stand anywhere; the hierarchy is another one all the same.
    other = read_architecture(swapped(dram, sb, central, nbin, nbout).encode(), "foo.yaml").memory
    assert other.levels == memory.levels
    assert other != memory
    assert other.path("columns") == memory.path("columns")
    # A tile's buffer above the memory that all tiles share.
    text, place = marked(swapped(dram, nbin, central.replace("per: ", "per: @"), sb, nbout))
    assert [line.split(": got")[0] for line in errors(text)] == [f"arch/foo.yaml:{place}: memory.central.per"]
    # The first one is off chip, whatever its name.
    assert "memory.central.holds" in "".join(errors(swapped(central, dram, sb, nbin, nbout)))


def test_a_hierarchy_of_four_levels_under_other_names() -> None:
    levels = {
        "flash": level(["results", "rows", "columns"], "node"),
        "l2": level(["rows", "columns", "results"], "node"),
        "l1": level(["rows", "columns", "results"], "tile"),
        "registers": level(["results"], "tile"),
    }
    memory = read_architecture(file_with(levels), "foo.yaml").memory
    assert memory.outermost == "flash"
    assert memory.path("rows") == ("flash", "l2", "l1")
    assert memory.path("results") == ("flash", "l2", "l1", "registers")
    assert [memory.innermost(operand) for operand in OPERANDS] == ["l1", "l1", "registers"]


def level(holds: list[str], per: str) -> dict[str, object]:
    return {
        "holds": holds, "per": per, "capacity_bytes": None, "banks": 1, "width_bytes_per_cycle": None,
        "latency_cycles": 0, "energy_pj_per_bit": 1, "format": "dense",
    }  # fmt: skip


def file_with(levels: dict[str, dict[str, object]]) -> bytes:
    return (HEAD + yaml.safe_dump({"memory": levels}, sort_keys=False)).encode()


RESERVED = {"compute", "conflict", "refresh", "latency", "total", "mac"}
NAMES = st.from_regex("[a-z][a-z0-9_]{0,31}", fullmatch=True).filter(lambda name: name not in RESERVED)
SHAPES = st.tuples(
    st.lists(st.sampled_from(OPERANDS), min_size=1, max_size=3),
    st.sampled_from(["node", "node", "tile", "tile", "tile"]),
)


@st.composite
def hierarchies(draw: st.DrawFn) -> dict[str, tuple[list[str], str]]:
    """Levels by name, about half of them a hierarchy that makes sense."""
    names = draw(st.lists(NAMES, min_size=1, max_size=14, unique=True))
    shapes = [draw(SHAPES) for _ in names]
    if draw(st.booleans()):
        shapes[0] = (list(OPERANDS), "node")
        shapes[1:] = [(sorted(set(held)), per) for held, per in shapes[1:]]
        nodes = draw(st.integers(0, len(shapes)))
        shapes[1:] = [(held, "node" if place < nodes else "tile") for place, (held, _) in enumerate(shapes[1:])]
    return dict(zip(names, shapes, strict=True))


def faults(levels: dict[str, tuple[list[str], str]]) -> Counter[str]:
    """What is wrong with a hierarchy, by the key that it is told at; written from docs/architecture.md."""
    (first, (held, per)), *on_chip = levels.items()
    found: Counter[str] = Counter()
    found["memory"] += not 3 <= len(levels) <= 12
    pairs = set()
    for operand in ("rows", "columns", "results"):
        holders = [(name, where) for name, (holds, where) in on_chip if operand in holds]
        found["memory"] += bool(on_chip) and not holders
        for (above, around), (name, where) in pairwise(holders):
            if (around, where) == ("tile", "node"):
                pairs.add((above, name))
    for _, name in pairs:
        found[f"memory.{name}.per"] += 1
    found[f"memory.{first}.holds"] += len(set(held)) < 3
    found[f"memory.{first}.per"] += per == "tile"
    for name, (holds, _) in levels.items():
        found[f"memory.{name}.holds"] += len(holds) != len(set(holds))
    return +found


@given(hierarchies())
def test_exactly_what_makes_no_sense_is_refused(levels: dict[str, tuple[list[str], str]]) -> None:
    content = file_with({name: level(holds, per) for name, (holds, per) in levels.items()})
    expected = faults(levels)
    try:
        memory = read_architecture(content, "foo.yaml").memory
    except ArchitectureError as error:
        assert Counter(line.split(": ")[1] for line in str(error).split("\n")) == expected
        return
    assert not expected
    assert isinstance(memory, Memory)
    assert list(memory.levels) == list(levels)
    for operand in OPERANDS:
        path = [name for name, (holds, _) in levels.items() if operand in holds]
        assert list(memory.path(operand)) == path
        assert (memory.resident(operand), memory.innermost(operand)) == (path[1], path[-1])
