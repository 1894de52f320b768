"""`swatsim explore`: the best machines of a grid. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique, with_command
from swatsim.command_output import check_outputs, refuse_two_printed, say, write_documents
from swatsim.errors import SwatsimError
from swatsim.exit_codes import INCOMPLETE
from swatsim.grid_option import (
    OBJECTIVES,
    folder_option,
    grid_argument,
    grid_of,
    layers_option,
    machines_option,
    traces_option,
)
from swatsim.plain_text import printable
from swatsim.progress import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

# As swatsim.exploring.measures has them, which loads too slowly for --help; a test compares.
MEASURES = (
    "cycles", "seconds", "energy_j", "edp", "ed2p", "power_w", "traffic_bytes", "area_mm2", "on_chip_bytes",
    "macs_per_cycle",
)  # fmt: skip
DEFAULTS = {"--trials": "100", "--seed": "0", "--mapping": OBJECTIVES[0], "--layers": "*"}


@click.command()
@grid_argument
@machines_option
@traces_option
@click.option("--set", "axes", multiple=True, metavar="KEY=VALUE,VALUE,...", help="Values that a key may take.")
@click.option(
    "--objective", "objectives", multiple=True, type=click.Choice(MEASURES), default=("edp",), show_default=True,
    help="What should be least. May be repeated: then all machines are found that no other one is better than.",
)  # fmt: skip
@click.option("--budget", "budgets", multiple=True, metavar="MEASURE=MOST", help="The most that a measure may be.")
@click.option("--trials", default=100, show_default=True, metavar="NUMBER", help="How many machines are tried.")
@click.option("--seed", default=0, show_default=True, metavar="NUMBER", help="Of their choice, if not all are tried.")
@click.option(
    "--mapping", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0], show_default=True,
    help="What mappings are chosen by.",
)  # fmt: skip
@layers_option
@folder_option
@click.option("--write-arch", "arch_file", metavar="FILE.yaml", help="Write the best one as an architecture file.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the machines as JSON ('-': standard output, no table)."
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write all machines as CSV ('-': standard output, no table).")
@click.option("--html", "html_file", metavar="FILE", help="Write a page to look at ('-': standard output).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def explore(  # noqa: PLR0913, PLR0917  each is an option of the command
    grid_file: str | None,
    machines: tuple[str, ...],
    traces: tuple[str, ...],
    axes: tuple[str, ...],
    objectives: tuple[str, ...],
    budgets: tuple[str, ...],
    trials: int,
    seed: int,
    mapping: str,
    layers: str,
    folder: str,
    arch_file: str | None,
    json_file: str | None,
    csv_file: str | None,
    html_file: str | None,
    workers: int | None,
) -> None:
    """Search a grid of machines for those that are best on a set of traces, within budgets.

    All machines of the grid are tried where there are no more than --trials, else an optimizer chooses (extra
    explore). Points that are finished already are not computed again. The exit code is 3 where no machine is within
    the budgets.
    """
    outputs = {"json": json_file, "csv": csv_file, "html": html_file, "write-arch": arch_file}
    by_option = {f"--{kind}": path for kind, path in outputs.items()}
    refuse_two_printed(by_option)
    check_outputs(by_option)
    if grid_file is not None and (machines or traces or axes or layers != "*" or mapping != OBJECTIVES[0]):
        raise click.UsageError("a grid file says all of --arch, --trace, --set, --mapping (as objective) and --layers")
    limits = unique("--budget", map(parse_budget, budgets))
    from swatsim.exploring.candidates import Space
    from swatsim.exploring.searching import search

    space = Space.of(grid_of(grid_file, (machines, traces, axes, (mapping,)), layers), objectives, limits)
    with progress_bar("exploring", "machines") as progress:
        found = search(space, folder, trials=trials, seed=seed, workers=workers, progress=progress)
    given = {
        "--arch": machines, "--trace": traces, "--set": axes, "--objective": objectives, "--budget": budgets,
        "--trials": str(trials), "--seed": str(seed), "--mapping": mapping, "--layers": layers, "--output": folder,
    }  # fmt: skip
    name = ("explore",) if grid_file is None else ("explore", grid_file)
    found = with_command(found, name, given, DEFAULTS)
    if arch_file is not None and not found.front:
        outputs["write-arch"] = None  # there is none, and the exit code says so

    def render(kind: str, _: str) -> bytes:
        if kind == "write-arch":
            return found.to_yaml()
        if kind == "html":
            from swatsim.pages.page import page_of

            return page_of(found.to_json())
        return (found.to_csv() if kind == "csv" else found.to_json()).encode()

    def table(console: Console) -> None:
        from swatsim.exploring.table import print_exploration

        print_exploration(found, console)

    write_documents(outputs, render, table)
    if "-" not in by_option.values():
        say(f"{found.computed} simulations computed now; all are kept in {printable(folder)}.")
    if not found.front:
        raise SystemExit(INCOMPLETE)


def parse_budget(text: str) -> tuple[str, float]:
    """Split MEASURE=MOST; raises SwatsimError."""
    name, _, number = text.partition("=")
    if name.strip() not in MEASURES:
        raise SwatsimError(f"--budget {text}: got {name.strip()!r}, expected one of {', '.join(MEASURES)}")
    try:
        if not number.isascii() or "_" in number:
            raise ValueError
        return name.strip(), float(number)
    except ValueError:
        raise SwatsimError(f"--budget {text}: got {number!r}, expected MEASURE=NUMBER, such as area_mm2=70") from None
