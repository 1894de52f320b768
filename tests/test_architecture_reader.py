"""Reading an architecture file: every error at once, each with its line and column, in exactly these words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from architecture_files import VALID, edited, errors
from hypothesis import given
from hypothesis import strategies as st

from swatsim.architecture import Architecture, load_architecture, read_architecture
from swatsim.architecture.yaml_reader import LARGEST_FILE_BYTES, scalar
from swatsim.datapaths import datapaths
from swatsim.errors import ArchitectureError

KINDS = ", ".join(datapaths())


def test_valid_file() -> None:
    architecture = read_architecture(VALID.encode(), "arch/foo.yaml")
    assert architecture.clock_hz == 606_000_000
    assert architecture.datapath.moves == ((1, -1), (1, 0))
    assert list(architecture.memory.levels) == ["dram", "central", "sb", "nbin", "nbout"]
    assert architecture.memory.levels["dram"].capacity_bytes is None
    assert architecture.memory.levels["sb"].energy_pj_per_bit == 0.5
    assert architecture.macs_per_cycle == 4 * 16 * 16


def test_defaults() -> None:
    architecture = read_architecture(VALID.encode(), "arch/foo.yaml")
    datapath = architecture.datapath
    assert (datapath.order, datapath.lane_order, datapath.chunk_steps, datapath.barrier_tiles) == (
        "fixed",
        None,
        None,
        1,
    )
    assert (datapath.value_bytes, datapath.accumulator_bytes) == (2, 4)
    assert (architecture.description, architecture.sources) == ("", ())


def test_frozen_and_hashable() -> None:
    architecture = read_architecture(VALID.encode(), "arch/foo.yaml")
    with pytest.raises(ValueError, match="frozen"):
        architecture.tiles = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        architecture.memory.root = {}  # type: ignore[misc]
    assert hash(architecture) == hash(read_architecture(VALID.encode(), "elsewhere.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rows: 16", "rows: 0", "5:9: tile.rows: got 0, expected an integer from 1 to 1024"),
        ("rows: 16", "rows: 1025", "5:9: tile.rows: got 1025, expected an integer from 1 to 1024"),
        ("rows: 16", "rows: 16.0", "5:9: tile.rows: got 16.0, expected an integer from 1 to 1024"),
        ("rows: 16", "rows: true", "5:9: tile.rows: got true, expected an integer from 1 to 1024"),
        ("rows: 16", "rows: '16'", "5:9: tile.rows: got '16', expected an integer from 1 to 1024"),
        ("rows: 16", "rows: [16]", "5:9: tile.rows: got [16], expected an integer from 1 to 1024"),
        ("rows: 16", "rows: {a: 1}", "5:9: tile.rows: got a mapping, expected an integer from 1 to 1024"),
        ("rows: 16", "rows:", "5:8: tile.rows: got null, expected an integer from 1 to 1024"),
        ("tiles: 4", "tiles: 65537", "3:8: tiles: got 65537, expected an integer from 1 to 65536"),
        ("606_000_000", "0", "2:11: clock_hz: got 0, expected an integer from 1 to 1000000000000"),
        ("lanes: 16", "lanes: 65", "7:10: tile.lanes: got 65, expected an integer from 1 to 64"),
        ("  kind: lanes\n", "", f"8:1: datapath.kind: missing, expected one of {KINDS}"),
        ("kind: lanes", "kind: outr", f"9:9: datapath.kind: got 'outr', expected one of {KINDS}"),
        (
            "skip: rows",
            "skip: all",
            "10:9: datapath.skip: got 'all', expected one of none, rows, columns, sparser, both",
        ),
        (
            "reach: moves",
            "reach: own_lanes",
            "11:10: datapath.reach: got 'own_lanes', expected one of none, moves, own_lane, crossbar, n_of_m",
        ),
        (
            "[1, 0]]",
            "[0, 0]]",
            "12:21: datapath.moves[1][0]: got 0, expected an integer from 1 to 64",
        ),
        (
            "[1, 0]]",
            "[1, 64]]",
            "12:24: datapath.moves[1][1]: got 64, expected an integer from -63 to 63",
        ),
        (
            "[1, 0]]",
            "[1, -64]]",
            "12:24: datapath.moves[1][1]: got -64, expected an integer from -63 to 63",
        ),
        (
            "[1, 0]]",
            "[1]]",
            "12:20: datapath.moves[1]: got [1], expected a list of 2 integers: steps ahead, lanes aside",
        ),
        (
            "[[1, -1], [1, 0]]",
            "1",
            "12:10: datapath.moves: got 1, expected a list of 0 to 32 moves [steps ahead, lanes aside]",
        ),
        ("npq", "pqn", "19:17: mapping.window_order: got 'pqn', expected one of npq, nqp"),
        (
            "step_order: rsc",
            "step_order: rs",
            "18:15: mapping.step_order: got 'rs', expected one of rsc, rcs, src, scr, crs, csr",
        ),
        (
            "energy_pj_per_bit: 70",
            "energy_pj_per_bit: .inf",
            "25:56: memory.nbout.energy_pj_per_bit: got '.inf', expected a number from 0 to 1000000",
        ),
        (
            "energy_pj_per_bit: 70",
            "energy_pj_per_bit: -1",
            "25:56: memory.nbout.energy_pj_per_bit: got -1, expected a number from 0 to 1000000",
        ),
        (
            "width_bytes_per_cycle: 5",
            "width_bytes_per_cycle: 0",
            "25:34: memory.nbout.width_bytes_per_cycle: got 0, "
            "expected an integer from 1 to 16777216, or null (unlimited)",
        ),
        (
            "name: small",
            "name: 2014",
            "1:7: name: got 2014, expected one line of text of at most 100 characters "
            "(in quotes if it looks like a number)",
        ),
        (
            "name: small",
            'name: " "',
            "1:7: name: got ' ', expected one line of text of at most 100 characters "
            "(in quotes if it looks like a number)",
        ),
        (
            "name: small",
            'name: "a\\nb"',
            r"1:7: name: got 'a\nb', expected one line of text of at most 100 characters "
            "(in quotes if it looks like a number)",
        ),
        (
            "name: small",
            "name: small\nsources: one",
            "2:10: sources: got 'one', expected a list of 0 to 100 citations",
        ),
        (
            "name: small",
            "name: small\nsources: [one, 2]",
            "2:16: sources[1]: got 2, expected text of at most 1000 characters (in quotes if it looks like a number)",
        ),
        ("tiles: 4\n", "", "1:1: tiles: missing, expected an integer from 1 to 65536"),
        ("  rows: 16\n", "", "4:1: tile.rows: missing, expected an integer from 1 to 1024"),
        (
            "tile:\n  rows: 16\n  columns: 1\n  lanes: 16\n",
            "",
            "1:1: tile: missing, expected the keys rows, columns, lanes",
        ),
        (
            "tile:\n  rows: 16\n  columns: 1\n  lanes: 16\n",
            "tile: 16\n",
            "4:7: tile: got 16, expected the keys rows, columns, lanes",
        ),
        ("  lanes: 16\n", "  lanes: 16\n  lane: 3\n", "8:3: tile.lane: unknown key, did you mean tile.lanes?"),
        ("tiles: 4\n", "tiles: 4\nskip: rows\n", "4:1: skip: unknown key, did you mean datapath.skip?"),
        ("  lanes: 16\n", "  lanes: 16\n  zq: 3\n", "8:3: tile.zq: unknown key, expected one of rows, columns, lanes"),
        (
            "  lanes: 16\n",
            "  lanes: 16\n  a b: 3\n",
            "8:3: tile.'a b': unknown key, expected one of rows, columns, lanes",
        ),
        (
            "tiles: 4\n",
            "tiles: 4\ntiles: 4\n",
            "4:1: tiles: got the key a second time, it is already on line 3",
        ),
        (
            "  lanes: 16\n",
            "  lanes: 16\n  rows: 16\n",
            "8:3: tile.rows: got the key a second time, it is already on line 5",
        ),
    ],
)
def test_one_error(old: str, new: str, expected: str) -> None:
    assert errors(edited((old, new))) == [f"arch/foo.yaml:{expected}"]


def test_every_error_at_once_sorted_by_line() -> None:
    text = edited(
        ("tiles: 4\n", "tiles: 012\n"),
        ("  columns: 1\n", "  columms: 1\n"),
        ("lanes: 16", "lanes: 0"),
        ("kind: lanes", "kind: lanes\n  kind: lanes"),
        ("[1, 0]]", "[1, 0], [99, x]]"),
        ("barrier: buffer", "barrier: chunk"),
        ("flatten: never", "flatten: *auto"),
        ("  sb: ", "  SB: "),
        ("  nbin: {holds: [columns], per: tile, ", "  nbin: {holds: [column], "),
    )
    assert errors(text) == [
        "arch/foo.yaml:3:8: tiles: got 012, expected a number without leading zeros (YAML 1.1 reads it as octal)",
        "arch/foo.yaml:4:1: tile.columns: missing, expected an integer from 1 to 1024",
        "arch/foo.yaml:6:3: tile.columms: unknown key, did you mean tile.columns?",
        "arch/foo.yaml:7:10: tile.lanes: got 0, expected an integer from 1 to 64",
        "arch/foo.yaml:10:3: datapath.kind: got the key a second time, it is already on line 9",
        "arch/foo.yaml:13:29: datapath.moves[2][0]: got 99, expected an integer from 1 to 64",
        "arch/foo.yaml:13:33: datapath.moves[2][1]: got 'x', expected an integer from -63 to 63",
        "arch/foo.yaml:15:12: datapath.barrier: got 'chunk', expected buffer or pass with datapath.reach moves: "
        "moves look ahead across all steps, which are in no chunks",
        "arch/foo.yaml:18:12: got the alias *auto, expected the value itself",
        "arch/foo.yaml:24:3: memory: got the name 'SB', expected a name of at most 32 small letters, digits and _, "
        "a letter first, and none of compute, conflict, refresh, latency, total, mac",
        "arch/foo.yaml:25:3: memory.nbin.per: missing, expected one of node, tile",
        "arch/foo.yaml:25:18: memory.nbin.holds[0]: got 'column', expected one of rows, columns, results",
    ]


def test_unknown_kind_hides_what_only_it_can_judge() -> None:
    text = edited(
        ("kind: lanes", "kind: outr"),
        ("skip: rows", "halo: 3"),
        ("moves: [[1, -1], [1, 0]]", "moves: 4"),
        ("barrier: buffer", "barrier: chunk"),
    )
    assert errors(text) == [f"arch/foo.yaml:9:9: datapath.kind: got 'outr', expected one of {KINDS}"]


def test_a_value_that_cannot_be_read_is_told_once() -> None:
    text = edited(("reach: moves", "reach: crossbar\n  chunk_steps: 032"), ("lockstep: tile", "lockstep: row"),
                  ("  moves: [[1, -1], [1, 0]]\n", ""))  # fmt: skip
    assert errors(text) == [
        "arch/foo.yaml:12:16: datapath.chunk_steps: got 032, "
        "expected a number without leading zeros (YAML 1.1 reads it as octal)"
    ]


# What YAML 1.1 and 1.2 read differently, by name.
@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n", "Yes", "NO"])
def test_surprise_booleans_are_words(word: str) -> None:
    assert scalar(word) == word
    assert errors(edited(("skip: rows", f"skip: {word}"))) == [
        f"arch/foo.yaml:10:9: datapath.skip: got '{word}', expected one of none, rows, columns, sparser, both"
    ]


@pytest.mark.parametrize("octal", ["012", "-07", "00", "0_1", "099"])
def test_surprise_leading_zero_is_refused(octal: str) -> None:
    assert errors(edited(("tiles: 4", f"tiles: {octal}"))) == [
        f"arch/foo.yaml:3:8: tiles: got {octal}, expected a number without leading zeros (YAML 1.1 reads it as octal)"
    ]


@pytest.mark.parametrize("other", ["0x10", "0b101", "0o17", "1:30", ".inf", ".nan", "1__0", "_1", "1_", "１", "20-1-1"])
def test_surprise_numbers_of_other_kinds_are_text(other: str) -> None:
    assert scalar(other) == other
    assert errors(edited(("tiles: 4", f"tiles: {other}"))) == [
        f"arch/foo.yaml:3:8: tiles: got '{other}', expected an integer from 1 to 65536"
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e3", 1000), ("6.5e1", 65), ("606E+2", 60600), ("1000e-2", 10),
        ("1_000", 1000), ("+5", 5), ("0", 0), ("-0", 0),
    ],
)  # fmt: skip
def test_whole_numbers(written: str, value: int) -> None:
    read = scalar(written)
    assert read == value
    assert type(read) is int


@pytest.mark.parametrize(("written", "value"), [("1e-1", 0.1), ("16.0", 16.0), (".5", 0.5), ("1.", 1.0)])
def test_fractions(written: str, value: float) -> None:
    read = scalar(written)
    assert read == value
    assert type(read) is float


@pytest.mark.parametrize("written", ["1e31", "1e999999999", "1e-31"])
def test_exponent_is_bounded(written: str) -> None:
    assert errors(edited(("tiles: 4", f"tiles: {written}"))) == [
        f"arch/foo.yaml:3:8: tiles: got {written}, expected an exponent from -30 to 30"
    ]


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_null(written: str) -> None:
    assert scalar(written) is None


@pytest.mark.parametrize("digits", [41, 5000])
def test_number_of_many_digits(digits: int) -> None:
    (line,) = errors(edited(("tiles: 4", f"tiles: {'9' * digits}")))
    assert re.fullmatch(r"arch/foo\.yaml:3:8: tiles: got '9{40,60}[…'], expected an integer from 1 to 65536", line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1:1: got an empty file, expected the keys of an architecture"),
        ("# only a comment\n", ":1:1: got an empty file, expected the keys of an architecture"),
        ("null\n", ":1:1: got null, expected the keys of an architecture"),
        ("- 1\n", ":1:1: got [1], expected the keys of an architecture"),
        ("dadiannao\n", ":1:1: got 'dadiannao', expected the keys of an architecture"),
        (VALID + "---\n" + VALID, ":26:1: got a second document, expected one"),
        (b"name: \xe9", ":1:7: got byte 0xe9, expected UTF-8"),
        (b"\xef\xbb\xbfname: \xe9", ":1:7: got byte 0xe9, expected UTF-8"),  # behind a byte order mark
        (b"\xef\xbb\xbf\xef", ":1:1: got byte 0xef, expected UTF-8"),
        ("name: x".encode("utf-16"), ":1:1: got byte 0xff, expected UTF-8"),
        ("a: \x07", r":1:4: got the character '\x07', expected printable text"),
        (b"\xef\xbb\xbfa: \x07", r":1:4: got the character '\x07', expected printable text"),
        ("a: [1\nb: 2\n", ":2:2: not YAML: expected ',' or ']', but got ':' while parsing a flow sequence"),
        (
            "a:\tb: c",
            r":1:3: not YAML: found character '\t' that cannot start any token while scanning for the next token",
        ),
        ("a: 'x", ":1:6: not YAML: found unexpected end of stream while scanning a quoted scalar"),
        ('a: "\\UFFFFFFFF"', ":1:1: not YAML: after this comes an escape or a version out of range"),
        ('a: "\\uD800"', ":1:4: got an escape that is half a character, expected whole ones"),
        ('"\\uD800": 1', ":1:1: got an escape that is half a character, expected whole ones"),
        ("[" * 100_000, ":1:18: got a value nested 17 deep, expected at most 16"),
        ("{a: " * 100_000, ":1:69: got a value nested 17 deep, expected at most 16"),
        ("[" + "1," * 20_000, ":1:20000: got one more value, expected at most 10000"),
        ("? [1]\n: 2", ":1:3: got a list, mapping or alias as a key, expected a name"),
        ("<<: {a: 1}", ":1:1: got the merge key <<, expected each key written out"),
        (b"#" * (LARGEST_FILE_BYTES + 1), ": got 1000001 bytes, expected at most 1000000"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_not_an_architecture_file(text: str | bytes, expected: str) -> None:
    assert errors(text) == [f"arch/foo.yaml{expected}"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("&a 4", "got the anchor &a, expected the value alone"),
        ("!!int 4", "got the tag tag:yaml.org,2002:int, expected the value alone"),
        ("!python/object:os.system 4", "got the tag !python/object:os.system, expected the value alone"),
        ("*a", "got the alias *a, expected the value itself"),
    ],
)
def test_values_stand_alone(value: str, expected: str) -> None:
    assert errors(edited(("tiles: 4", f"tiles: {value}"))) == [f"arch/foo.yaml:3:8: {expected}"]


def test_many_errors_are_cut() -> None:
    lines = errors("".join(f"key{index}: 1\n" for index in range(500)))
    assert len(lines) == 201
    assert lines[-1] == "and 307 more errors"  # 500 unknown and 7 missing keys


def test_byte_order_mark_and_windows_lines_are_accepted() -> None:
    content = b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode()
    assert read_architecture(content, "foo.yaml") == read_architecture(VALID.encode(), "foo.yaml")


def test_byte_order_mark_is_no_column() -> None:
    content = b"\xef\xbb\xbf" + edited(("name: small", "name: 1")).encode()
    (line,) = errors(content)
    assert line.startswith("arch/foo.yaml:1:7: name: got 1, ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    with pytest.raises(ArchitectureError) as caught:
        load_architecture(missing)
    assert str(caught.value) == f"{missing}: cannot be read: No such file or directory"
    with pytest.raises(ArchitectureError) as caught:
        load_architecture(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"
    with pytest.raises(ArchitectureError) as caught:
        load_architecture("a\0b.yaml")
    assert str(caught.value) == r"a\x00b.yaml: cannot be read: embedded null byte"


def test_errors_name_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd\nname.yaml").write_text(edited(("tiles: 4", "tiles: 0")))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchitectureError) as caught:
        load_architecture("./odd\nname.yaml")
    assert str(caught.value) == r"./odd\nname.yaml:3:8: tiles: got 0, expected an integer from 1 to 65536"


SCALARS = ["0", "1", "-1", "012", "1e9", "1e99", "yes", "null", "~", "[]", "{}", "[[1, 0]]", "''", "*x", "&x 1",
           "!!int 1", "<<", "crossbar", "bitmap", "none", "'", '"', "}", "]", ": :", "#", "\t", "\x07", "\ud7ff",
           "é"]  # fmt: skip
WORDS = sorted(set(re.findall(r"[\w.]+|[^\w\s]|\n *", VALID)))


@st.composite
def edits(draw: st.DrawFn) -> str:
    """A valid file, a few of its words and signs removed, doubled or replaced by others."""
    parts = re.findall(r"[\w.]+|[^\w\s]|\s+", VALID)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(parts) - 1))
        action = draw(st.sampled_from(["remove", "double", "word", "scalar", "text"]))
        text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
        replacement = {"remove": st.just(""), "double": st.just(parts[index] * 2), "word": st.sampled_from(WORDS),
                       "scalar": st.sampled_from(SCALARS), "text": text}[action]  # fmt: skip
        parts[index] = draw(replacement)
    return "".join(parts)


def lines_of(content: bytes) -> Iterator[str]:
    """The lines of the error that reading gives, if it does not succeed."""
    try:
        assert isinstance(read_architecture(content, "foo.yaml"), Architecture)
    except ArchitectureError as error:
        yield from str(error).split("\n")


@given(edits())
def test_random_edits_give_lines_with_places(text: str) -> None:
    content = text.encode()
    last = (0, 0)
    for line in lines_of(content):
        match = re.fullmatch(r"foo\.yaml:(\d+):(\d+): .*\S", line)
        assert match, line
        assert line.isprintable(), line
        place = (int(match[1]), int(match[2]))
        assert place >= last
        assert place[0] <= len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text))
        last = place


@given(st.binary(max_size=60))
def test_random_bytes_give_one_line(content: bytes) -> None:
    assert all(re.fullmatch(r"foo\.yaml:\d+:\d+: .*\S", line) for line in lines_of(content))


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029"])
def test_line_breaks_of_yaml_1_1_alone(sign):
    """By YAML 1.2 the second line is a comment up to its end."""
    (line,) = lines_of(f"name: a\n# comment{sign}tile: 4\n".encode())
    assert line == (
        f"foo.yaml:2:10: got the character U+{ord(sign):04X}, which some readers take for a line break, expected none, "
        f'or "\\u{ord(sign):04x}" in a string'
    )
