"""swatsim installed from a wheel, away from its checkout, on each Python at hand: `.ci/matrix [--record]`.

Each installation has an environment of its own, with the newest dependencies, and on the oldest Python also with the
oldest that pyproject.toml admits. There `swatsim doctor` must work, a run by the names of a shipped machine and trace
must give the same bytes everywhere, and some tests must pass. `--record` writes `benchmarks/installations.json`, of
which `python -m docs.generate` makes a table in docs/reliability.md. Needs nothing but Python and pip.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "installations.json"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Of the tests, some of readers and kernels that take seconds.
TESTS = ("layer", "trace_round_trip", "architecture_reader", "kernels_bits")
RUN = ("run", "--arch", "dadiannao", "--trace", "smallcnn", "--json", "-")
# What decides results.
SHOWN = ("numpy", "numba", "llvmlite", "pandas", "pydantic")


def interpreters() -> dict[str, str]:
    """An interpreter of each wanted version that is at hand: on the path, or where pyenv keeps them."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = {}
    for version in PYTHONS:
        name = f"python{version}"
        kept = sorted(pyenv.glob(f"{version}.*/bin/{name}"))
        for candidate in (*map(str, kept[-1:]), shutil.which(name)):
            if candidate and _says(candidate, "import sys; print('%d.%d' % sys.version_info[:2])") == version:
                found[version] = candidate
                break
    return found


def oldest(python: str) -> list[str]:
    """Constraints by which pip takes the oldest versions that pyproject.toml admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    number = tuple(map(int, python.split(".")))
    found = []
    for requirement in requirements:
        before = re.search(r"python_version < '(\d+)\.(\d+)'", requirement)
        bounded = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
        if bounded is None:
            raise SystemExit(f"pyproject.toml: {requirement}: got no lower bound, expected one")
        if before is None or number < (int(before[1]), int(before[2])):
            found.append(f"{bounded[1]}=={bounded[2]}")
    return found


def examine(python: str, interpreter: str, wheel: Path, constraints: Sequence[str]) -> dict[str, Any]:
    """Install the wheel and try it; what was found. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run([interpreter, "-m", "venv", folder / "venv"])
        own = folder / "venv" / "bin" / "python"
        (folder / "constraints").write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        limits = ["-c", folder / "constraints"] if constraints else []
        _run([own, "-m", "pip", "install", "-q", *limits, f"swatsim[test] @ {wheel.as_uri()}"])
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        clean = {"cwd": elsewhere, "env": _environment(SWATSIM_CACHE_DIR=str(folder / "cache"))}
        program = folder / "venv" / "bin" / "swatsim"
        _run([program, "doctor"], **clean)
        cold, warm = (_run([program, *RUN], **clean) for _ in range(2))
        _damage(folder / "cache")
        if {cold} != {warm, _run([program, *RUN], **clean)}:
            raise SystemExit(f"Python {python}: got another report with kernels from the cache, expected the same")
        tests = elsewhere / "tests"
        shutil.copytree(ROOT / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
        for each in ("pyproject.toml", "arch", "traces/smallcnn"):
            copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
            copy(ROOT / each, elsewhere / each)
        chosen = [tests / f"test_{name}.py" for name in TESTS]
        said = _run([own, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen], **clean)
        versions = json.loads(_run([own, "-P", "-c", _VERSIONS % (SHOWN,)], **clean))
        passed = re.search(r"(\d+) passed", said)
        return {
            "python": versions.pop("python"), "dependencies": "oldest" if constraints else "newest", **versions,
            "report": hashlib.sha256(cold.encode()).hexdigest(), "tests": int(passed[1]) if passed else 0,
        }  # fmt: skip


def _damage(cache: Path) -> None:
    """Change a bit of every third kept kernel, and cut every other third in half."""
    for number, kernel in enumerate(sorted(cache.rglob("*.nbc"))):
        data = bytearray(kernel.read_bytes())
        data[-1] ^= number % 3 == 1
        kernel.write_bytes(data[: len(data) // 2] if number % 3 == 2 else data)


_VERSIONS = """
import importlib.metadata, json, platform, sys, swatsim
assert "site-packages" in swatsim.__file__, swatsim.__file__
found = {name: importlib.metadata.version(name) for name in %r}
print(json.dumps({"python": platform.python_version(), **found}))
"""


def build(interpreter: str, folder: Path) -> Path:
    """Build the wheel from the checkout, and from the sdist, which must come to the same; give it."""
    _run([interpreter, "-m", "venv", folder / "venv"])
    own = folder / "venv" / "bin" / "python"
    _run([own, "-m", "pip", "install", "-q", "hatchling>=1.27"])
    _run([own, "-m", "hatchling", "build", "-d", folder / "dist"], cwd=ROOT)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    _run([own, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder / "again", sdist])
    (again,) = (folder / "again").glob("*.whl")
    if _members(again) != _members(wheel):
        raise SystemExit(f"{sdist.name}: got another wheel than from the checkout, expected the same files")
    return wheel


def _members(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {member.filename: member.CRC for member in archive.infolist()}


def _run(command: Sequence[str | Path], **options: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False,
        **{"env": _environment(), **options},
    )  # fmt: skip
    if done.returncode:
        print(done.stdout[-4000:])
        raise SystemExit(f"{' '.join(map(str, command[:4]))} ...: exit code {done.returncode}")
    return done.stdout


def _says(interpreter: str, code: str) -> str:
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False, env=_environment())
    return done.stdout.strip()


def _environment(**changes: str) -> dict[str, str]:
    """Nothing of a caller's checkout or settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SWATSIM_", "NUMBA_"))}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **changes}


def main(arguments: Sequence[str]) -> int:
    """Examine all; 1 where reports differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write into benchmarks/installations.json")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="only this one; may be repeated")
    given = parser.parse_args(arguments)
    at_hand = {version: path for version, path in interpreters().items() if version in (given.python or PYTHONS)}
    if not at_hand:
        raise SystemExit(f"got no Python at hand, expected one of {', '.join(PYTHONS)}")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(next(iter(at_hand.values())), Path(folder))
        for version, interpreter, constraints in _installations(at_hand):
            began = time.monotonic()
            found.append(examine(version, interpreter, wheel, constraints))
            print(f"{json.dumps(found[-1])} ({time.monotonic() - began:.0f} s)", flush=True)
            if given.record:
                record(found[-1])
    return 0 if len({each["report"] for each in found}) == 1 else 1


def record(found: Mapping[str, Any]) -> None:
    """Keep what was found, in place of what was found before of the same kind, or by a swatsim of other results."""
    names = ("python", "dependencies")
    kept = json.loads(RECORD.read_text(encoding="utf-8"))["installations"] if RECORD.exists() else []
    rows = [each for each in kept if each["report"] == found["report"] and any(each[n] != found[n] for n in names)]
    rows = sorted([*rows, found], key=lambda each: (_number(each["python"]), each["dependencies"] == "newest"))
    tested = {each["python"].rpartition(".")[0] for each in rows}
    text = json.dumps({
        "date": f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}", "system": _system(),
        "untested": [version for version in PYTHONS if version not in tested], "installations": rows,
    }, indent=1)  # fmt: skip
    RECORD.write_text(f"{text}\n", encoding="utf-8")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _installations(at_hand: Mapping[str, str]) -> Iterator[tuple[str, str, list[str]]]:
    for version, interpreter in at_hand.items():
        if version == PYTHONS[0]:
            yield version, interpreter, oldest(version)
        yield version, interpreter, []


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


@functools.cache
def section() -> str:
    """The section of docs/reliability.md."""
    nothing: dict[str, Any] = {"installations": [], "untested": PYTHONS, "date": "never", "system": "no system"}
    kept = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else nothing
    names = ("python", "dependencies", *SHOWN, "tests")
    lines = [f"| {' | '.join(('Python', *names[1:-1], 'tests passed'))} |", "|---|---|" + "---:|" * (len(names) - 2)]
    lines += [f"| {' | '.join(str(each[name]) for name in names)} |" for each in kept["installations"]]
    reports = {each["report"] for each in kept["installations"]}
    same = "the same bytes in all" if len(reports) <= 1 else f"{len(reports)} different ones"
    untested = "".join(f" Untested: Python {version}." for version in kept["untested"])
    text = f"""## On which Pythons, and with which dependencies?

`.ci/matrix --record` builds the wheel, and from the sdist the same wheel again, and installs it in an environment of
its own for each Python that is at hand: with the newest dependencies, and on the oldest Python also with the oldest
that `pyproject.toml` admits. Away from the checkout `swatsim doctor` must work, a run of a shipped trace on a shipped
machine, by their names, must give the same report with kernels compiled, from the cache, and from a cache of which two
thirds are damaged, and tests of readers and kernels must pass. Last run: {kept["date"]}, {kept["system"]};
the report was {same}.{untested}

"""
    return text + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
