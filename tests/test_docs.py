"""The runner of the documentation's blocks, the pages that are generated, and links between pages."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import swatsim

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from docs import generate, run_blocks  # noqa: E402
from docs.drawings import DRAWINGS, Drawing  # noqa: E402

SITE = [path for path in run_blocks.pages() if path.name != "README.md"]


def page(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    return path


def block(language, text, *comments):
    return "".join(f"<!-- {comment} -->\n" for comment in comments) + f"```{language}\n{text}\n```\n\n"


# ---------------------------------------------------------------------------------------------------------- the runner


def test_blocks_run_in_order_in_one_folder_of_a_checkouts_files(tmp_path):
    text = (
        block("sh", "echo first > file; test -f arch/dadiannao.yaml; test -f traces/smallcnn/manifest.json")
        + block(
            "python", "import swatsim; assert open('file').read() == 'first\\n'; open('file', 'a').write('second\\n')"
        )
        + block("yaml", "not: run")
        + block("sh", "cat file; swatsim --version; python -c 'import benchmarks'")
        + block("text", "first\n…\nswatsim 0.1.0", "printed")
    )
    assert run_blocks.run_page(page(tmp_path, text)) == run_blocks.Outcome(ran=3)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (block("sh", "true") + "\n" + block("sh", "false | true"), "line 6: sh: exit code 1"),
        (block("sh", "cd missing\ntrue"), "exit code 1"),
        (block("python", "raise ValueError('said')"), "ValueError: said"),
        (block("sh", "true", "fails: 2"), "exit code 0"),
        (block("sh", "exit 3", "fails: 2"), "exit code 3"),
        (block("sh", "echo a; echo b") + block("text", "a\nc", "printed"), "is not what was printed"),
        (block("sh", "echo a; echo b") + block("text", "a", "printed"), "is not what was printed"),
    ],
)
def test_a_block_that_fails_is_told_by_its_line(tmp_path, text, part):
    outcome = run_blocks.run_page(page(tmp_path, text))
    assert part in outcome.failure


def test_what_is_not_run_is_counted_with_its_reason(tmp_path):
    text = (
        block("sh", "false", "not run: takes a day", "another comment")
        + block("sh", "exit 2", "fails: 2")
        + block("sh", "false", "needs: no_such_module")
        + block("python", "raise SystemExit(1)")
    )
    outcome = run_blocks.run_page(page(tmp_path, text))
    assert outcome == run_blocks.Outcome(
        ran=1,
        skipped=(
            "line 3: takes a day", "line 13: needs no_such_module, which is not installed",
            "line 17: needs no_such_module, which is not installed",
        ),
    )  # fmt: skip
    whole = run_blocks.run_page(page(tmp_path, "<!-- page not run: elsewhere -->\n" + block("sh", "false")))
    assert (whole.ran, whole.skipped) == (0, ("line 2: elsewhere",))


def test_a_file_of_tests_is_run_by_pytest(tmp_path):
    good = "def test_file(swatsim_check):\n    assert open('grid.yaml').read() == 'arch: []\\n'"
    written = block("yaml", "arch: []", "file: grid.yaml")
    assert run_blocks.run_page(page(tmp_path, written + block("python", good, "pytest"))) == run_blocks.Outcome(ran=1)
    outcome = run_blocks.run_page(page(tmp_path, block("python", good, "pytest")))
    assert "No such file or directory: 'grid.yaml'" in outcome.failure
    assert "exit code 5" in run_blocks.run_page(page(tmp_path, block("python", "pass", "pytest"))).failure


def test_a_comment_counts_only_directly_before_its_block(tmp_path):
    text = "<!-- not run: reason -->\n\nSome words.\n\n" + block("sh", "true")
    assert run_blocks.run_page(page(tmp_path, text)) == run_blocks.Outcome(ran=1)


def test_a_block_that_hangs_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(run_blocks, "LIMIT_SECONDS", 0.5)
    started = tmp_path / "started"
    outcome = run_blocks.run_page(page(tmp_path, block("sh", f"sleep 60 & echo $! > {started}; wait")))
    assert "took more than 0.5 s" in outcome.failure
    for _ in range(100):
        try:
            os.kill(int(started.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("what the block had started still runs")


def test_the_exit_code_says_whether_a_page_failed(tmp_path, capsys):
    good = page(tmp_path, block("sh", "true"))
    assert run_blocks.main([str(good)]) == 0
    assert "1 blocks run, 0 not run, 0 pages failed" in capsys.readouterr().out
    assert run_blocks.main([str(page(tmp_path, block("sh", "false")))]) == 1


def test_every_page_says_why_a_block_is_not_run():
    for path in run_blocks.pages():
        for each in run_blocks.blocks_of(path.read_text(encoding="utf-8")):
            assert each.mark("not run") != "", f"{path}:{each.line}"


# --------------------------------------------------------------------------------------------------- pages and drawings


def test_generated_files_are_as_the_code_says(capsys):
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_every_page_that_says_it_is_generated_is():
    made = set(generate.generated())
    for path in SITE:
        if "<!-- Generated: " in path.read_text(encoding="utf-8"):
            assert path.relative_to(ROOT / "docs").as_posix() in made


@pytest.mark.parametrize("name", swatsim.__all__)
def test_every_public_name_is_in_the_reference(name):
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    made = re.findall(r"^\.\. auto(?:class|function|exception):: (\S+)$", text, re.MULTILINE)
    # All errors are made from their module.
    assert f"swatsim.{name}" in made or (name == "SwatsimError" and "automodule:: swatsim.errors" in text)


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == swatsim.__version__


def test_a_stale_page_is_named_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "generated", lambda: {"page.md": lambda: "new\n", "same.md": lambda: "same\n"})
    (tmp_path / "page.md").write_text("old\n")
    (tmp_path / "same.md").write_text("same\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/page.md: stale\n"
    assert (tmp_path / "page.md").read_text() == "old\n"
    assert generate.main([]) == 0
    assert (tmp_path / "page.md").read_text() == "new\n"
    assert generate.main(["--check"]) == 0
    assert generate.main(["--wrong"]) == 2


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_described_and_within_their_paper(name):
    drawn = DRAWINGS[name]()
    root = ElementTree.fromstring(drawn.svg())
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.find(f"{space}title").text
    assert root.find(f"{space}desc").text
    for each in root.iter(f"{space}rect"):
        x, y, width, height = (float(each.get(key) or 0) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= drawn.width
        assert 0 <= y <= y + height <= drawn.height


def test_words_beyond_the_paper_are_refused():
    drawn = Drawing(100, 100, "small", "small")
    with pytest.raises(AssertionError, match="ends right of the paper"):
        drawn.text(50, 50, "far too many words for it", anchor="start")
    with pytest.raises(AssertionError, match="begins left of the paper"):
        drawn.text(10, 50, "some words")


# --------------------------------------------------------------------------------------------------------------- links


def listed():
    """Pages that the table of contents of the site has."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for tree in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL):
        for line in tree.splitlines():
            if line and not line.startswith(":"):
                yield line.rpartition("<")[2].rstrip(">")


def test_every_page_is_listed_once():
    names = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in SITE} - {"index"}
    assert sorted(listed()) == sorted(names)


@pytest.mark.parametrize("path", run_blocks.pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_files_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target
