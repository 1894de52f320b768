"""Pages hold the numbers of their documents, ask for nothing from elsewhere, and take names for text."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import operator
import random
import re
from collections import defaultdict
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from command_line import in_process
from saved_documents import DOCUMENTS, EDGES, HOSTILE, hostile, run_document, small_report, sweep_document
from written_documents import TEXTS

from swatsim.charts.colors import COLORS
from swatsim.errors import SwatsimError
from swatsim.pages.markup import element, percent
from swatsim.pages.page import to_page
from swatsim.pages.words import seconds_text
from swatsim.plain_text import printable
from swatsim.report.document import to_html, to_json
from swatsim.saved import load_saved

VOID = {"meta", "input"}
DIGEST = "ab" * 32


class Page(HTMLParser):
    """Elements as (name, attributes, what they stand in), and all text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.text, self.scripts = [], [], [], {}
        self.feed(page.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(name for name, _ in self.open)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        inside = self.open[-1][0] if self.open else ""
        if inside in ("script", "style"):
            self.scripts[inside] = data
        else:
            self.text.append(data)

    def all(self, name):
        return [attributes for tag, attributes, _ in self.elements if tag == name]


@pytest.fixture(scope="module", params=list(DOCUMENTS))
def document(request):
    return DOCUMENTS[request.param]()


@pytest.fixture(scope="module")
def page(document):
    return Page(to_page(document, DIGEST))


def test_every_element_is_closed_and_has_an_id_of_its_own(page):
    names = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_links_labels_and_descriptions_lead_somewhere(page):
    names = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
    used = [attributes["href"][1:] for attributes in page.all("a")]
    for _, attributes, _ in page.elements:
        used += attributes.get("aria-labelledby", "").split() + attributes.get("aria-describedby", "").split()
    assert set(used) <= names
    sections = [attributes["id"] for attributes in page.all("section")]
    assert len(used) > 2 * len(sections)  # links and headings, and what is within
    assert sections == [attributes["href"][1:] for attributes in page.all("a")]
    assert {"summary", "rows", "provenance"} <= set(sections)
    assert {"speedup", "pareto"} & set(sections)


def test_each_drawing_is_an_image_with_a_name_or_hidden(page):
    # Those within another, or within a hidden part, are part of it.
    outer = [
        attributes for tag, attributes, within in page.elements if tag == "svg" and "svg" not in within
    ]  # fmt: skip
    images = [attributes for attributes in outer if attributes.get("role") == "img"]
    charts = {found["id"] for tag, found, _ in page.elements if tag == "section"} - {"summary", "rows", "provenance"}
    assert len(images) >= len(charts) >= 1
    assert all(attributes["aria-labelledby"] and attributes["aria-describedby"] for attributes in images)
    hidden = {"names", "swatch", "plot"}
    rest = [attributes for attributes in outer if attributes.get("role") != "img"]
    assert {attributes["class"] for attributes in rest} <= hidden


def test_a_page_asks_for_nothing_from_elsewhere(page, document):
    attributes = [name for _, found, _ in page.elements for name in found]
    assert not {"src", "srcset", "action", "data", "style", "xlink:href"} & set(attributes)
    assert not [name for name in attributes if name.startswith("on")]
    assert all(found["href"].startswith("#") for _, found, _ in page.elements if "href" in found)
    assert not {tag for tag, _, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base", "form"}
    code = page.scripts["script"] + page.scripts["style"]
    for request in ("http:", "https:", "url(", "@import", "import(", "fetch(", "XMLHttp", "Socket", "Beacon"):
        assert request not in code


def test_only_the_pages_own_script_and_style_are_allowed(page):
    (policy,) = [found["content"] for found in page.all("meta") if "http-equiv" in found]
    hashes = {
        kind: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for kind, text in page.scripts.items()
    }
    assert policy == (
        f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']}; base-uri 'none'"
    )  # fmt: skip


def test_the_same_document_gives_the_same_bytes(document):
    again = json.loads(json.dumps(document))
    assert to_page(again, DIGEST) == to_page(document, DIGEST)


def test_hostile_names_stay_text(document):
    def shape(made):
        return [(tag, sorted(found), within) for tag, found, within in Page(made).elements if tag != "option"]

    tame, wild = (to_page(hostile(document, name), DIGEST) for name in ("tame", HOSTILE))
    assert shape(tame) == shape(wild)
    assert b"<img" not in wild
    assert b"\x00" not in wild
    assert wild.count(b"</script>") == 1
    assert printable(HOSTILE) in "".join(Page(wild).text)
    assert Page(wild).scripts == Page(tame).scripts


def test_names_are_never_markup():
    script = files("swatsim.pages").joinpath("page_assets", "report.js").read_text(encoding="utf-8")
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
        assert name not in script


def test_every_color_is_there_for_light_and_dark(page):
    style = page.scripts["style"]
    for name, (light, dark) in COLORS.items():
        assert style.count(f"--{name}:{light};") >= 1
        assert style.count(f"--{name}:{dark};") >= 1
        assert f".{name}{{fill:var(--{name})" in style
    used = {found["class"] for found in page.all("rect") if found.get("class") not in ("line", "cell", None)}
    assert used <= set(COLORS)


def rows_of(page):
    """The table of a page, a list of texts for each row."""
    inside = re.compile(r"<t[hd][^>]*>([^<]*)</t[hd]>")
    body = re.search(r"<tbody>(.*)</tbody>", page.decode(), re.DOTALL)[1]
    return [inside.findall(line) for line in body.split("<tr")[1:]]


def test_the_table_has_every_row_totals_first():
    document = run_document()
    rows = rows_of(to_page(document, DIGEST))
    totals = [row for row in document["rows"] if row["layer"] == "total"]
    assert len(rows) == len(document["rows"])
    for shown, row in zip(rows, [*totals, *(row for row in document["rows"] if row not in totals)], strict=True):
        speedup = "–" if row["speedup"] is None else f"{row['speedup']:.2f}x"
        assert shown[:7] == [
            row["layer"], row["pass"], *(f"{row[key]:,}" for key in ("cycles", "stall_cycles", "dense_cycles",
                                                                      "ideal_cycles")), speedup,
        ]  # fmt: skip


def test_a_page_says_what_was_found():
    document = run_document()
    text = " ".join(Page(to_page(document, DIGEST)).text)
    step = document["rows"][-1]
    assert f"DaDianNao with zero skipping takes {step['cycles']:,} cycles for one training step of small" in text
    assert f"would take {step['dense_cycles']:,} without skipping" in text
    assert f"{step['speedup']:.2f}x" in text
    assert "digest None" not in text
    document["trace"]["digest"] = "cd" * 32
    assert "small, digest cdcd" in " ".join(Page(to_page(document, DIGEST)).text)
    for value in (DIGEST, document["swatsim"], "swatsim-report 2"):
        assert value in text
    assert "The document does not say by which command it was made" in text
    document["command"] = ["swatsim", "run", "--layers", "layer1.*"]
    assert "swatsim run --layers 'layer1.*'" in " ".join(Page(to_page(document, DIGEST)).text)


def test_a_synthetic_trace_is_said_to_be_so():
    document = run_document()
    document["trace"]["provenance"] = {"source": "synthetic"}
    assert "nobody trained what it holds" in " ".join(Page(to_page(document, DIGEST)).text)


def test_a_run_of_one_pass_has_a_page():
    document = json.loads(to_json(small_report(layers="second", passes=("forward",))))
    text = " ".join(Page(to_page(document, DIGEST)).text)
    assert "for the passes that were simulated of small" in text
    assert "Bytes kept from the forward" not in text


@pytest.mark.parametrize("name", list(EDGES))
def test_edges_have_pages(name):
    page = Page(to_page(EDGES[name](), DIGEST))
    assert len([found for found in page.all("svg") if found.get("role") == "img"]) >= 4


def test_failed_points_are_listed():
    text = " ".join(Page(to_page(sweep_document(), DIGEST)).text)
    assert "tensordash, rows=4: second: forward does not fit" in text
    document = sweep_document()
    for point in document["points"]:
        point |= {"totals": [], "error": "no"}
    assert "6 failed" in " ".join(Page(to_page(document, DIGEST)).text)
    document["points"] *= 20
    assert "and 20 more, which the table has" in " ".join(Page(to_page(document, DIGEST)).text)


def test_a_sweep_names_each_trace_once_and_errors_where_there_are_any():
    document = sweep_document()
    document["points"][3]["parameters"]["trace"] = "folder/small"
    page = Page(to_page(document, DIGEST))
    digest = document["points"][0]["trace"]["digest"]
    named = [text for text in page.text if text.endswith(f"digest {digest}")]
    assert named == [f"small, digest {digest}", f"small (folder/small), digest {digest}"]
    assert "error" in page.text
    document["points"] = [point for point in document["points"] if point["error"] is None]
    assert "error" not in Page(to_page(document, DIGEST)).text


def test_a_page_of_a_report_is_that_of_its_document():
    report = small_report()
    digest = hashlib.sha256(to_json(report).encode()).hexdigest()
    assert to_html(report) == to_page(json.loads(to_json(report)), digest)


# Of which some are of no type that is expected somewhere, and some of none that could be drawn.
_DAMAGES = (None, "", -1, [], {}, 1e308, 1e100, 10**19, 5e-324, "text\x07\n")


def places(value, path=()):
    """Where each value of a document stands."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@cache
def places_by_kind(kind):
    """Those of a document; rows have many alike, which are drawn no oftener than others."""
    alike = defaultdict(list)
    for path in places(json.loads(TEXTS[kind]())):
        alike[tuple("" if isinstance(key, int) else key for key in path)].append(path)
    return list(alike.values())


def damaged(kind, draw):
    """A document with one value taken out or replaced."""
    document = json.loads(TEXTS[kind]())
    *above, last = draw.choice(draw.choice(places_by_kind(kind)))
    place = functools.reduce(operator.getitem, above, document)
    if draw.random() < 0.25:
        del place[last]
    else:
        place[last] = draw.choice(_DAMAGES)
    return document


@pytest.mark.parametrize("kind", list(TEXTS))
def test_a_damaged_document_has_a_page_or_is_refused_in_one_line(tmp_path, kind):
    draw, refused, path = random.Random(kind), 0, tmp_path / "damaged.json"
    for _ in range(250):
        path.write_text(json.dumps(damaged(kind, draw)), encoding="utf-8")
        try:
            saved = load_saved(path)
        except SwatsimError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 1000
            refused += 1
            continue
        assert to_page(saved.document, saved.hash)
    assert 20 < refused < 230


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("report", lambda report: report["rows"][0].update(ridge_macs_per_dram_byte=5e-324)),
        ("report", lambda report: [row.update(macs_per_dram_byte=5e-324) for row in report["rows"]]),
        ("report", lambda report: [row.update(multiplications=0) for row in report["rows"]]),
        ("report", lambda report: [row.update(energy_pj=5e-324) for row in report["rows"]]),
        ("report", lambda report: [row.update(energy_pj=1e100, cycles=10**19) for row in report["rows"]]),
        ("report", lambda report: [row.update(compute_cycles=0, ideal_cycles=9) for row in report["rows"]]),
        ("report", lambda report: report["rows"][0].update({"stall_": "later", "stall_later": "later"})),
        ("report", lambda report: report["footprint"].update(layers=[])),
        ("sweep", lambda sweep: sweep["points"][0]["parameters"].update(trace=[{}])),
        ("sweep", lambda sweep: sweep["points"].pop(0) and sweep["points"][0].update(architecture=None)),
        ("sweep", lambda sweep: [point["parameters"].update({"tile.rows": 1e100 * number})
                                 for number, point in enumerate(sweep["points"])]),
        ("exploration", lambda made: [each["parameters"].update(arch="") for each in made["tried"]]),
    ],
)  # fmt: skip
def test_what_is_at_the_edge_of_a_schema_has_a_page(tmp_path, kind, change):
    document, path = json.loads(TEXTS[kind]()), tmp_path / "edge.json"
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    saved = load_saved(path)
    assert to_page(saved.document, saved.hash)


def test_markup():
    assert element("p", "<b>", title='a"b\nc\td\x00', class_="x", data_tip=None) == (
        '<p title="a&quot;b&#10;c&#9;d\\x00" class="x"><b></p>'
    )
    assert [percent(share) for share in (0.5, 0.12344, 1.0, 0.0)] == ["50%", "12.34%", "100%", "0%"]
    assert [seconds_text(value) for value in (2.0, 0.0079081, 4.1e-5, 5e-9, 0.0)] == [
        "2 s", "7.908 ms", "41 µs", "5 ns", "0 ns",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(to_json(small_report()))
    return tmp_path


def test_report_command(folder, capsys):
    data = (folder / "run.json").read_bytes()
    expected = to_page(json.loads(data), hashlib.sha256(data).hexdigest())
    assert in_process(capsys, "report", "out.html", "run.json") == (0, "", "")
    assert (folder / "out.html").read_bytes() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("out.txt", "run.json"), "report: got 'out.txt', expected a name that ends in .html\n"),
        (("missing/out.html", "run.json"), "missing/out.html: cannot be written: No such file or directory\n"),
        (("out.html", "none.json"), "none.json: cannot be read: No such file or directory\n"),
    ],
)
def test_a_mistake_is_one_line(folder, capsys, arguments, message):
    assert in_process(capsys, "report", *arguments) == (2, "", message)
    assert not (folder / "out.html").exists()


def test_run_writes_the_page_of_its_document(folder, capsys, monkeypatch):
    from trace_files import write_trace

    write_trace(folder / "trace")
    given = ("run", "--arch", "dadiannao", "--trace", "trace", "--layers", "sec*", "--set", "tile.rows=4")
    code, _, err = in_process(capsys, *given, "--html", "run.html", "--json", "document.json", "--workers", "1")
    assert (code, err) == (0, "")
    data = (folder / "document.json").read_bytes()
    document = json.loads(data)
    assert document["command"] == ["swatsim", "run", *given[1:5], "--set", "tile.rows=4", "--layers", "sec*"]
    assert (folder / "run.html").read_bytes() == to_page(document, hashlib.sha256(data).hexdigest())
    # What a command does not need is not in it.
    in_process(capsys, *given, "--json", "again.json", "--show", "energy", "--objective", "cycles")
    assert (folder / "again.json").read_bytes() == data


def test_compare_says_its_command(folder, capsys):
    from trace_files import write_trace

    write_trace(folder / "trace")
    in_process(capsys, "compare", "scnn", "--arch", "dadiannao", "--trace", "trace", "--by", "compute",
               "--json", "c.json", "--html", "c.html", "--workers", "1")  # fmt: skip
    data = (folder / "c.json").read_bytes()
    assert (folder / "c.html").read_bytes() == to_page(json.loads(data), hashlib.sha256(data).hexdigest())
    assert json.loads(data)["command"] == [
        "swatsim", "compare", "--arch", "dadiannao", "--arch", "scnn", "--trace", "trace", "--by", "compute",
    ]  # fmt: skip


def test_a_sweep_writes_the_page_of_its_document(folder, capsys):
    from trace_files import write_trace

    write_trace(folder / "trace")
    given = ("sweep", "--arch", "dadiannao", "--trace", "trace", "--set", "tile.rows=4,8", "-o", "points")
    code, _, _ = in_process(capsys, *given, "--json", "s.json", "--html", "s.html", "--workers", "1")
    data = (folder / "s.json").read_bytes()
    assert code == 0
    assert (folder / "s.html").read_bytes() == to_page(json.loads(data), hashlib.sha256(data).hexdigest())
    code, _, err = in_process(capsys, *given, "--csv", "-", "--html", "-")
    assert (code, err.splitlines()[-1]) == (2, "Error: --csv - and --html - cannot both write to standard output")
