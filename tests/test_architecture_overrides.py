"""Values given beside the file: `--set tile.rows=4` and `overrides={"tile.rows": 4}`."""

from __future__ import annotations

import re

import numpy as np
import pytest
from architecture_files import VALID, edited, errors
from hypothesis import given
from hypothesis import strategies as st

from swatsim.architecture import load_architecture, parse_override, read_architecture
from swatsim.errors import ArchitectureError


def read(overrides: dict[str, object], text: str = VALID) -> object:
    return read_architecture(text.encode(), "arch/foo.yaml", overrides)


def test_what_is_put_over_a_file_is_not_there_when_it_is_read_again():
    before = read({})
    assert read({"tile.rows": 3, "memory.dram.width_bytes_per_cycle": 5}) != before
    with pytest.raises(ArchitectureError):
        read({"tile.rows": 0, "tile.unknown": 1})
    assert read({}) == before


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("tile.rows=4", "tile.rows", 4),
        ("clock_hz=606e6", "clock_hz", 606_000_000),
        ("clock_hz=606_000_000", "clock_hz", 606_000_000),
        ("memory.dram.energy_pj_per_bit=6.25", "memory.dram.energy_pj_per_bit", 6.25),
        ("memory.dram.capacity_bytes=null", "memory.dram.capacity_bytes", None),
        ("datapath.skip=none", "datapath.skip", "none"),
        ("datapath.skip=no", "datapath.skip", "no"),
        *((f"name={word}", "name", True) for word in ("true", "True", "TRUE")),
        *((f"name={word}", "name", False) for word in ("false", "False", "FALSE")),
        ("datapath.moves=[[1, 0], [2,-1]]", "datapath.moves", [[1, 0], [2, -1]]),
        ("datapath.moves=[]", "datapath.moves", []),
        ("name='a: b'", "name", "a: b"),
        ("name=a=b", "name", "a=b"),
        (" tile.rows = 4 ", "tile.rows", 4),
    ],
)
def test_parse_override(text: str, key: str, value: object) -> None:
    assert parse_override(text) == (key, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tile.rows", "--set tile.rows: expected KEY=VALUE, as in tile.rows=4"),
        ("=4", "--set =4: expected KEY=VALUE, as in tile.rows=4"),
        ("tile.rows=", "--set tile.rows=: got no value, expected one (null for none)"),
        (
            "name=a: b",
            "--set name=a: b: got a mapping, expected a value or a list (quote text that has a colon)",
        ),
        ("tiles=012", "--set tiles=012: got 012, expected a number without leading zeros (YAML 1.1 reads it as octal)"),
        (
            "tiles=[012, *a]",
            "--set tiles=[012, *a]: [0]: got 012, expected a number without leading zeros (YAML 1.1 reads it as octal)",
        ),
        ("tiles=*a", "--set tiles=*a: got the alias *a, expected the value itself"),
        ("tiles=#4", "--set tiles=#4: got no value, expected one (null for none)"),
        (
            "datapath.moves=[[1, 0]",
            "--set datapath.moves=[[1, 0]: not YAML: expected ',' or ']', but got '<stream end>' "
            "while parsing a flow sequence",
        ),
        ("name=\x07", r"--set name=\x07: got the character '\x07', expected printable text"),
    ],
)
def test_text_that_is_no_override(text: str, expected: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        parse_override(text)
    assert str(caught.value) == expected


@given(st.text(max_size=30))
def test_any_text_is_an_override_or_one_line(text: str) -> None:
    try:
        key, _ = parse_override(text)
    except ArchitectureError as error:
        assert re.fullmatch(r"--set .+", str(error))
        assert str(error).isprintable()
    else:
        assert key


def test_values_are_replaced() -> None:
    overrides = {
        "tiles": 1,
        "tile.rows": np.int64(4),
        "memory.dram.width_bytes_per_cycle": None,
        "memory.sb.energy_pj_per_bit": np.float64(0.25),
        "datapath.moves": ((2, 1), [1, np.int32(0)]),
        "mapping.tile_split": "best",
    }
    architecture = read_architecture(VALID.encode(), "arch/foo.yaml", overrides)
    assert (architecture.tiles, architecture.tile.rows, architecture.tile.columns) == (1, 4, 1)
    assert architecture.memory.levels["dram"].width_bytes_per_cycle is None
    assert architecture.memory.levels["sb"].energy_pj_per_bit == 0.25
    assert architecture.datapath.moves == ((2, 1), (1, 0))
    assert architecture.mapping.tile_split == "best"


def test_an_override_mends_the_file() -> None:
    broken = edited(("tiles: 4", "tiles: 0"), ("  rows: 16\n", ""))
    assert len(errors(broken)) == 2
    assert read({"tiles": 4, "tile.rows": 16}, broken) == read({})


def test_a_whole_mapping_is_replaced() -> None:
    architecture = read_architecture(VALID.encode(), "foo.yaml", {"tile": {"rows": 2, "columns": 3, "lanes": 16}})
    assert (architecture.tile.rows, architecture.tile.columns) == (2, 3)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"tile.rowz": 4}, "--set tile.rowz=4: tile.rowz: unknown key, did you mean tile.rows?"),
        ({"rows": 4}, "--set rows=4: rows: unknown key, did you mean tile.rows?"),
        ({"sb.banks": 4}, "--set sb.banks=4: sb: unknown key, did you mean memory.sb?"),
        (
            {"capacity_bytes": 4},
            "--set capacity_bytes=4: capacity_bytes: unknown key, did you mean memory.dram.capacity_bytes or "
            "memory.central.capacity_bytes or memory.sb.capacity_bytes or memory.nbin.capacity_bytes or "
            "memory.nbout.capacity_bytes?",
        ),
        (
            {"memory.l2.banks": 4},
            "--set memory.l2.banks=4: memory.l2: the file has none of this name, "
            "expected one of dram, central, sb, nbin, nbout",
        ),
        (
            {"memory.sbb.banks": 4},
            "--set memory.sbb.banks=4: memory.sbb: the file has none of this name, did you mean memory.sb?",
        ),
        (
            {"memory.sb.bank": 4},
            "--set memory.sb.bank=4: memory.sb.bank: unknown key, did you mean memory.sb.banks?",
        ),
        (
            {"memory.sb.capacity_bytes": 511},
            "--set memory.sb.capacity_bytes=511: memory.sb.capacity_bytes: got 511, expected at least "
            "16 (tile.rows) x 16 (tile.lanes) x 2 (datapath.value_bytes) with memory.sb.per tile: "
            "the innermost level of the rows holds one step of each",
        ),
        (
            {"memory": 4},
            "--set memory=4: memory: got 4, expected a mapping of 3 to 12 levels, outermost first",
        ),
        (
            {"memory.dram": 4},
            "--set memory.dram=4: memory.dram: got 4, expected the keys holds, per, capacity_bytes, banks, "
            "bank_cycles, width_bytes_per_cycle, fill_bytes_per_cycle, latency_cycles, refresh_period_cycles, "
            "refresh_cycles, energy_pj_per_bit, energy_low_pj_per_bit, energy_high_pj_per_bit, energy_node_nm, "
            "energy_source, area_mm2_per_mib, area_source, format, standard, duplex",
        ),
        ({"tile.rows": 0}, "--set tile.rows=0: tile.rows: got 0, expected an integer from 1 to 1024"),
        ({"tile.rows": "4"}, "--set tile.rows=4: tile.rows: got '4', expected an integer from 1 to 1024"),
        ({"tile.rows": 4.0}, "--set tile.rows=4.0: tile.rows: got 4.0, expected an integer from 1 to 1024"),
        ({"tile.rows": True}, "--set tile.rows=true: tile.rows: got true, expected an integer from 1 to 1024"),
        ({"tile": 3}, "--set tile=3: tile: got 3, expected the keys rows, columns, lanes"),
        (
            {"tile": {"rows": 3, "columns": 1}},
            "--set tile=a mapping: tile.lanes: missing, expected an integer from 1 to 64",
        ),
        (
            {"tile.rows.low": 3},
            "--set tile.rows.low=3: tile.rows.low: tile.rows is not a mapping, expected a key such as tile.rows",
        ),
        (
            {"datapath.moves.0": 3},
            "--set datapath.moves.0=3: datapath.moves.0: datapath.moves is not a mapping, "
            "expected a key such as tile.rows",
        ),
        (
            {"datapath.moves": [[1, 0], [0, 1]]},
            "--set datapath.moves=[[1, 0], [0, 1]]: datapath.moves[1][0]: got 0, expected an integer from 1 to 64",
        ),
        (
            {"memory.sb.energy_pj_per_bit": float("nan")},
            "--set memory.sb.energy_pj_per_bit=nan: memory.sb.energy_pj_per_bit: got nan, "
            "expected a number from 0 to 1000000",
        ),
        ({"\n": 1}, r"--set \n=1: unknown key, expected one such as tile.rows"),
        ({"\ud800": 1}, r"--set \ud800=1: unknown key, expected one such as tile.rows"),
        ({"tile..rows": 1}, "--set tile..rows=1: tile.'': unknown key, expected one of rows, columns, lanes"),
        (
            {"tiles": 10**400},
            "--set tiles=an integer of many digits: tiles: got an integer of many digits, "
            "expected an integer from 1 to 65536",
        ),
    ],
    ids=str,
)
def test_errors_name_the_override(overrides: dict[str, object], expected: str) -> None:
    assert errors(VALID, overrides) == [expected]


def test_errors_of_file_and_overrides_together() -> None:
    broken = edited(("tiles: 4", "tiles: 0"))
    assert errors(broken, {"tile.rows": 0}) == [
        "arch/foo.yaml:3:8: tiles: got 0, expected an integer from 1 to 65536",
        "--set tile.rows=0: tile.rows: got 0, expected an integer from 1 to 1024",
    ]


def test_an_override_of_a_missing_mapping_does_not_stand_for_the_rest() -> None:
    broken = edited(("tile:\n  rows: 16\n  columns: 1\n  lanes: 16\n", ""))
    assert errors(broken, {"tile.rows": 16, "tile.columns": 1}) == [
        "arch/foo.yaml:1:1: tile.lanes: missing, expected an integer from 1 to 64"
    ]


def test_an_unknown_key_of_the_file_is_not_the_override_s() -> None:
    (line,) = errors(edited(("tiles: 4\n", "tiles: 4\nbogus: {a: 1}\n")), {"bogus.b": 2})
    assert line.startswith("arch/foo.yaml:4:1: bogus: unknown key, ")


def test_the_overrides_given_are_left_alone() -> None:
    moves = [[1, 0]]
    overrides = {"datapath.moves": moves, "tile": {"rows": 2, "columns": 3, "lanes": 16}, "tile.rows": 5}
    read(overrides)
    assert overrides == {
        "datapath.moves": [[1, 0]],
        "tile": {"rows": 2, "columns": 3, "lanes": 16},
        "tile.rows": 5,
    }


def test_overrides_of_a_shipped_file() -> None:
    assert load_architecture("dadiannao", overrides={"tiles": 1}).tiles == 1


def test_names_are_free_in_the_memory_alone():
    """A mapping of the same name elsewhere is an unknown key, whatever is put into it."""
    given = {"tile.memory": {"a": 1}, "tile.memory.b.c": 2}
    assert [line.split(": ", 2)[1:] for line in errors(VALID, given)] == [
        ["tile.memory", "unknown key, did you mean memory?"]
    ]
