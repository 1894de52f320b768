"""docs/extending.md is run: its files are written into a copy of swatsim, its commands must print what it shows.

`python tests/test_extending.py` prints the page with what the commands print now.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import environment

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (file|parts|run|output)(?:: ([^>]+))? -->\n```\w+\n(.*?)```\n", re.DOTALL)
SECTION = re.compile(r"^(\w+):.*?(?=^\w|\Z)", re.DOTALL | re.MULTILINE)
FILES = {detail: text for what, detail, text in BLOCK.findall(PAGE) if what == "file"}
MODULE = "swatsim/datapaths/empty_steps.py"


@dataclass(frozen=True, kw_only=True)
class Ran:
    command: str
    refused: bool  # as the page says
    code: int
    printed: str
    shown: str | None  # the block of output behind the command


class Copy:
    """A copy of what the page says it adds to, with nothing compiled: that would take longer than all commands."""

    def __init__(self, folder: Path) -> None:
        self.root, programs = folder / "copy", folder / "bin"
        for name in ("swatsim", "arch", "tests"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.root)
        (self.root / "traces").symlink_to(ROOT / "traces")
        programs.mkdir()
        for name, words in (("python", ""), ("swatsim", "-m swatsim")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (programs / name).chmod(0o755)
        inherited = {name: value for name, value in environment().items() if not name.startswith(("PYTEST_", "NUMBA_"))}
        self.environment = inherited | {
            "PATH": f"{programs}:{inherited['PATH']}", "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider", "NUMBA_DISABLE_JIT": "1",
            "SWATSIM_CACHE_DIR": str(folder / "cache"),
        }  # fmt: skip

    def run(self, command: str) -> tuple[int, str]:
        """Exit code, and both outputs without spaces at the ends of lines."""
        found = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=self.root, env=self.environment, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return found.returncode, "".join(f"{line.rstrip()}\n" for line in found.stdout.splitlines())

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        assert not path.exists(), f"the page is about new files: {name}"
        path.write_text(text, encoding="utf-8")

    def digests(self) -> dict[str, str]:
        """Of every file but what programs leave for themselves."""
        paths = [path for path in self.root.rglob("*") if path.is_file() and ".hypothesis" not in path.parts]
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def with_sections(text: str, parts: str) -> str:
    """A YAML file with some of its outermost keys replaced."""
    replaced = {found[1]: found[0].rstrip() + "\n\n" for found in SECTION.finditer(parts)}
    sections = {found[1]: found[0] for found in SECTION.finditer(text)}
    assert replaced.keys() < sections.keys()
    return "".join((sections | replaced).values())


def follow(page: str, copy: Copy) -> list[Ran]:
    """Do what the page says, from top to bottom."""
    ran: list[Ran] = []
    written: dict[str, str] = {}
    found = [match.groups() for match in BLOCK.finditer(page)]
    for number, (what, detail, text) in enumerate(found):
        if what in ("file", "parts"):
            name, _, whole = detail.partition(" of ")
            written[name] = with_sections(written[whole], text) if whole else text
            copy.write(name, written[name])
        elif what == "run":
            following = found[number + 1] if number + 1 < len(found) else ("", "", "")
            shown = following[2] if following[0] == "output" else None
            code, printed = copy.run(text)
            ran.append(Ran(command=text, refused=detail == "refused", code=code, printed=printed, shown=shown))
    return ran


@dataclass(frozen=True, kw_only=True)
class Followed:
    copy: Copy
    ran: list[Ran]
    before: dict[str, str]
    after: dict[str, str]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    copy = Copy(tmp_path_factory.mktemp("extending"))
    before = copy.digests()
    ran = follow(PAGE, copy)
    return Followed(copy=copy, ran=ran, before=before, after=copy.digests())


# What the commands of one more process find: several questions, one start.
QUESTIONS = """
import json, shutil, swatsim
from swatsim.architecture.documentation import document
from swatsim.errors import ArchitectureError

def told(path):
    try:
        swatsim.load_architecture(path)
    except ArchitectureError as error:
        return str(error).splitlines()

shutil.copy("empty_steps.yaml", "arch/empty_steps.yaml")
changed = swatsim.load_architecture("empty_steps", overrides={"datapath.chunk_steps": 5})
print(json.dumps({
    "package": swatsim.__file__,
    "document": document(),
    "errors": told("wrong.yaml"),
    "bare_name": changed.name,
    "override": changed.datapath.chunk_steps,
}))
"""


@pytest.fixture(scope="module")
def answers(followed: Followed) -> dict[str, object]:
    text = (followed.copy.root / "empty_steps.yaml").read_text()
    followed.copy.write("wrong.yaml", text.replace("chunk_steps: 8", "chunk_steps: many\n  lookahead: 3"))
    followed.copy.write("questions.py", QUESTIONS)
    code, printed = followed.copy.run("python questions.py")
    assert code == 0, printed
    return json.loads(printed)


def test_every_block_of_the_page_is_run():
    assert len(BLOCK.findall(PAGE)) == len(re.findall("^```", PAGE, re.MULTILINE)) / 2
    assert {"skimmer.yaml", MODULE, "tests/test_empty_steps.py"} == FILES.keys()


def test_commands_print_what_the_page_shows(followed: Followed):
    assert len(followed.ran) >= 6
    for ran in followed.ran:
        assert ran.code == (2 if ran.refused else 0), f"{ran.command}{ran.printed}"
        assert ran.printed
        assert ran.shown in (None, ran.printed), ran.command


def test_the_values_of_the_new_mechanism_are_checked(followed: Followed):
    (ran,) = (each for each in followed.ran if "pytest" in each.command)
    assert re.search(r"\b1 passed in ", ran.printed), ran.printed


def test_nothing_else_is_touched(followed: Followed):
    assert followed.after.keys() - followed.before.keys() == {*FILES, "empty_steps.yaml"}
    assert {name: followed.after.get(name) for name in followed.before} == followed.before


def test_the_copy_is_what_was_run(followed: Followed, answers: dict[str, object]):
    assert Path(answers["package"]) == followed.copy.root / "swatsim" / "__init__.py"


def test_the_reference_has_the_new_keys_and_rules(answers: dict[str, object]):
    shipped = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert "empty_steps" not in shipped
    assert "### `datapath`, `kind: empty_steps`" in answers["document"]
    assert "| `datapath.chunk_steps` | an integer from 1 to 1024 | required | Steps that a tile" in answers["document"]
    assert "| `datapath.most_dropped` | at most `datapath.chunk_steps` | always | a chunk has" in answers["document"]


def test_errors_in_the_new_keys_have_a_place(followed: Followed, answers: dict[str, object]):
    lines = (followed.copy.root / "wrong.yaml").read_text().splitlines()
    chunk, unknown = lines.index("  chunk_steps: many") + 1, lines.index("  lookahead: 3") + 1
    assert [error.split(": ")[:2] for error in answers["errors"]] == [
        [f"wrong.yaml:{chunk}:16", "datapath.chunk_steps"],
        [f"wrong.yaml:{unknown}:3", "datapath.lookahead"],
    ]
    assert answers["errors"][0].endswith("got 'many', expected an integer from 1 to 1024")


def test_new_keys_can_be_overridden_and_files_in_arch_named(answers: dict[str, object]):
    assert answers["override"] == 5
    assert answers["bare_name"] == "Empty steps"


def test_the_module_is_short_and_needs_no_layer_of_its_own():
    assert len(FILES[MODULE].splitlines()) < 100
    with (ROOT / "pyproject.toml").open("rb") as file:
        (contract,) = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = [set(layer.split(" | ")) for layer in contract["layers"]]
    own = layers.index({"datapaths"})
    below = set().union(*layers[own + 1 :])
    imported = [node.module for node in ast.walk(ast.parse(FILES[MODULE])) if isinstance(node, ast.ImportFrom)]
    used = {name.split(".")[1] for name in imported if name.startswith("swatsim.")}
    assert used
    assert used <= below


def test_the_code_of_the_page_is_in_our_style(followed: Followed):
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("the extra dev is not installed")
    files = " ".join(name for name in FILES if name.endswith(".py"))
    for words in ("check", "format --diff"):
        code, printed = followed.copy.run(f"'{ruff}' {words} --no-cache {files}")
        assert code == 0, printed


def test_every_file_that_the_page_links_or_names_exists():
    text = BLOCK.sub("", PAGE)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (ROOT / "docs" / target).exists(), target
    for name in re.findall(r"`((?:swatsim|tests)/[\w/]+\.py)`", text):
        assert (ROOT / name).exists() or name in FILES or re.search("NAME|TOPIC", name), name


def _updated(page: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        ran = iter([each for each in follow(page, Copy(Path(folder))) if each.shown is not None])
    return BLOCK.sub(
        lambda found: f"<!-- output -->\n```text\n{next(ran).printed}```\n" if found[1] == "output" else found[0], page
    )


if __name__ == "__main__":
    print(_updated(PAGE), end="")
