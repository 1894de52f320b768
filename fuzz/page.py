"""docs/reliability.md, from fuzz/executions.json: `python -m docs.generate`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import coverage, differential, installations
from benchmarks.mutation_page import section
from fuzz.judging import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, TORCH_MEMORY_LIMIT_BYTES
from fuzz.one_target import MOST_INPUT_BYTES
from fuzz.targets import TARGETS

HEAD = f"""# Reliability

## Hostile input

What swatsim reads may come from strangers. Each reader is given damaged and made-up input, and must give a value or
refuse it with one line that says where, what was got and what was expected; of an architecture, one line for each
error. Anything else is a finding: another exception, an unprintable or overlong message, more than {TIME_LIMIT_S} s
for an input, or more than {MEMORY_LIMIT_BYTES >> 20} MiB ({TORCH_MEMORY_LIMIT_BYTES >> 30} GiB where PyTorch reads)
beside what the process has after its imports. What is read is checked as well: masks against NumPy, or a plain
decoder, what is fetched against the same files in a folder, and manifests, tensors, budgets, documents and
architectures are written and read again.

`python -m fuzz [TARGET...] --executions N --seconds S --record` makes the executions, on Linux, and adds their counts
to `fuzz/executions.json`; `python -m docs.generate` writes this page from it. A target with branches is led by
[Atheris](https://github.com/google/atheris) (`pip install atheris`), which goes on from inputs that reach new
branches of the code; the others draw from a numbered generator that damages valid input or writes YAML from a
grammar. `values` are inputs that were read, the others were refused. Inputs that libFuzzer makes have at most
{MOST_INPUT_BYTES >> 10} KiB: what megabytes may cost is for the tests that are named below. The test suite runs the
corpus, in `fuzz/corpus`, and the first made inputs.

"""

TAIL = """
The aim is 10,000,000 executions of each reader of bytes, and 200,000 of those of YAML, ONNX and PyTorch; the table
says how far it is reached. Branches are those that libFuzzer counts as `cov` in the last run.

Named tests hold what was found, and what is known to break readers: `tests/test_trace_manifest.py` and
`tests/test_trace_tensors.py` (limits, digests, links, bombs), `tests/test_sources_masks.py`,
`tests/test_sources_onnx.py`, `tests/test_torch_sources.py`, `tests/test_confined.py` (memory, time, crashes),
`tests/test_architecture_reader.py` (anchors, aliases, tags, nesting),
`tests/test_saved.py`, `tests/test_sweeping.py`, `tests/test_budgets.py`, `tests/test_remote_traces.py`.
`tests/test_hostile_input.py` gives each reader what is known to break readers, by name, and
`tests/test_memory_of_inputs.py` measures what small files take that would fill the memory. What is
promised of all this is in `SECURITY.md`.
"""

# What goes wrong, what then holds, and the tests of it.
FAULTS = (
    (
        "killed, at each step of what is done with files, or at random instants of a run",
        "files, folders, traces and kept points are whole, as they were, or absent; a sweep loses and repeats nothing",
        ("faults", "sweeping"),
    ),
    (
        "a disk that is full at each such step, or behind standard output; a folder that takes no files",
        "one line and exit code 2, nothing is left; kernels are compiled without being kept",
        ("faults", "faults_reading", "exit_codes"),
    ),
    (
        "a trace or a machine's file that changes while it is read",
        "refused, or the old content; a sweep computes a changed machine anew",
        ("faults_reading",),
    ),
    (
        "two processes at one file, folder, trace, sweep, cache of kernels or of traces",
        "each output is the whole of one of both",
        ("faults", "startup", "remote_traces"),
    ),
    (
        "a worker process, or one of a cluster, that dies",
        "one line and exit code 2, what was kept stays; another worker of the cluster goes on",
        ("faults", "workers", "sweeping_dask"),
    ),
    (
        "Control-C in each phase, or at a random instant",
        "exit code 130, nothing is left, no process either",
        ("faults", "workers"),
    ),
    ("a reader of the output that leaves", "exit code 141, no message", ("exit_codes", "cli_process")),
    (
        "kept kernels or points of a sweep that are cut or have a changed bit; an edit of a kernel",
        "made anew: files say their SHA-256, and the folder or the key is a digest of the sources",
        ("faults_reading", "kernels_compile", "sweeping"),
    ),
    ("counts that do not fit 64 bits", "refused before they are counted", ("headroom",)),
)
AFTER_FAULTS = """
`.ci/nightly` sends signals at 100 random instants instead of two. [Exit codes](exit_codes.md) are one list. Where an
older Python meets a full disk, half of its own bytecode may stay: delete `__pycache__` then.
"""


def faults() -> str:
    """What goes wrong on the way, as a table."""
    lines = ["## What if something goes wrong on the way?\n", "| fault | what holds | tests |", "|---|---|---|"]
    for fault, holds, tests in FAULTS:
        lines.append(f"| {fault} | {holds} | {', '.join(f'`test_{name}.py`' for name in tests)} |")
    return "\n".join(lines) + "\n" + AFTER_FAULTS


def table() -> str:
    """Markdown, a row a target."""
    recorded = json.loads((Path(__file__).parent / "executions.json").read_text(encoding="utf-8"))["targets"]
    lines = [
        "| target | reader | executions | values | branches | led by | Python | last run |",
        "|---|---|---:|---:|---:|---|---|---|",
    ]
    for name, target in TARGETS.items():
        found = recorded.get(name, {"executions": 0, "values": 0, "edges": None, "python": "", "date": "never"})
        led = "libFuzzer" if target.make is None else "generator"
        branches = "" if found["edges"] is None else f"{found['edges']:,}"
        counts = f"{found['executions']:,} | {found['values']:,} | {branches}"
        lines.append(f"| `{name}` | {target.reader} | {counts} | {led} | {found['python']} | {found['date']} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """All of docs/reliability.md."""
    measured = (differential.section(), installations.section(), coverage.section(), section())
    return "\n".join([HEAD + table() + TAIL, faults(), *measured])
