"""Whether an installation of swatsim works: each thing that it needs, tried."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from swatsim.architecture import load_architecture, shipped_architectures
from swatsim.errors import SwatsimError
from swatsim.kernels import compile as kernels
from swatsim.layer import Layer
from swatsim.saved import schema_bytes, schema_names
from swatsim.simulation import simulate
from swatsim.synthesis import load_profile
from swatsim.synthesis.profile import profile_names
from swatsim.trace import Trace
from swatsim.version import __version__

GOOD, NOTE, BAD = "ok", "note", "FAILED"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9][0-9.]*))?")
_DEVELOPMENT = frozenset({"dev", "test", "docs"})  # extras of those who work on swatsim

# A chunk of 32 steps, 16 lanes each: of the 512 channels of every filter 128 are there, which 16 lanes take in 8
# cycles, window by window; 16 tiles of 16 rows hold all filters. Counted by hand.
_MACHINE = "dadiannao"
_FILTERS, _CHANNELS, _PRESENT, _SIDE = 256, 512, 128, 2
_COMPUTE_CYCLES, _DENSE_CYCLES = 32, 128


class Result(NamedTuple):
    """What a check found; a note is no mistake, but good to know."""

    name: str
    state: str  # GOOD, NOTE or BAD
    text: str


def examine() -> Iterator[Result]:
    """Check one thing after the other; a check that breaks is a result too."""
    for check in CHECKS:
        try:
            yield from check()
        except (OSError, RuntimeError, SwatsimError, ImportError, ValueError, TypeError) as error:
            name = check.__name__.removeprefix("_").replace("_", " ")
            yield Result(name, BAD, " ".join(f"{type(error).__name__}: {error}".split()))


def _versions() -> Iterator[Result]:
    folder = Path(__file__).parent
    yield Result("swatsim", GOOD, f"{__version__} in {folder}")
    yield Result("python", GOOD, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, least, extra in _requirements():
        if extra is None:
            good, text = _installed(name, least)
            yield Result(name, GOOD if good else BAD, text if good else f"{text}: pip install --upgrade swatsim")


def _cache() -> Iterator[Result]:
    folder = kernels.cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        advice = "every run compiles anew; SWATSIM_CACHE_DIR names another folder"
        yield Result("cache", BAD, f"{folder}: cannot be written ({error.strerror}): {advice}")
        return
    count = kernels.cached_kernels()
    more = "" if count else ": swatsim warmup compiles them"
    yield Result("cache", GOOD if count else NOTE, f"{folder} has {count} compiled kernels{more}")


def _compiler() -> Iterator[Result]:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Result("compiler", NOTE, "NUMBA_DISABLE_JIT is set: kernels are interpreted, a hundred times as slow")
        return
    import numpy as np
    from llvmlite.binding import get_host_cpu_name

    from swatsim.kernels.bits import count_ones

    compiled: Any = count_ones
    if compiled(np.uint64(0b1011)) != 3 or not compiled.signatures:
        yield Result("compiler", BAD, "a compiled kernel gives a wrong result, expected 3 ones in 0b1011")
    else:
        yield Result("compiler", GOOD, f"numba compiles for {get_host_cpu_name()}")


def _processors() -> Iterator[Result]:
    from numba import config

    threads = getattr(config, "NUMBA_NUM_THREADS")  # noqa: B009  numba sets its settings by name
    count = os.cpu_count() or 1
    forks = sys.platform == "linux"
    how = "forked processes" if forks else "threads, which are slower: processes are forked on Linux alone"
    text = f"{count} processors for {how}; numba may use {threads} threads"
    yield Result("processors", GOOD if forks else NOTE, text)


def _extras() -> Iterator[Result]:
    for name, least, extra in _requirements():
        if extra is not None and extra not in _DEVELOPMENT:
            good, text = _installed(name, least)
            hint = "" if good else f": pip install 'swatsim[{extra}]'"
            yield Result(f"extra {extra}", GOOD if good else NOTE, f"{name} {text}{hint}")


def _data() -> Iterator[Result]:
    machines = shipped_architectures()
    for name in machines:
        load_architecture(name)
    for name in schema_names():
        schema_bytes(name)
    profiles = profile_names()
    for name in profiles:
        load_profile(name)
    text = f"{len(machines)} machines, {len(profiles)} profiles, {len(schema_names())} schemas"
    yield Result("data", GOOD if machines and profiles else BAD, text)


def _simulation() -> Iterator[Result]:
    weight = np.zeros((_FILTERS, _CHANNELS, 1, 1), dtype=bool)
    weight[:, :_PRESENT] = True
    layer = Layer.from_arrays(
        "layer", input=np.ones((1, _CHANNELS, _SIDE, _SIDE)), weight=weight,
        output_grad=np.ones((1, _FILTERS, _SIDE, _SIDE)),
    )  # fmt: skip
    machine = load_architecture(_MACHINE)
    (row,) = simulate(machine, Trace("doctor", [layer]), passes=["forward"], workers=1).layer_records
    found, expected = (row.compute_cycles, row.dense_compute_cycles), (_COMPUTE_CYCLES, _DENSE_CYCLES)
    text = "a layer on {} takes {} compute cycles, {} without skipping".format(_MACHINE, *found)
    if found != expected:
        yield Result("simulation", BAD, f"{text}; expected {expected[0]} and {expected[1]}")
    else:
        yield Result("simulation", GOOD, text)


CHECKS: Sequence[Callable[[], Iterator[Result]]] = (
    _versions, _cache, _compiler, _processors, _extras, _data, _simulation,
)  # fmt: skip


def _requirements() -> Iterator[tuple[str, str, str | None]]:
    """What swatsim says it needs on this Python: name, least version, and the extra that needs it."""
    for text in importlib.metadata.requires("swatsim") or ():
        requirement, _, condition = text.partition(";")
        older = re.search(r"python_version < ['\"](\d+)\.(\d+)['\"]", condition)
        if older is not None and sys.version_info[:2] >= (int(older[1]), int(older[2])):
            continue
        found = _REQUIREMENT.match(requirement)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", condition)
        if found is not None:
            yield found[1], found[2] or "0", extra[1] if extra else None


def _installed(name: str, least: str) -> tuple[bool, str]:
    """Whether a package is there in a version that will do, and which."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False, "is not installed"
    if _numbers(version) < _numbers(least):
        return False, f"is {version}, expected {least} or later"
    return True, version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:3])
