"""`swatsim compare`: machines side by side. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique, with_command
from swatsim.command_output import check_outputs, refuse_two_printed, write_documents
from swatsim.errors import ArchitectureError, SwatsimError
from swatsim.progress import progress_bar
from swatsim.trace_option import density_option, open_trace, trace_option

if TYPE_CHECKING:
    from rich.console import Console

    from swatsim.architecture import Architecture
    from swatsim.comparison import Comparison

# As the comparison and the mapper have them, which load too slowly for --help; a test compares.
NORMALIZATIONS = ("macs", "area", "none")
MEASURES = ("cycles", "compute")
OBJECTIVES = ("cycles", "dram_bytes", "energy")
ORDERS = ("given", "speed")
DEFAULTS = {
    "--normalize": NORMALIZATIONS[0], "--baseline": "dadiannao-dense", "--by": MEASURES[0], "--sort": ORDERS[0],
    "--layers": "*", "--objective": OBJECTIVES[0],
}  # fmt: skip


@click.command()
@click.argument("machines", nargs=-1, metavar="[FILE|NAME]...")
@click.option(
    "--arch",
    "first",
    multiple=True,
    metavar="FILE|NAME",
    help="Architecture file, or the name of a shipped one; more may follow, as in --arch arch/*.yaml.",
)
@trace_option
@density_option
@click.option(
    "--normalize",
    type=click.Choice(NORMALIZATIONS),
    default=NORMALIZATIONS[0],
    show_default=True,
    help="Compare at equal peak MACs and one clock, at equal area, or in seconds of the machines as they are.",
)
@click.option(
    "--baseline",
    default=DEFAULTS["--baseline"],
    show_default=True,
    metavar="FILE|NAME",
    help="Machine whose dense cycles (skipping off) all are compared with; --set does not change it.",
)
@click.option(
    "--by",
    type=click.Choice(MEASURES),
    default=MEASURES[0],
    show_default=True,
    help="Cycles with memory stalls, or compute cycles alone.",
)
@click.option(
    "--sort",
    "order",
    type=click.Choice(ORDERS),
    default=ORDERS[0],
    show_default=True,
    help="Machines as given, or the fastest first, by all three passes.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value in every machine, such as tile.rows=4.",
)
@click.option("--layers", default="*", metavar="PATTERN", help="Only layers whose name matches, such as 'layer1.*'.")
@click.option("--objective", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0], help="What mappings are chosen by.")
@click.option("--picture", "picture_file", metavar="FILE.svg", help="Draw it as bars ('-': standard output, no table).")
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON ('-': standard output, no table).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the rows as CSV ('-': standard output, no table).")
@click.option("--html", "html_file", metavar="FILE", help="Write it as a page to look at ('-': standard output).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def compare(  # noqa: PLR0913, PLR0917  each is an option of the command
    machines: tuple[str, ...],
    first: tuple[str, ...],
    trace_path: str,
    densities: tuple[str, ...],
    normalize: str,
    baseline: str,
    by: str,
    order: str,
    overrides: tuple[str, ...],
    layers: str,
    objective: str,
    picture_file: str | None,
    json_file: str | None,
    csv_file: str | None,
    html_file: str | None,
    workers: int | None,
) -> None:
    """Simulate a trace on several machines, and compare them with one dense baseline and with themselves.

    Machines are listed as given: those of --arch first, then the others.
    """
    names = (*first, *machines)
    outputs = {"--picture": picture_file, "--json": json_file, "--csv": csv_file, "--html": html_file}
    check_arguments(names, outputs)
    from swatsim.architecture import load_architecture
    from swatsim.comparison import compare as compare_machines

    loaded = load_machines(names, overrides)
    yardstick = load_architecture(baseline)
    trace = open_trace(trace_path, densities)
    with progress_bar("comparing", "layers") as progress:
        compared = compare_machines(
            loaded, trace, baseline=yardstick, normalize=normalize, layers=layers, objective=objective,
            workers=workers, progress=progress,
        )  # fmt: skip
    given = {
        "--arch": names, "--trace": trace_path, "--density": densities, "--normalize": normalize,
        "--baseline": baseline, "--by": by, "--sort": order, "--set": overrides, "--layers": layers,
        "--objective": objective,
    }  # fmt: skip
    compared = with_command(compared, ("compare",), given, DEFAULTS)
    write_comparison(compared.fastest_first(by) if order == "speed" else compared, outputs, by)


def check_arguments(names: Sequence[str], outputs: Mapping[str, str | None]) -> None:
    """Refuse what cannot be done before anything is read. Raises SwatsimError or UsageError."""
    if not names:
        raise click.UsageError("got no machine, expected --arch FILE or more files")
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise SwatsimError(f"--arch {twice}: got it twice, expected each machine once")
    refuse_two_printed(outputs)
    check_outputs(outputs)
    picture = outputs["--picture"]
    if picture not in (None, "-") and not str(picture).endswith(".svg"):
        raise SwatsimError(f"--picture: got {picture!r}, expected a name that ends in .svg")


def load_machines(names: Sequence[str], overrides: Sequence[str]) -> dict[str, Architecture]:
    """Read all files, with the same overrides each. Raises ArchitectureError with the errors of all of them."""
    from swatsim.architecture import load_architecture, parse_override

    values = unique("--set", map(parse_override, overrides))
    found: dict[str, Architecture] = {}
    errors: list[str] = []
    for name in names:
        try:
            found[name] = load_architecture(name, overrides=values)
        except ArchitectureError as error:
            # What is wrong with an override does not name the file that has no place for it.
            lines = str(error).splitlines()
            errors += [f"{name}: {line}" if line.startswith("--set ") else line for line in lines]
    if errors:
        raise ArchitectureError("\n".join(errors))
    return found


def write_comparison(compared: Comparison, outputs: Mapping[str, str | None], by: str) -> None:
    """Write the files that were asked for, and the tables unless a file is `-`."""
    from swatsim.comparison.document import to_csv, to_json
    from swatsim.comparison.picture import to_svg

    def render(option: str, _: str) -> bytes:
        if option == "--html":
            from swatsim.pages.page import page_of

            return page_of(to_json(compared, by))
        text = {"--picture": to_svg, "--json": to_json}
        return (to_csv(compared) if option == "--csv" else text[option](compared, by)).encode()

    def table(console: Console) -> None:
        from swatsim.comparison.table import print_comparison

        print_comparison(compared, console, by)

    write_documents(outputs, render, table)
