"""The networks that swatsim knows, as docs/networks.md: `python -m benchmarks.networks [--update]`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.page import print_or_update
from swatsim.networks import NETWORKS, network_names, network_shapes

DOCUMENT = Path(__file__).parent.parent / "docs" / "networks.md"

HEAD = """# Networks

Networks of the literature as layer shapes, without torch: `swatsim.networks.network_shapes(name, images=1)` gives the
layers and the graph that a captured trace has. With the extra `torch`, `swatsim.torch.networks.build(name)` executes
the same description, untrained. Both take another number of `classes`. This page is from
`python -m benchmarks.networks`; `--update` writes it anew, and a test compares the two.

Multiplications are those of the layers in the forward pass of one input; attention's two products have no weights and
are no layers. Parameters are weights, biases, and those of normalisations, class tokens and positions.

"""

TAIL = """
A network is a file in `swatsim/networks/`, or a function in its family's, and is found by itself: it adds nodes to a
`Builder`, which works out their shapes and refuses those that contradict each other. Nothing else needs an edit, tests
included; this page is written anew.
"""


def table() -> str:
    """Markdown, one row a network."""
    lines = [
        "| name | network | input | classes | layers | parameters | multiplications | source |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    for name in network_names():
        definition, shapes = NETWORKS[name], network_shapes(name)
        size = " × ".join(map(str, definition.input_shape))
        counts = f"{definition.classes} | {len(shapes.layers)} | {shapes.parameters:,} | {shapes.macs:,}"
        lines.append(f"| `{name}` | {shapes.title} | {size} | {counts} | {shapes.source} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """All of docs/networks.md."""
    return HEAD + table() + TAIL


if __name__ == "__main__":
    print_or_update(document, DOCUMENT, __doc__)
