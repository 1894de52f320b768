"""An exploration for people: the machines as they were, and the best ones."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from swatsim.charts.explorations import unit
from swatsim.charts.units import amount_text
from swatsim.exploring.candidates import Tried
from swatsim.exploring.result import Exploration
from swatsim.plain_text import printable
from swatsim.quantities import NOTHING
from swatsim.sweeping.grid import ARCH
from swatsim.sweeping.table import SYNTHETIC

_MOST_SHOWN = 20


def print_exploration(found: Exploration, console: Console) -> None:
    """What files have, then the machines that no other is better than; the rest is in the documents."""
    space = found.space
    varied = [key for key, values in space.axes.items() if len(values) > 1] or [ARCH]
    table = Table(box=None, pad_edge=False)
    for key in varied:
        table.add_column(key, overflow="fold")
    for name in space.measures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    shown = [tried for tried in found.tried if tried.as_filed] + list(found.front[:_MOST_SHOWN])
    for tried in shown:
        given = [printable(str(tried.machine.get(key, NOTHING))) for key in varied]
        values = [
            amount_text(tried.values[name], unit(name)) if name in tried.values else NOTHING for name in space.measures
        ]
        # As text: a machine's name is not markup, whatever brackets it has.
        table.add_row(*map(Text, (*given, *values, _note(tried))))
    console.print(table)
    console.print()
    for line in _words(found):
        console.print(Text(line))


def _note(tried: Tried) -> str:
    if tried.refused is not None:
        return printable(tried.refused)
    outside = "" if tried.feasible else "above a budget"
    return ", ".join(filter(None, ("as its file has it" if tried.as_filed else "", outside)))


def _words(found: Exploration) -> list[str]:
    tried = [each for each in found.tried if not each.as_filed]
    refused = sum(each.refused is not None for each in tried)
    outside = sum(each.refused is None and not each.feasible for each in tried)
    above = f"{outside:,} above {found.budget_text}, " if found.space.budgets else ""
    how = "all there are" if found.seed is None else f"of {len(found.space):,}, chosen with seed {found.seed}"
    lines = [f"{len(tried):,} machines tried ({how}): {above}{refused:,} refused."]
    if len(found.front) > _MOST_SHOWN:
        more = len(found.front) - _MOST_SHOWN
        lines.append(f"{more:,} more machines that no other is better than: --json and --csv have them.")
    if not found.front:
        lines.append("No machine is within the budgets.")
        lines += [f"Refused, such as: {printable(str(each.refused))}" for each in tried if each.refused is not None][:1]
    if len(found.space.traces) > 1:
        lines.append("Measures are geometric means over the traces; budgets hold for each of them.")
    if any(trace["synthetic"] for trace in found.traces):
        lines.append(SYNTHETIC)
    return lines
