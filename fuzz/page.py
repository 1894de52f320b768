"""docs/reliability.md, from fuzz/executions.json: `python -m docs.generate`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.mutation_page import section
from fuzz.judging import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, TORCH_MEMORY_LIMIT_BYTES
from fuzz.targets import TARGETS

HEAD = f"""# Reliability

## Hostile input

What swatsim reads may come from strangers. Each reader is given damaged and made-up input, and must give a value or
refuse it with one line that says where, what was got and what was expected; of an architecture, one line for each
error. Anything else is a finding: another exception, an unprintable or overlong message, more than {TIME_LIMIT_S} s
for an input, or more than {MEMORY_LIMIT_BYTES >> 20} MiB ({TORCH_MEMORY_LIMIT_BYTES >> 30} GiB where PyTorch reads)
beside what the process has after its imports. What is read is checked as well: masks against NumPy, or a plain
decoder, and manifests, tensors, documents and architectures are written and read again.

`python -m fuzz [TARGET...] --executions N --seconds S --record` makes the executions, on Linux, and adds their counts
to `fuzz/executions.json`; `python -m docs.generate` writes this page from it. A target with branches is led by
[Atheris](https://github.com/google/atheris) (`pip install atheris`), which goes on from inputs that reach new
branches of the code; the others draw from a numbered generator that damages valid input or writes YAML from a
grammar. `values` are inputs that were read, the others were refused. The test suite runs the corpus, in
`fuzz/corpus`, and the first made inputs.

"""

TAIL = """
The aim is 10,000,000 executions of each reader of bytes, and 200,000 of those of YAML, ONNX and PyTorch; the table
says how far it is reached. Branches are those that libFuzzer counts as `cov` in the last run.

Named tests hold what was found, and what is known to break readers: `tests/test_trace_manifest.py` and
`tests/test_trace_tensors.py` (limits, digests, links, bombs), `tests/test_sources_masks.py`,
`tests/test_sources_onnx.py`, `tests/test_architecture_reader.py` (anchors, aliases, tags, nesting),
`tests/test_saved.py`, `tests/test_sweeping.py`.
"""


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
    return HEAD + table() + TAIL + "\n" + section()
