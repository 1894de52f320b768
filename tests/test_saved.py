"""Documents are read back whole, or refused in one line that says where and why."""

from __future__ import annotations

import hashlib
import io
import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from command_line import in_process
from hypothesis import given
from hypothesis import strategies as st
from written_documents import TEXTS, report_text

from swatsim.errors import SwatsimError
from swatsim.saved import load_saved, reading, schema_bytes, schema_names
from swatsim.saved.json_schema import MismatchError, check_document, compiled
from swatsim.schema_command import DOCUMENTS
from swatsim.schemas import DRAFT, schema_text, schemas


def refusal(path):
    with pytest.raises(SwatsimError) as error:
        load_saved(path)
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def written(tmp_path):
    """Writes text, or what a change makes of a report, and gives the file."""

    def write(content, kind="report"):
        if callable(content):
            document = json.loads(TEXTS[kind]())
            content(document)
            content = json.dumps(document)
        path = tmp_path / "document.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("kind", schema_names())
def test_a_document_is_read_back(written, kind):
    text = TEXTS[kind]()
    saved = load_saved(written(text))
    assert (saved.kind, saved.hash) == (kind, hashlib.sha256(text.encode()).hexdigest())
    assert saved.document == json.loads(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "got byte 0xff at 0, expected UTF-8"),
        ("", "1:1: got text that is not JSON: Expecting value, expected JSON"),
        ('{"format": NaN}', "1:12: got NaN, expected JSON"),
        ('{"a": 1, "a": 2}', 'got key "a" twice in an object'),
        ("[" * 100_000, "got values nested too deep to read"),
        ("[]", "format: got none, expected one of swatsim-report, swatsim-comparison, swatsim-sweep, "),
        ("{}", "format: got none, expected one of swatsim-report"),
        ('{"format": "swatsim-trace"}', 'format: got "swatsim-trace", expected one of swatsim-report'),
        ('{"format": ["swatsim-report"]}', 'format: got ["swatsim-report"], expected one of'),
        ('{"format": "swatsim-report"}', "version: got null, expected 2, which swatsim 0.1.0 reads of swatsim-report"),
    ],
)
def test_what_is_no_document_is_refused(written, content, message):
    # A place in the text stands right behind the file's name.
    path = written(content)
    with pytest.raises(SwatsimError) as error:
        load_saved(path)
    assert re.sub(r"^: ?", "", str(error.value).removeprefix(str(path))).startswith(message)


@pytest.mark.parametrize("version", [1, 3, 2.0, "2", True])
def test_another_version_is_refused_and_who_made_it_is_said(written, version):
    path = written(lambda document: document.update(version=version, swatsim="9.8\n"))
    expected = f"version: got {json.dumps(version)}, expected 2, which swatsim 0.1.0 reads of swatsim-report; "
    assert refusal(path) == expected + r"it was made by swatsim 9.8\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda report: report.pop("rows"), "got no key rows, expected it"),
        (lambda report: report["rows"][3].pop("cycles"), "rows[3]: got no key cycles, expected it"),
        (lambda report: report["rows"][3].update(cycles="5"), 'rows[3].cycles: got "5", expected an integer from 0'),
        (lambda report: report["rows"][3].update(cycles=5.0), "rows[3].cycles: got 5.0, expected an integer from 0"),
        (lambda report: report["rows"][0].update(cycles=True), "rows[0].cycles: got true, expected an integer from 0"),
        (lambda report: report["rows"][0].update(cycles=-1), "rows[0].cycles: got -1, expected an integer from 0"),
        (lambda report: report["rows"][0].update(sb_read_bytes=None), "rows[0].sb_read_bytes: got null, expected an "),
        (lambda report: report["rows"][0].update(energy_pj=None), "rows[0].energy_pj: got null, expected a number"),
        (lambda report: report["rows"][0].update(later=[]), "rows[0].later: got [], expected a string or a number or "),
        (lambda report: report["rows"][0].update(energy_pj=-0.5), "rows[0].energy_pj: got -0.5, expected a number fr"),
        (lambda report: report["rows"][2].update(macs_per_dram_byte=-1), "rows[2].macs_per_dram_byte: got -1, expected "
                                                                         "a number from 0"),
        (lambda report: report["rows"][3].pop("nbin_read_weight_bytes"), 'rows[3]: got no column '
                                                                        '"nbin_read_weight_bytes", expected a number'),
        (lambda report: report["rows"][1].pop("stall_conflict_cycles"), 'rows[1]: got no column "stall_conflict_'),
        (lambda report: report["architecture"]["tile"].pop("rows"), "architecture.tile: got no key rows, expected it"),
        (lambda report: report["architecture"]["tile"].update(columns=""), 'architecture.tile.columns: got "", expecte'
                                                                           "d an integer from 1"),
        (lambda report: report["architecture"].update(memory={}), "architecture.memory: got no level, expected at lea"),
        (lambda report: report["architecture"]["memory"].update({"a b": {}}), 'rows[0]: got no column "a b_read_byte'),
        (lambda report: report.update(rows=[]), "rows: got an array of 0, expected at least 1"),
        (lambda report: report.update(rows=[report["rows"][2], *report["rows"]], details=[]), 'rows[3]: got "second" "'
                                                                                            'forward" twice, expect'),
        (lambda report: report["trace"]["provenance"].update({"a b": 1}), 'trace.provenance["a b"]: got 1, expected'),
        (lambda report: report["trace"]["provenance"].update({"a" * 999: 1}), f'trace.provenance["{"a" * 78}…]: got 1'),
        (lambda report: report["trace"].update(digest="a"), 'trace.digest: got "a", expected text that matches ^[0-9a'),
        (lambda report: report.update(area=[]), "area: got [], expected an object or null"),
        (lambda report: report["simulation"].update(passes=["x"]), 'simulation.passes[0]: got "x", expected one of "f'),
        (lambda report: report.update({"$schema": "x"}), '$schema: got "x", expected "urn:swatsim-report:2"'),
    ],
)  # fmt: skip
def test_where_a_report_is_not_as_its_schema_has_it_is_said(written, change, message):
    assert refusal(written(change)).startswith(message)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("sweep", lambda sweep: sweep["points"][0].update(totals=None), "points[0]: totals: got null and no error, "),
        ("sweep", lambda sweep: sweep["points"][0].update(architecture=None), "points[0]: architecture: got null an"),
        ("sweep", lambda sweep: sweep["points"][1].update(error=None), "points[1]: totals: got null and no error, "),
        ("sweep", lambda sweep: sweep["points"][0]["totals"][1].pop("dram_write_bytes"), 'points[0]: totals[1]: got no '
                                                                                        'column "dram_write_bytes", '),
        ("exploration", lambda made: made["objectives"].append(made["objectives"][0]), "objectives: got one twice, "),
        ("exploration", lambda made: [each["values"].clear() for each in made["tried"]], "values: got no edp, expecte"),
    ],
)  # fmt: skip
def test_a_key_that_others_demand_is_missed(written, kind, change, message):
    path = written(change, kind)
    with pytest.raises(SwatsimError) as error:
        load_saved(path)
    assert message in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("key", ["energy_pj", "later"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", f"1{'0' * 400}.0", "1.1e100"])
def test_a_number_that_nothing_could_be_calculated_with_is_refused(written, key, number):
    """Nor could it be written again, were it infinite: so it is where nothing else is known of its key, too."""
    text = report_text().replace('"energy_pj": ', f'"{key}": {number}, "energy_of_before_pj": ', 1)
    short = number if len(number) <= 80 else f"{number[:79]}…"
    before = text[: text.index(f": {number}") + 2]
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    path = written(text)
    with pytest.raises(SwatsimError) as error:
        load_saved(path)
    assert str(error.value) == f"{path}:{place}: got {short}, expected a number of at most 1e+100"


def test_the_largest_number_is_read(written):
    text = report_text().replace('"energy_pj": ', '"energy_pj": 1e100, "later": 1e-999, "before": ', 1)
    row = load_saved(written(text)).document["rows"][0]
    assert (row["energy_pj"], row["later"]) == (1e100, 0)


def test_what_later_versions_add_is_left_in_it(written):
    def change(document):
        document["later"] = {"any": []}
        document["rows"][0]["later"] = 1.5

    assert load_saved(written(change)).document["rows"][0]["later"] == 1.5


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch, written):
    assert refusal(tmp_path / "missing.json") == "cannot be read: No such file or directory"
    assert refusal(tmp_path) == "cannot be read: Is a directory"
    with pytest.raises(SwatsimError, match=r"a\\x00: cannot be read: embedded null"):
        load_saved("a\0")
    path = written(report_text())
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT_BYTES", 1000)
    size = path.stat().st_size
    assert refusal(path) == f"got {size} bytes, expected at most 1000 of a document"
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT_BYTES", size)
    assert load_saved(path).kind == "report"


@pytest.mark.parametrize(("sign", "most", "what"), [
    (b",", 2_285_714, "commas"), (b"{", 507_936, "objects and arrays"), (b"[", 507_936, "objects and arrays"),
])  # fmt: skip
def test_how_many_values_a_document_may_have(sign, most, what):
    """2,000,000 and one for 8 bytes; of objects and arrays 500,000 and one for 64."""
    reading._check_expansion(sign * most, "d.json")
    message = f"d.json: got {most + 1} {what} in {most + 1} bytes, expected at most {most}"
    with pytest.raises(SwatsimError, match=f"^{message}$"):
        reading._check_expansion(sign * (most + 1), "d.json")


def test_a_document_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    class Unread(io.FileIO):
        def read(self, *_):
            raise AssertionError("it is read")

    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(reading.LARGEST_DOCUMENT_BYTES + 1)
    monkeypatch.setattr(Path, "open", lambda path, _: Unread(path))
    assert "got 1073741825 bytes, expected at most 1073741824" in refusal(path)


# -------------------------------------------------------------------------------------------------------------- schemas


@cache
def validator(kind):
    return jsonschema.Draft202012Validator(schemas()[kind])


@pytest.mark.parametrize("kind", schema_names())
def test_the_shipped_schemas_are_those_of_the_code(kind):
    """`python -m swatsim.schemas` writes them."""
    assert schema_bytes(kind).decode() == schema_text(schemas()[kind])
    assert schemas()[kind]["$schema"] == DRAFT
    jsonschema.Draft202012Validator.check_schema(schemas()[kind])


@pytest.mark.parametrize("kind", schema_names())
def test_documents_fit_their_schemas_and_name_them(kind):
    document = json.loads(TEXTS[kind]())
    validator(kind).validate(document)
    assert document["$schema"] == schemas()[kind]["$id"]


_OTHER_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(0.5), st.text(max_size=2), st.just([]), st.just({}),
    st.just("f" * 64), st.just("forward"), st.just([{}]), st.just(["x"]),
)  # fmt: skip


@st.composite
def damaged(draw, kind):
    """A document with one value replaced, taken out or added, somewhere."""
    document = json.loads(TEXTS[kind]())
    value = document
    for _ in range(draw(st.integers(0, 5))):
        inner = value if isinstance(value, list) else list(value.values())
        inner = [each for each in inner if isinstance(each, dict | list) and each]
        if not inner:
            break
        value = draw(st.sampled_from(inner))
    keys = range(len(value)) if isinstance(value, list) else list(value)
    key = draw(st.sampled_from(keys))
    if draw(st.booleans()) and draw(st.booleans()):
        del value[key]
    elif isinstance(value, dict) and draw(st.integers(0, 4)) == 0:
        new = draw(st.sampled_from(["new", "new_read_bytes", "energy_new_pj", "stall_new_cycles", "lost_rows_cycles"]))
        value[new] = draw(_OTHER_VALUES)
    else:
        value[key] = draw(_OTHER_VALUES)
    return document


@pytest.mark.parametrize("kind", schema_names())
@given(data=st.data())
def test_a_damaged_document_is_refused_exactly_where_jsonschema_refuses_it(kind, data):
    document = data.draw(damaged(kind))
    fits = validator(kind).is_valid(document)
    try:
        check_document(document, compiled(schemas()[kind], schemas()[kind]), "file")
    except SwatsimError:
        assert not fits
    else:
        assert fits


def test_a_keyword_that_would_not_be_checked_is_refused():
    with pytest.raises(ValueError, match="maxLength: not checked, expected one of type"):
        compiled({"type": "string", "maxLength": 3}, {})
    with pytest.raises(ValueError, match="type: not checked"):
        compiled({"$ref": "#", "type": "string"}, {})


def test_a_check_refuses_the_same_after_more_names_than_it_keeps():
    check = compiled({"additionalProperties": {"type": "integer"}}, {})
    check({f"layer{number}": number for number in range(5000)})
    for name in ("layer0", "layer4999", "new"):
        with pytest.raises(MismatchError):
            check({name: "text"})
    check({"layer0": 1, "layer4999": 2})


def test_the_command_prints_the_shipped_schemas(capsys):
    assert tuple(DOCUMENTS.values()) == schema_names()
    for name, kind in DOCUMENTS.items():
        assert in_process(capsys, "schema", name) == (0, schema_bytes(kind).decode(), "")
