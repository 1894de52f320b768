"""The page holds the timeline exactly, asks for nothing from elsewhere, and takes names for text."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timelines import CLOCK_HZ, STEP, place_passes, report_of

from swatsim.report.timeline_page import ASSETS, to_page

NODE = shutil.which("node")
CYCLES = st.integers(0, 10**6)
BLOCKS = st.lists(st.tuples(CYCLES, CYCLES, CYCLES), max_size=5)
NAMES = st.sampled_from(["forward", "update", "a pass of another program"])
WORKS = st.lists(st.tuples(st.text(max_size=5), NAMES, BLOCKS), max_size=5)
HOSTILE = "</script><b onload=x>&amp;<!--<script>\x00\ud800é\u2028 /* data */ /* data.js */"


class Page(HTMLParser):
    """Tags with their attributes, and the text of each element by its id."""

    def __init__(self, page):
        super().__init__(convert_charrefs=False)
        self.tags, self.texts, self.inside = [], {}, None
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id", tag)

    def handle_data(self, data):
        self.texts[self.inside] = self.texts.get(self.inside, "") + data

    def handle_endtag(self, tag):
        self.inside = None


def data_of(report):
    return json.loads(Page(to_page(report)).texts["data"])


def spans_in(differences):
    """Pairs of cycles: each number is what is added to the one before."""
    cycles, cycle = [], 0
    for difference in differences:
        cycle += difference
        cycles.append(cycle)
    return [cycles[index : index + 2] for index in range(0, len(cycles), 2)]


@given(WORKS, st.integers(0, 3), st.booleans())
def test_the_page_holds_every_pass_and_block(works, latency, prefetch):
    timeline = place_passes(works, latency, prefetch)
    data = data_of(report_of(timeline))
    assert len(data["passes"]) == len(timeline)
    for found, placed in zip(data["passes"], timeline, strict=True):
        assert data["layers"][found["layer"]] == placed.layer
        assert data["pass_names"][found["pass"]] == placed.pass_name
        for key in ("start_cycle", "cycles", "compute_cycles", "prefetched_cycles"):
            assert found[key] == getattr(placed, key)
        stalls = dict(zip(data["causes"], found["stalls"], strict=True))
        assert {cause: cycles for cause, cycles in stalls.items() if cycles} == {
            cause: cycles for cause, cycles in placed.stalls.items() if cycles
        }
        assert tuple(found["ahead"]) == placed.ahead
        for engine in ("load", "compute", "store"):
            assert spans_in(found[engine]) == getattr(placed.spans, engine).tolist()


def test_the_page_says_what_was_simulated():
    data = data_of(report_of(place_passes(STEP)))
    assert {key: data[key] for key in list(data)[:8]} == {
        "format": "swatsim-timeline",
        "version": 1,
        "swatsim": "1.2.3",
        "architecture": "dadiannao",
        "clock_hz": CLOCK_HZ,
        "channel": "dram",
        "trace": "resnet50",
        "digest": "0123",
    }


def test_a_pass_and_a_cause_have_the_same_color_on_every_page():
    # The color goes by the place in the list, so known names stand in it whether they are used or not.
    few, many = (data_of(report_of(place_passes(works))) for works in (STEP[:1], STEP))
    assert few["pass_names"] == many["pass_names"]
    assert few["causes"] == many["causes"] == ["dram", "central", "nbin", "conflict", "refresh", "latency"]


def test_the_page_asks_for_nothing_from_elsewhere():
    page = to_page(report_of(place_passes(STEP)))
    attributes = [name for _, found in Page(page).tags for name in found]
    assert not {"src", "href", "srcset", "action", "data", "style"} & set(attributes)
    assert not [name for name in attributes if name.startswith("on")]
    (policy,) = [found["content"] for _, found in Page(page).tags if "http-equiv" in found]
    assert policy.startswith("default-src 'none'")
    for request in (b"http:", b"https:", b"url(", b"@import", b"import", b"fetch(", b"XMLHttp", b"Socket", b"Beacon"):
        assert request not in page


def test_names_are_never_markup():
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
        assert not [asset for asset in ASSETS if name in text_of(asset)]


def text_of(asset):
    return files("swatsim.report").joinpath("timeline_assets", asset).read_text(encoding="utf-8")


def test_hostile_names_stay_text():
    def page(name):
        timeline = place_passes([(name, name, [(1, 1, 1)])])
        return to_page(report_of(timeline, machine=name, trace=name))

    assert Page(page(HOSTILE)).tags == Page(page("tame")).tags
    text = Page(page(HOSTILE)).texts["data"]
    assert "<" not in text
    data = json.loads(text)
    found = [data["architecture"], data["trace"], *data["layers"], data["pass_names"][-1]]
    assert found == [HOSTILE] * 4
    # All that is not data is the same.
    assert page(HOSTILE).decode().replace(text, "") == page("tame").decode().replace(
        Page(page("tame")).texts["data"], ""
    )


def test_no_placeholder_is_left():
    page = to_page(report_of(place_passes(STEP))).decode()
    assert not [name for name in (*ASSETS, "data") if f"/* {name} */" in page]
    for asset in ASSETS:
        assert text_of(asset).rstrip() in page


def test_the_same_timeline_gives_the_same_bytes():
    assert to_page(report_of(place_passes(STEP))) == to_page(report_of(place_passes(STEP)))


def test_a_page_is_small():
    assert len(to_page(report_of(()))) < 40_000
    source = np.random.default_rng(1)
    works = [(f"layer{index}", "forward", source.integers(200, 4000, (1000, 3)).tolist()) for index in range(100)]
    # Six numbers a block: lengths below 4000 and the gaps between them.
    assert len(to_page(report_of(place_passes(works)))) < 100_000 * 6 * 5.5


SCRIPT = """
const text = require("fs").readFileSync(0, "utf8");
globalThis.document = { getElementById: () => ({ textContent: text }) };
%s
const rows = ENGINES.map(blockRow);
console.log(JSON.stringify({
  blocks: rows.map((row) => [...row.starts.keys()].map(
    (i) => [row.starts[i], row.ends[i], row.members(i)[0].number, row.name(i)])),
  layers: layers.map((own) => [own[0].layer, own.length]),
  total,
  engines: ENGINES.map((engine) => envelope(passes, engine)).map((of) => [of.start, of.end, of.busy, of.blocks]),
  found: Array.from({ length: total + 2 }, (_, cycle) => firstAfter(rows[1], cycle)),
}));
"""


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_the_script_reads_what_was_written():
    timeline = place_passes(STEP, held=1)
    text = Page(to_page(report_of(timeline))).texts["data"]
    read = json.loads(run_node(SCRIPT % text_of("data.js"), text))
    blocks = [
        [
            [start + placed.start_cycle, end + placed.start_cycle, number, name]
            for number, placed in enumerate(timeline)
            for name, (start, end) in (
                *([("block 0, ahead", placed.ahead)] if engine == "load" else []),
                *((f"block {block}", span) for block, span in enumerate(getattr(placed.spans, engine).tolist())),
            )
            if start < end
        ]
        for engine in ("load", "compute", "store")
    ]
    assert read["blocks"] == blocks
    assert read["layers"] == [["conv1", 1], ["layer1.0", 1], ["relu", 1], ["layer1.0", 2], ["conv1", 1]]
    assert read["total"] == sum(placed.cycles for placed in timeline)
    assert "block 0, ahead" in {name for *_, name in blocks[0]}
    assert read["engines"] == [
        [
            own[0][0],
            own[-1][1],
            sum(end - start for start, end, *_ in own),
            len({(number, name.removesuffix(", ahead")) for *_, number, name in own}),
        ]
        for own in blocks
    ]
    assert read["found"] == [sum(end <= cycle for _, end, *_ in blocks[1]) for cycle in range(read["total"] + 2)]


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_the_scripts_are_a_program():
    run_node("new Function(require('fs').readFileSync(0, 'utf8'))", "".join(map(text_of, ASSETS[1:])))


def run_node(program, text):
    done = subprocess.run([NODE, "-e", program], input=text, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
