"""Pages in a real browser: drawn, quiet, alone, on a phone, in the dark, on paper; skipped where there is none."""

from __future__ import annotations

import json
import re

import pytest
from browser import BROWSER, DESKTOP, PHONE, Browser
from saved_documents import DOCUMENTS, hostile, small_report

from swatsim.pages.page import to_page
from swatsim.report.timeline_page import to_page as timeline_page

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")
Image = pytest.importorskip("PIL.Image", reason="looks at pictures with Pillow: pip install 'swatsim[plot]'")

PAGES = [*DOCUMENTS, "hostile run", "hostile comparison", "hostile sweep", "timeline"]
VIEWS = {"desktop": (DESKTOP, False), "phone": (PHONE, False), "dark": (DESKTOP, True)}


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A file for each of PAGES."""
    folder = tmp_path_factory.mktemp("pages")

    def written(name):
        path = folder / f"{name.replace(' ', '-')}.html"
        if not path.exists():
            if name == "timeline":
                path.write_bytes(timeline_page(small_report(keep_timeline=True)))
            else:
                document = DOCUMENTS[name.rpartition(" ")[2]]()
                path.write_bytes(to_page(hostile(document) if name.startswith("hostile") else document, "0" * 64))
        return path

    return written


def picture(browser, tmp_path):
    file = tmp_path / "page.png"
    file.write_bytes(browser.picture())
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_and_quiet_and_alone(browser, pages, tmp_path, name, view):
    size, dark = VIEWS[view]
    browser.open(pages(name), size, dark)
    found = picture(browser, tmp_path)
    assert browser.complaints == []
    assert browser.requests == [pages(name).resolve().as_uri()]
    # Not wider than the screen; what is wide scrolls within its own frame.
    assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
    colors = found.getcolors(found.width * found.height)
    ground = max(colors)[1]
    assert (sum(ground) < 3 * 64) == dark
    # Drawn all over: no fifth of the height is empty, and there is color.
    for part in range(5):
        strip = found.crop((0, part * found.height // 5, found.width, (part + 1) * found.height // 5))
        assert len(strip.getcolors(strip.width * strip.height)) > 10
    colored = sum(count for count, color in colors if max(color) - min(color) > 60)
    # The bars of other pages have more color than points do.
    least = 0.001 if name == "exploration" else 0.002
    assert colored > least * found.width * found.height


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_numbers_and_names_do_not_overlap(browser, pages, name, size):
    browser.open(pages(name), size)
    overlapping = browser.evaluate("""
    (() => {
      const found = [];
      for (const chart of document.querySelectorAll(".chart")) {
        const texts = [...chart.querySelectorAll("text")].filter((each) => each.getClientRects().length);
        const boxes = texts.map((each) => [each.textContent, each.getBoundingClientRect()]);
        boxes.forEach(([text, box], i) => boxes.slice(i + 1).forEach(([other, its]) => {
          const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
          const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
          if (wide > 1 && high > 4) found.push([text, other]);
        }));
      }
      return found;
    })()
    """)
    assert overlapping == []


@pytest.mark.parametrize("name", [*DOCUMENTS, "hostile run", "hostile sweep"])
def test_every_tip_has_a_title_and_pairs(browser, pages, name):
    browser.open(pages(name))
    tips = browser.evaluate("[...document.querySelectorAll('[data-tip]')].map((each) => each.dataset.tip)")
    assert len(tips) > 10
    for tip in tips:
        title, *lines = tip.split("\n")
        assert title
        assert lines
        assert all(line.count("\t") == 1 and line.partition("\t")[2] for line in lines)


def test_no_name_leaves_the_page(browser, pages):
    browser.open(pages("run"), PHONE)
    outside = """[...document.querySelectorAll("text")].filter((each) => each.getClientRects().length)
      .map((each) => [each.textContent, each.getBoundingClientRect()])
      .filter(([, box]) => box.left < 0 || box.right > window.innerWidth).map(([text]) => text)"""
    assert browser.evaluate(outside) == []


def column(browser, number):
    return browser.evaluate(
        "[...document.querySelectorAll('#table tbody tr')].filter((line) => !line.hidden)"
        f".map((line) => line.cells[{number}].textContent)"
    )


def number_of(text):
    return float(text.replace(",", ""))


def press(browser, heading):
    named = f"(each) => each.textContent === {json.dumps(heading)}"
    browser.evaluate(f"[...document.querySelectorAll('#table thead button')].find({named}).click()")


def test_the_table_is_sorted_and_filtered(browser, pages):
    browser.open(pages("run"))
    before = column(browser, 0)
    assert "total" in before
    press(browser, "cycles")
    cycles = [number_of(text) for text in column(browser, 2)]
    assert cycles == sorted(cycles, reverse=True)
    press(browser, "cycles")
    assert [number_of(text) for text in column(browser, 2)] == cycles[::-1]
    assert browser.evaluate("document.querySelector('[aria-sort]').textContent") == "cycles"
    press(browser, "layer")
    assert column(browser, 0) == sorted(before)
    press(browser, "weight density")
    densities = column(browser, 11)
    assert densities[-1] == "–"  # what has no value comes last
    assert densities[0] != "–"
    browser.evaluate("(() => { const f = document.getElementById('filter'); f.value = 'SECOND';"
                     "f.dispatchEvent(new Event('input')); })()")  # fmt: skip
    assert set(column(browser, 0)) == {"second"}
    assert re.fullmatch(r"3 of \d+ rows", browser.evaluate("document.getElementById('matches').textContent"))
    browser.evaluate("document.querySelectorAll('button[data-kind]')[1].click()")
    assert column(browser, 0) == []


def test_a_tip_says_what_is_under_the_pointer(browser, pages):
    browser.open(pages("run"))
    assert browser.evaluate("document.getElementById('tip').hidden")
    place = browser.evaluate("""(async () => {
      const bar = document.querySelector("#figure-cycles-layers g[data-tip] rect:not(.line)");
      bar.scrollIntoView({ block: "center", behavior: "instant" });
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const box = bar.getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    })()""")
    browser.move(*place)
    assert browser.evaluate("document.querySelector('#tip b').textContent") == "first · forward"
    texts = "(line) => [...line.childNodes].map((part) => part.textContent)"
    lines = browser.evaluate(f"[...document.querySelectorAll('#tip span')].map({texts})")
    row = next(row for row in DOCUMENTS["run"]()["rows"] if (row["layer"], row["pass"]) == ("first", "forward"))
    assert lines[-1] == ["in all", f"{row['cycles']:,}"]
    share = f"{row['ideal_cycles'] / row['cycles']:.0%}"
    assert lines[0] == ["ideal work", f"{row['ideal_cycles']:,} ({share})"]
    box = browser.evaluate(
        "(({ left, right }) => [left, right])(document.getElementById('tip').getBoundingClientRect())"
    )
    assert 0 <= box[0] < box[1] <= DESKTOP[0]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_printed(browser, pages, name):
    browser.open(pages(name), dark=True)
    printed = browser.printed()
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 15_000
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 1
    if name == "timeline":
        return
    # All rows are on paper, and it is light whatever the screen was.
    browser.call(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    frame = "getComputedStyle(document.querySelector('.scroll'))"
    assert browser.evaluate(f"[{frame}.maxHeight, {frame}.overflowY]") == ["none", "visible"]
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
