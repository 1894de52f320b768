"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(comment):
    """The fenced block that follows an HTML comment."""
    found = re.search(rf"<!-- {comment} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, comment
    return found[1]


def python_block(word):
    found = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in block]
    assert len(found) == 1
    return found[0]


def test_the_main_job_prints_what_is_shown():
    command = block_after("main job").split("&&")[-1].split()
    assert command[0] == ".venv/bin/swatsim"
    run = subprocess.run(
        [sys.executable, "-m", "swatsim", *command[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    printed = [line.rstrip() for line in run.stdout.splitlines()]
    shown = block_after("main job output").splitlines()
    gap = shown.index("…")
    assert gap >= 3
    assert len(shown) - gap >= 8
    assert printed[:gap] == shown[:gap]
    assert printed[-(len(shown) - gap - 1) :] == shown[gap + 1 :]


def test_where_time_and_energy_go_is_what_the_command_prints():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.where"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"<!-- where -->\n{run.stdout}" in (ROOT / "docs" / "model.md").read_text()


def test_the_published_speedups_are_those_of_the_command():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.published"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"<!-- published -->\n{run.stdout}" in README


def test_the_python_example_runs(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(python_block("load_architecture"), "README.md", "exec"), {})
    assert "weight_grad" in capsys.readouterr().out


@pytest.mark.extra("torch")
def test_the_torch_example_runs(tmp_path, monkeypatch):
    import swatsim

    monkeypatch.chdir(tmp_path)
    exec(compile(python_block("capture"), "README.md", "exec"), {})
    trace = swatsim.load_trace(tmp_path / "my-trace")
    assert [spec.kind for spec in trace.specs] == ["conv2d", "conv2d", "linear"]
    assert trace.manifest.scheme == "swat-u"


def test_every_file_that_the_readme_links_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.extra("torch")
def test_the_sparse_training_example_runs(tmp_path, monkeypatch):
    import swatsim

    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "sparse_training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "docs/sparse_training.md", "exec"), {})
    trace = swatsim.load_trace("rigl-trace")
    assert trace.manifest.scheme == "rigl"
    weight, mask = (
        trace.layer(1).passes["forward"].operands["weight"].bits,
        trace.layer(1).passes["weight_grad"].result_mask,
    )
    # A weight that has grown and had no gradient since is 0 still, but needed.
    assert not (weight.to_bool() & ~mask.to_bool()).any()
    assert mask.nonzeros < mask.size
