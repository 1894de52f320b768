"""The page of an exploration: which machines were tried, and which are best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swatsim.charts import explorations
from swatsim.charts.explorations import unit, word
from swatsim.charts.run_rows import Record
from swatsim.charts.units import amount_text
from swatsim.pages.curves import pareto_figure
from swatsim.pages.markup import element, text
from swatsim.pages.section import Section
from swatsim.pages.table import Column, Kind, parameter, table, tiles


def title(document: Mapping[str, Any]) -> str:
    """What the page is about."""
    traces = ", ".join(trace["name"] for trace in document["traces"])
    return f"Exploration of {', '.join(map(str, document['space']['arch']))} on {traces}"


def sections(document: Mapping[str, Any]) -> Iterator[Section]:
    """All of it but the provenance."""
    yield Section("summary", "Summary", _tiles(document) + "".join(_words(document)))
    yield Section("pareto", "Machines", pareto_figure("pareto", explorations.pareto(document)))
    yield Section("rows", "All machines", _table(document))


def _best(document: Mapping[str, Any]) -> list[Record]:
    return [machine for machine in document["tried"] if machine["front"]]


def _tiles(document: Mapping[str, Any]) -> str:
    machines = [machine for machine in document["tried"] if not machine["as_filed"]]
    outside = sum(not machine["feasible"] and machine["refused"] is None for machine in machines)
    refused = sum(machine["refused"] is not None for machine in machines)
    facts = [("Machines tried", f"{len(machines):,}", f"{outside:,} above a budget, {refused:,} refused")]
    for name in document["objectives"]:
        if found := _best(document):
            best = min(found, key=lambda machine: machine["values"][name])
            value = amount_text(best["values"][name], unit(name))
            facts.append((f"Least {word(name)}", value, explorations.machine_label(document, best)))
    return tiles(facts)


def _words(document: Mapping[str, Any]) -> Iterator[str]:
    every = "All machines of the space were tried." if document["seed"] is None else (
        f"Machines were chosen by an optimizer, seed {document['seed']}: others may be better."
    )  # fmt: skip
    budgets = [f"{word(name)} at most {amount_text(most, unit(name))}" for name, most in document["budgets"].items()]
    yield element("p", text(f"{every} Budgets: {', '.join(budgets) or 'none'}."))
    if len(document["traces"]) > 1:
        yield element("p", text("Each measure is the geometric mean over the traces; budgets hold for each of them."))
    if not _best(document):
        yield element("p", text("No machine is within the budgets."))


def _table(document: Mapping[str, Any]) -> str:
    columns = [
        *(parameter(key) for key in document["space"]),
        *(_measure(name) for name in explorations.measures(document)),
        Column(heading="", read=_state, text=True),
    ]
    kinds = [
        Kind(name="best", has=lambda machine: machine["front"]),
        Kind(name="within budgets", has=lambda machine: machine["feasible"]),
        Kind(name="others", has=lambda machine: True),
    ]
    return table(columns, document["tried"], kinds, placeholder="part of a name or value")


def _state(machine: Record) -> str:
    if machine["refused"] is not None:
        return str(machine["refused"])
    if machine["front"]:
        return "best"
    filed = "as its file has it" if machine["as_filed"] else ""
    return filed if machine["feasible"] else ", ".join(filter(None, (filed, "above a budget")))


def _measure(name: str) -> Column:
    return Column(
        heading=name, read=lambda machine: machine["values"].get(name),
        write=lambda value: amount_text(value, unit(name)),
    )  # fmt: skip
