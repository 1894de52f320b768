"""Write docs/comparison.md from the columns: `python -m swatsim.comparison.documentation > docs/comparison.md`."""

from __future__ import annotations

from swatsim.comparison.columns import COLUMNS
from swatsim.comparison.document import FORMAT, VERSION
from swatsim.saved import schema_id

_INTRODUCTION = """\
# Comparisons

<!-- Generated: python -m swatsim.comparison.documentation > docs/comparison.md -->

Which of these machines is best at this step of training?

```sh
swatsim compare --arch arch/*.yaml --trace traces/smallcnn
cp arch/dadiannao.yaml mine.yaml
swatsim compare --arch dadiannao tensordash mine.yaml --trace traces/smallcnn --by compute --sort speed
swatsim compare --arch dadiannao scnn --trace traces/smallcnn --normalize area --picture areas.svg --json areas.json
```

From Python, `architectures` are a list, or a mapping by names of your own:

```python
import swatsim

architectures = {name: swatsim.load_architecture(name) for name in ("dadiannao", "bit-tactical", "tensordash")}
comparison = swatsim.compare(architectures, swatsim.load_trace("traces/smallcnn"), normalize="macs")
comparison.rows  # a pandas DataFrame: a row per machine and pass
```

## What is compared

Each machine is simulated on the same trace, as `swatsim run` does, and so is the *baseline*: by default the shipped
`dadiannao-dense`, or what `--baseline` names. Of the baseline only its dense cycles are used: those with skipping off
and operands stored dense. A machine has two speedups:

- over the baseline: the baseline's dense cycles by the machine's cycles, after normalization. All machines share it,
  so it ranks them.
- over its own dense machine: what skipping saves this machine. Nothing is normalized. As each has a dense machine of
  its own, it does not rank them: a machine whose dense form fits the layers badly gains the most.

`forward`, `input_grad` and `weight_grad` are the convolutions of a step, `backward` the two gradients, `passes` all
three: published figures are about these. `step` adds the streaming work (batch norm, ReLU, selection, weight update),
which is large where the batch is small. With `--layers` there is no `step`.

`--by cycles` counts memory stalls, `--by compute` does not; JSON and CSV have both. `--set` changes every machine that
is compared, and never the baseline: results of different settings share one yardstick.

## Normalization

A machine's cycles are multiplied by a factor f, which makes them cycles of the baseline's clock. With clock c, peak p
(MACs a cycle) and area A of the machine, and c₀, p₀, A₀ of the baseline:

| `--normalize` | f | what is compared |
|---|---|---|
| `macs` | p / p₀ | as many multipliers as the baseline, at one clock |
| `area` | (c₀ / c) · (A / A₀) | seconds at the area of the baseline, each machine at its own clock |
| `none` | c₀ / c | seconds of the machines as they are |

- `macs` and `area` let a machine grow or shrink, its memory (widths, capacities) and its streaming units in proportion,
  and share out the work without loss. That is kind to small machines: a larger one has edges and imbalance.
- `macs` says how well a mechanism uses multipliers. The clock that it allows does not count.
- `area` counts what a mechanism costs. It needs all areas of the machine and of the baseline, at one process node: a
  machine that lacks one, or has another node, has no number, and the notes say so. Nothing is scaled between nodes.
- Values of different widths (`datapath.value_bytes`) are not made up for; the notes say so where they differ.

## Columns of a row

What has no value is null in JSON, empty in CSV and NaN in pandas. Rows are machine by machine. CSV has a last column
`trace_source` where the trace is synthetic.

| column | unit | meaning |
|---|---|---|
"""

_DOCUMENT = f"""
## The JSON document

| key | meaning |
|---|---|
| `$schema` | `{schema_id(FORMAT, VERSION)}`: the name of its JSON Schema, which `swatsim schema compare` prints |
| `format`, `version` | `{FORMAT}`, {VERSION} |
| `swatsim` | version of swatsim |
| `command` | the command that made it, without what does not change it (outputs, workers); missing where Python did |
| `trace` | name, network, scheme, digest and provenance of the trace |
| `layers`, `objective`, `normalize`, `by` | as they were asked for |
| `notes` | what was done, as below the tables |
| `baseline` | `name`, and `architecture`: the whole machine as it was simulated |
| `machines` | the same of each machine, in order, with `not_normalized`: why it has no number, or null |
| `rows` | the rows, each with all columns |
"""


def document() -> str:
    """The whole page."""
    columns = "\n".join(f"| `{column.name}` | {column.unit} | {column.meaning} |" for column in COLUMNS)
    return f"{_INTRODUCTION}{columns}\n{_DOCUMENT}"


if __name__ == "__main__":
    print(document(), end="")
