"""The grid that `sweep` and `explore` take, from a file or from options, and where its points are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique
from swatsim.errors import SwatsimError

if TYPE_CHECKING:
    from swatsim.sweeping import Grid

# As the mapper has them, which loads too slowly for --help; a test compares.
OBJECTIVES = ("cycles", "dram_bytes", "energy")

grid_argument = click.argument("grid_file", required=False, metavar="[GRID.yaml]")
machines_option = click.option(
    "--arch", "machines", multiple=True, metavar="FILE|NAME", help="A machine; may be repeated."
)
traces_option = click.option(
    "--trace", "traces", multiple=True, metavar="DIR", help="A trace, or a pattern such as 'traces/*'."
)
layers_option = click.option(
    "--layers", default="*", metavar="PATTERN", help="Only layers whose name matches, such as 'layer1.*'."
)


def _named(_: click.Context, __: click.Parameter, folder: str) -> str:
    if not folder:
        raise SwatsimError("--output: got an empty name, expected a folder")
    return folder


folder_option = click.option(
    "-o", "--output", "folder", required=True, metavar="DIR", callback=_named, help="Where finished points are kept."
)


def grid_of(grid_file: str | None, given: tuple[tuple[str, ...], ...], layers: str) -> Grid:
    """The grid of a file, or of --arch, --trace, --set and objectives. Raises SwatsimError or UsageError."""
    from swatsim.sweeping.grid import Grid, matching, parse_axis, read_grid

    if grid_file is not None:
        return read_grid(grid_file)
    machines, traces, axes, objectives = given
    for option, values in (("--arch", machines), ("--trace", traces)):
        if not values:
            raise click.UsageError(f"{option} is missing: a grid file, or at least one of it")
    return Grid(
        arch=machines, trace=[name for pattern in traces for name in matching(pattern)],
        overrides=unique("--set", map(parse_axis, axes)), objective=objectives or OBJECTIVES[:1], layers=layers,
    )  # fmt: skip
