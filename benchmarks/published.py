"""SWAT's published speedups beside those of the shipped traces: `python -m benchmarks.published`."""

from __future__ import annotations

from pathlib import Path

import swatsim

TRACES = Path(__file__).parent.parent / "traces"
# NeurIPS 2020, the simulated accelerator: (trace, pass) -> speedup over the same machine at sparsity 0.
PUBLISHED = {
    ("resnet50", "forward"): 3.3,
    ("resnet50", "backward"): 3.4,
    ("resnet50-90", "forward"): 5.6,
    ("resnet50-90", "backward"): 6.3,
}
# The paper's machine was not published; docs/validation.md has others.
MACHINES: dict[str, dict[str, object]] = {"dadiannao": {}}


def table() -> str:
    """The published row and one per machine: speedup in compute cycles, and with memory stalls in brackets."""
    lines = [
        "| ResNet-50 | 80 % forward | 80 % backward | 90 % forward | 90 % backward |",
        "|---|---|---|---|---|",
        f"| published | {' | '.join(f'{value}' for value in PUBLISHED.values())} |",
    ]
    for name, overrides in MACHINES.items():
        architecture = swatsim.load_architecture("dadiannao", overrides=overrides)
        traces = dict.fromkeys(trace for trace, _ in PUBLISHED)
        reports = {trace: swatsim.simulate(architecture, swatsim.load_trace(TRACES / trace)) for trace in traces}
        cells = []
        for trace, pass_name in PUBLISHED:
            total = reports[trace].total(pass_name)
            cells.append(f"{total.dense_compute_cycles / total.compute_cycles:.2f} ({total.speedup:.2f})")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
