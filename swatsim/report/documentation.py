"""Write docs/report.md from the columns: `python -m swatsim.report.documentation > docs/report.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swatsim.moves import DIRECTIONS, TENSORS
from swatsim.report.columns import CAUSES, DESCRIBED, SAMPLED, Column
from swatsim.report.document import FORMAT, VERSION
from swatsim.saved import schema_id
from swatsim.way import Losses

_DIRECTIONS = " or ".join(f"`{name}`" for name in DIRECTIONS)
_TENSORS = ", ".join(f"`{name}`" for name in TENSORS)
_CAUSES = ", ".join(f"`{name}`" for name in CAUSES)
_LOSSES = ", ".join(f"`{name}`" for name in Losses._fields)

_DETAILS = (
    "`is_total`, `unskippable_macs` (what `ideal_cycles` are made of), and of the dense machine `dense_moved_bytes` by "
    "level, direction and tensor and `dense_stall_cycles` by cause, where there are any"
)
_INTRODUCTION = f"""\
# Reports

<!-- Generated: python -m swatsim.report.documentation > docs/report.md -->

A simulation gives a row per layer and pass, a row per stream of other work (batch norm, ReLU, selection, weight update
and so on), and totals. The same columns are in `report.rows` (a pandas DataFrame), in `--csv` and in the `rows` of
`--json`; `swatsim run --show` prints some of them.

*Dense* is the same machine with skipping off and operands stored dense. Streaming work multiplies nothing: its MACs
are 0. Totals (`layer` is `total`) are sums of rows, and ratios of such sums; what was not simulated as a whole has no
total. `backward` is the two gradients, `other` all streaming work, `step` everything.

Energy is that of bits read and written at each level and of multiplications, at the prices of the architecture file,
each with the lowest and the highest that its sources allow. In the band all sources err alike: the lows are added up,
and the highs. Leakage, clocks, control and the arithmetic of streaming work are not counted.

The roofline counts the multiplications that are carried out, so the dense machine and the one that skips have the same
roof. A MAC is one multiplication and one addition. Where the outermost level reads and writes at once (`duplex: full`),
the ridge is at the bytes of both directions.

## Columns

In the names, `<level>` is each level of the machine, outermost first, and `<outermost>` the first of them;
`<direction>` is {_DIRECTIONS}; `<tensor>` is {_TENSORS}; `<loss>` is {_LOSSES}; `<cause>` is a level or
{_CAUSES}. What has no value is null in JSON, empty in CSV and NaN in pandas.

| column | unit | meaning |
|---|---|---|
"""

_SAMPLED = """
A run of a sample ([sampling.md](sampling.md)) has these columns besides:

| column | unit | meaning |
|---|---|---|
"""

_DOCUMENT = f"""
## The JSON document

| key | meaning |
|---|---|
| `$schema` | `{schema_id(FORMAT, VERSION)}`: the name of its JSON Schema, which `swatsim schema report` prints |
| `format`, `version` | `{FORMAT}`, {VERSION} |
| `swatsim` | version of swatsim |
| `architecture` | the whole machine as it was simulated, overrides included |
| `trace` | name, network, scheme, digest and provenance of the trace |
| `command` | the command that made it, without what does not change it (outputs, workers); missing where Python did |
| `simulation` | as asked for: `objective`, `formats` by tensor, pattern of `layers`, `passes`; of a sample `sample` |
| `rows` | the rows, each with all columns |
| `details` | for each row what no column shows: {_DETAILS} |
| `area` | `parts_mm2` by component, `total_mm2`, and `uncounted` components, whose size is not known; or null |
| `footprint` | bytes kept from forward to backward, by layer and in all; or null |
"""


def document() -> str:
    """The whole page."""
    tables = ("\n".join(_lines(columns)) + "\n" for columns in (DESCRIBED, SAMPLED))
    return _INTRODUCTION + _SAMPLED.join(tables) + _DOCUMENT


def _lines(columns: Iterable[Column]) -> Iterator[str]:
    for column in columns:
        yield f"| `{column.name}` | {column.unit} | {column.meaning} |"


if __name__ == "__main__":
    print(document(), end="")
