"""Run the code blocks of the README and of docs/, so that what they show works: `python -m docs.run_blocks [PAGE...]`.

The `sh` and `python` blocks of a page run in order, each in a process of its own, in one temporary folder that has
copies of arch/ and links to the traces of the checkout. As many pages run at a time as there are processors.
HTML comments directly before a block say more about it:

<!-- not run: REASON -->          it is skipped, and counted
<!-- needs: MODULE -->            where MODULE is not installed, it and the rest of the page are skipped, and counted
<!-- fails: CODE -->              it must end with this exit code
<!-- printed -->                  (a `text` block) what the block before printed; a line … stands for any lines
<!-- file: NAME -->               (any block) it is written to that file, for the blocks that follow, and not run
<!-- pytest -->                   (a `python` block) it is a file of tests, which pytest runs

`<!-- page not run: REASON -->` anywhere skips all of a page. Other blocks (yaml, json, text) are not run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUN = ("sh", "python")
LIMIT_SECONDS = 600
_FENCE = re.compile(r"```([a-z]*)")
_COMMENT = re.compile(r"<!-- (.*) -->")
_PAGE_NOT_RUN = re.compile(r"^<!-- page not run: (.+) -->$", re.MULTILINE)
_ANY_LINES = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, text, line in the page, and the comments directly before it."""

    language: str
    text: str
    line: int
    marks: tuple[str, ...] = ()

    def mark(self, key: str) -> str | None:
        """What stands after `key:` in a comment before the block."""
        for mark in self.marks:
            name, _, value = mark.partition(":")
            if name == key:
                return value.strip()
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a page's blocks."""

    ran: int = 0
    skipped: tuple[str, ...] = ()  # with the reason
    failure: str | None = None


def pages() -> list[Path]:
    """The README, and all pages of the site."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page, whatever their language."""
    found: list[Block] = []
    marks: list[str] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if fence := _FENCE.match(line):
            inside = []
            for _, each in lines:
                if each.startswith("```"):
                    break
                inside.append(f"{each}\n")
            found.append(Block(language=fence[1], text="".join(inside), line=number, marks=tuple(marks)))
            marks = []
        elif comment := _COMMENT.fullmatch(line):
            marks.append(comment[1])
        elif line.strip():
            marks = []
    return found


def run_page(page: Path) -> Outcome:
    """Run the blocks of a page up to the first that fails."""
    text = page.read_text(encoding="utf-8")
    blocks = blocks_of(text)
    if whole := _PAGE_NOT_RUN.search(text):
        return Outcome(skipped=tuple(f"line {each.line}: {whole[1]}" for each in blocks if each.language in RUN))
    with tempfile.TemporaryDirectory(prefix="swatsim-docs-") as folder:
        prepare(Path(folder))
        return _run(blocks, Path(folder) / "work")


def _run(blocks: Sequence[Block], folder: Path) -> Outcome:
    ran, skipped, printed, missing = 0, [], "", ""
    for block in blocks:
        written = block.mark("file")
        if written is not None:
            (folder / written).write_text(block.text, encoding="utf-8")
            continue
        if block.language not in RUN:
            if "printed" in block.marks and not missing and not _is_shown(printed, block.text):
                failure = _said(block, "is not what was printed", printed)
                return Outcome(ran=ran, skipped=tuple(skipped), failure=failure)
            continue
        needed = block.mark("needs")
        if needed is not None and importlib.util.find_spec(needed) is None:
            missing = needed
        reason = f"needs {missing}, which is not installed" if missing else block.mark("not run")
        if reason is not None:
            skipped.append(f"line {block.line}: {reason}")
            continue
        code, printed = _execute(block, folder)
        if code != int(block.mark("fails") or 0):
            return Outcome(ran=ran, skipped=tuple(skipped), failure=_said(block, f"exit code {code}", printed))
        ran += 1
    return Outcome(ran=ran, skipped=tuple(skipped))


def prepare(folder: Path) -> None:
    """Make `work`, as a checkout looks to its reader, and `bin` with the commands; what is written stays there."""
    work, commands = folder / "work", folder / "bin"
    (work / "traces").mkdir(parents=True)
    for trace in (ROOT / "traces").iterdir():
        (work / "traces" / trace.name).symlink_to(trace)
    shutil.copytree(ROOT / "arch", work / "arch")
    commands.mkdir()
    for name, arguments in {"swatsim": " -m swatsim", "python": "", "python3": ""}.items():
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        command.chmod(0o755)


def _execute(block: Block, folder: Path) -> tuple[int, str]:
    """(exit code, what was printed) of a block."""
    environment = {
        **os.environ, "PATH": f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "Agg", "NO_COLOR": "1", "COLUMNS": "100",
    }  # fmt: skip
    with subprocess.Popen(
        _command(block, folder), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            printed, _ = process.communicate(timeout=LIMIT_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return 124, f"took more than {LIMIT_SECONDS} s"
            raise
    return process.returncode, printed


def _command(block: Block, folder: Path) -> list[str]:
    if "pytest" in block.marks:
        tests = folder / f"test_line_{block.line}.py"
        tests.write_text(block.text, encoding="utf-8")
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests.name]
    if block.language == "sh":
        return ["bash", "-euo", "pipefail", "-c", block.text]
    return [sys.executable, "-c", block.text]


def _is_shown(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed: the same lines, but for what … stands for."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == _ANY_LINES else re.escape(line.rstrip()) + r" *\n"
        for line in shown.splitlines()
    )
    return re.fullmatch(pattern, printed) is not None


def _said(block: Block, what: str, printed: str) -> str:
    return f"line {block.line}: {block.language}: {what}\n{block.text}---\n{printed[-4000:]}"


def _lines(page: Path, outcome: Outcome, seconds: float) -> Iterator[str]:
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    yield f"{name}: {outcome.ran} run, {len(outcome.skipped)} not, {seconds:.1f} s"
    yield from (f"    not run: {reason}" for reason in outcome.skipped)
    if outcome.failure is not None:
        yield f"{name}: {outcome.failure}"


def _timed(page: Path) -> tuple[Path, Outcome, float]:
    began = time.perf_counter()
    return page, run_page(page), time.perf_counter() - began


def _size(page: Path) -> int:
    """Lines that run."""
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    return sum(block.text.count("\n") for block in blocks if block.language in RUN)


def main(names: Sequence[str]) -> int:
    """Run the named pages, or all; 1 where a block failed."""
    ran = skipped = failed = 0
    chosen = [Path(name).resolve() for name in names] or pages()
    with ProcessPoolExecutor(min(len(chosen), os.cpu_count() or 1)) as processes:
        # The longest first: none is left to run alone at the end.
        for page, outcome, seconds in processes.map(_timed, sorted(chosen, key=_size, reverse=True)):
            if outcome.ran or outcome.skipped or outcome.failure:
                print("\n".join(_lines(page, outcome, seconds)), flush=True)
            ran, skipped, failed = ran + outcome.ran, skipped + len(outcome.skipped), failed + bool(outcome.failure)
    print(f"{ran} blocks run, {skipped} not run, {failed} pages failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
