"""Where SWAT's published speedups lie among machines of the family `lanes`.

python -m benchmarks.calibration            # prints the section of docs/validation.md, from the kept results
python -m benchmarks.calibration --update   # makes calibration.csv and calibration_step.csv anew: ten minutes
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import calibration_sweep
from benchmarks.calibration_sweep import TOLERANCE, Row, read, write
from benchmarks.published import PUBLISHED

SWEEP = Path(__file__).with_suffix(".csv")
STEP = SWEEP.with_name("calibration_step.csv")

THIN = (("resnet50-thin", "forward"), ("resnet50-thin", "backward"))
HEADINGS = ("80 % forward", "80 % backward", "90 % forward", "90 % backward")
# Rows that are one machine of the sweep each, not the same one on other masks or counted otherwise.
MACHINES = ("plain", "balanced", "grid", "ahead", "moves")

HEAD = """
## SWAT's speedups

The paper estimates them with DNNsim, for a machine with a "DaDianNao-like" hierarchy whose datapath it does not
describe: ResNet-50 over the same machine at sparsity 0, {published}. So machines can be tried until the four come
out, on masks that are not the paper's either. `python -m benchmarks.calibration --update` tries {machines}, all of
DaDianNao's peak (`benchmarks/calibration.csv`), on traces/resnet50, traces/resnet50-90 and, beside,
traces/resnet50-thin. Counted are compute cycles of all layers, each contraction in its fastest way; *backward* is
input_grad and weight_grad together.

The *plain* machine has a crossbar in chunks of 32 steps, and the 16 rows of a tile wait for each other after each.
*Balanced* is the same with `{chosen}`: the filters or channels that are scheduled are dealt to the rows the fullest
first, so that those that wait for each other have about as much to do (SparTen's balancing), and all tiles wait, since
they share a broadcast. In *square tile* 4 rows wait, each beside 4 columns; in *nobody waits* no row does before the
end of the pass.

"""

FOUND = """
- **The balanced machine is within {balanced} of all four.** {within} machines of the sweep are within 10 %, {grid} of
  them in its grid of tiles, chunks and barriers (rows x columns of a tile: {tiles}), {grid_balanced} with balanced
  rows and {grid_plain} without. So the four figures do not single out a machine. Of these, the balanced one is
  nearest to what DaDianNao published: its tile, two chunks in its NBin, one broadcast to all tiles.
- **No list of moves reaches them.** The best one ({moves_label}) misses one of the four by {moves}; the 8-input
  multiplexers of Bit-Tactical and TensorDash, which look 2 steps ahead, by {eight}.
- **The masks matter as much as the machine.** Where as many non-zeros stand anywhere, the plain machine comes within
  {random}, and the balanced one is {random_balanced} off. Trained weights cluster by filter and channel, and what
  waits, waits for the densest: if the paper's masks had no such clusters, its machine was rather the plain one.
- **A share that does not shrink, and a cost per non-zero**: time over dense time, as a line through the figures of both
  sparsities, forward and backward. Published {time_published}; plain {time_plain}; balanced {time_balanced}; plain on
  random masks {time_random}. Ours has the larger share that does not shrink: the fewer
  non-zeros rows have, the more unlike they are, and the longer they wait.
- **The paper's machine hardly skips both operands**: with the natural zeros of activations too, even the plain one
  would have {both} in the forward pass.

What would decide between these: how many non-zeros each filter of one layer had in the masks that were simulated, or
the cycles of one layer.

### One key changed

From the balanced machine; *off by* is the largest of the four differences.

"""

COUNTED = """
### Counted otherwise

The balanced machine's same cycles, if the paper had counted in another way:

"""

WITH_MEMORY = """
### With memory

Whole simulations, as `swatsim run` prints them: in compute cycles, and with stalls in brackets. The mapper weighs
traffic, and may take a way of more compute cycles. The SB's 512 bytes a cycle are 256 values; at 90 % the bitmaps of
the ten steps that are done in a cycle take 320 more.

"""


def section() -> str:
    """The section of docs/validation.md, from the kept results."""
    rows, steps = read(SWEEP), read(STEP)
    single = [row for row in rows if row.part == "balanced"]
    counted = [row for row in rows if row.part == "counting: balanced"]
    machines = [row for row in rows if row.part in MACHINES]
    head = HEAD.format(
        published=_published(), machines=f"{len(machines)} machines",
        chosen=_one(rows, "random masks", "balanced").keys,
    )  # fmt: skip
    return (
        _wrapped(head)
        + _table("machine", [("published", None), *_closer(rows)])
        + _wrapped(FOUND.format(**_found(rows, machines)))
        + _table("key", [(row.label, row) for row in single])
        + COUNTED
        + _table("counted are", [(row.label, row) for row in counted])
        + WITH_MEMORY
        + _step_table(steps)
    )


def _wrapped(text: str) -> str:
    """The text with its paragraphs and list items wrapped anew, now that the figures are in it."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and lines[-1] and line and not line.startswith(("- ", "#")):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(
        textwrap.fill(
            line, 120, subsequent_indent="  " if line.startswith("- ") else "",
            break_long_words=False, break_on_hyphens=False,
        )
        for line in lines
    )  # fmt: skip


def _published() -> str:
    cells = [f"{value:g}×" for value in PUBLISHED.values()]
    return f"forward {cells[0]} and backward {cells[1]} at 80 %, {cells[2]} and {cells[3]} at 90 %"


def _closer(rows: Sequence[Row]) -> Iterable[tuple[str, Row]]:
    for row in rows:
        if row.part.startswith("counting: ") and row.label == "cycles of all layers":
            yield row.part.removeprefix("counting: "), row
    for row in rows:
        if row.part == "random masks":
            yield f"{row.label}, on random masks", row


def _found(rows: Sequence[Row], machines: Sequence[Row]) -> dict[str, object]:
    # Keys that have no effect beside others make machines that are the same.
    distinct = list({tuple(row.speedups.values()): row for row in reversed(machines)}.values())
    near = [row for row in distinct if row.worst <= TOLERANCE]
    grid = [row for row in near if row.part == "grid"]
    moves = min((row for row in rows if row.part == "moves"), key=lambda row: row.worst)
    balanced, plain = (_one(rows, part, "as it is") for part in ("balanced", "plain"))
    random = _one(rows, "random masks", "plain")
    tiles = {row.label: sum(each.label == row.label for each in grid) for row in rows if row.part == "grid"}
    return {
        "balanced": _percent(balanced.worst), "within": len(near), "grid": len(grid),
        "grid_balanced": sum("balance=greedy" in row.keys for row in grid),
        "grid_plain": sum("balance=none" in row.keys for row in grid),
        "tiles": ", ".join(f"{label} {count}" for label, count in tiles.items()),
        "moves": _percent(moves.worst), "moves_label": moves.label,
        "eight": _percent(min(row.worst for row in rows if row.part == "moves" and row.label.startswith("8 "))),
        "random": _percent(random.worst),
        "random_balanced": _percent(_one(rows, "random masks", "balanced").worst),
        "time_published": _time(PUBLISHED), "time_plain": _time(plain.speedups),
        "time_balanced": _time(balanced.speedups), "time_random": _time(random.speedups),
        "both": " and ".join(
            f"{_one(rows, 'plain', 'datapath.skip: both').speedups[trace, 'forward']:.1f}×"
            for trace in ("resnet50", "resnet50-90")
        ),
    }  # fmt: skip


def _time(speedups: calibration_sweep.Speedups) -> str:
    """Time over dense time, as a line through 80 % and 90 %."""
    lines = []
    for what in ("forward", "backward"):
        at_80, at_90 = (1 / speedups[trace, what] for trace in ("resnet50", "resnet50-90"))
        slope = (at_80 - at_90) / 0.1
        lines.append(f"{100 * (at_90 - 0.1 * slope):.1f} % + {slope:.2f}·density")
    return " and ".join(lines)


def _one(rows: Sequence[Row], part: str, label: str) -> Row:
    return next(row for row in rows if (row.part, row.label) == (part, label))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _table(first: str, named: Iterable[tuple[str, Row | None]]) -> str:
    lines = [
        f"| {first} | {' | '.join(HEADINGS)} | off by | thin forward | thin backward |",
        f"|---|{'---:|' * (len(HEADINGS) + 3)}",
    ]
    for name, row in named:
        speedups = PUBLISHED if row is None else row.speedups
        cells = [f"{speedups[key]:.2f}" if row else f"{speedups[key]:g}" for key in PUBLISHED]
        cells += [_percent(row.worst), *(f"{row.speedups[key]:.2f}" for key in THIN)] if row else [""] * 3
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _step_table(steps: Sequence[Row]) -> str:
    lines = [
        f"| machine | {' | '.join(HEADINGS)} | off by | thin forward | thin backward |",
        f"|---|{'---:|' * (len(HEADINGS) + 3)}",
    ]
    for row in steps:
        if row.part == "compute":
            stalled = _one(steps, "with stalls", row.label)
            cells = [f"{row.speedups[key]:.2f} ({stalled.speedups[key]:.2f})" for key in (*PUBLISHED, *THIN)]
            cells.insert(len(PUBLISHED), f"{_percent(row.worst)} ({_percent(stalled.worst)})")
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the section; with --update run all machines first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="run all machines, and keep the results")
    if parser.parse_args().update:
        write(calibration_sweep.sweep(), SWEEP)
        write(calibration_sweep.steps(), STEP)
    sys.stdout.write(section())


if __name__ == "__main__":
    main()
