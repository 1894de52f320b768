"""`swatsim sweep`: many runs, whose finished points are kept. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_options import with_command
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
from swatsim.progress import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from swatsim.sweeping import Sweep


@click.command()
@grid_argument
@machines_option
@traces_option
@click.option("--set", "axes", multiple=True, metavar="KEY=VALUE,VALUE,...", help="Values of a key of the machine.")
@click.option("--objective", "objectives", multiple=True, type=click.Choice(OBJECTIVES), help="May be repeated.")
@layers_option
@folder_option
@click.option("--shard", metavar="I/N", help="Compute the I-th of N shares of the points: for job arrays.")
@click.option("--dask", metavar="ADDRESS", help="Compute on the workers of this Dask scheduler (extra dask).")
@click.option("--json", "json_file", metavar="FILE", help="Write the points as JSON ('-': standard output, no table).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the rows as CSV ('-': standard output, no table).")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write the rows as Parquet (extra parquet).")
@click.option("--html", "html_file", metavar="FILE", help="Write the points as a page ('-': standard output).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def sweep(  # noqa: PLR0913, PLR0917  each is an option of the command
    grid_file: str | None,
    machines: tuple[str, ...],
    traces: tuple[str, ...],
    axes: tuple[str, ...],
    objectives: tuple[str, ...],
    layers: str,
    folder: str,
    shard: str | None,
    dask: str | None,
    json_file: str | None,
    csv_file: str | None,
    parquet_file: str | None,
    html_file: str | None,
    workers: int | None,
) -> None:
    """Simulate every combination of machines, traces and values of keys.

    Points that are finished already are not computed again: a sweep that was stopped goes on where it was. The exit
    code is 3 where a point could not be simulated.
    """
    outputs = {"json": json_file, "csv": csv_file, "html": html_file, "parquet": parquet_file}
    by_option = {f"--{kind}": path for kind, path in outputs.items()}
    refuse_two_printed(by_option)
    check_outputs(by_option)
    given = machines or traces or axes or objectives or layers != "*"
    if grid_file is not None and given:
        raise click.UsageError("a grid file says all of --arch, --trace, --set, --objective and --layers")
    share = None if shard is None else parse_shard(shard)
    from swatsim.sweeping.result import check_parquet
    from swatsim.sweeping.running import run_grid

    if parquet_file is not None:
        check_parquet()
    grid = grid_of(grid_file, (machines, traces, axes, objectives), layers)
    with progress_bar("sweeping", "points") as progress:
        found = run_grid(grid, folder, shard=share, dask=dask, workers=workers, progress=progress)
    # Whoever computes the points, the document is the same.
    decides = {
        "--arch": machines, "--trace": traces, "--set": axes, "--objective": objectives, "--layers": layers,
        "--shard": shard, "--output": folder,
    }  # fmt: skip
    name = ("sweep",) if grid_file is None else ("sweep", grid_file)
    found = with_command(found, name, decides, {"--layers": "*"})

    def render(kind: str, _: str) -> bytes:
        if kind == "html":
            from swatsim.pages.page import page_of

            return page_of(found.to_json())
        return found.to_parquet() if kind == "parquet" else getattr(found, f"to_{kind}")().encode()

    def table(console: Console) -> None:
        from swatsim.sweeping.table import print_sweep

        print_sweep(found, console)

    write_documents(outputs, render, table)
    if "-" not in outputs.values():
        say(_summary(found, folder))
    if found.failed:
        raise SystemExit(INCOMPLETE)


def parse_shard(text: str) -> tuple[int, int]:
    """Split I/N; raises SwatsimError."""
    number, _, count = text.partition("/")
    if not (number.isascii() and number.isdigit() and count.isascii() and count.isdigit() and len(text) < 20):
        raise SwatsimError(f"--shard {text}: got no I/N, expected a share such as 1/4")
    return int(number), int(count)


def _summary(found: Sweep, folder: str) -> str:
    failed = f" {len(found.failed)} could not be simulated, the table says why." if found.failed else ""
    return f"{len(found.points)} points, {found.computed} of them computed now, are kept in {folder}.{failed}"
