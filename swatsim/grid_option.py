"""The grid that `sweep` and `explore` take: from a file, or from --arch, --trace and --set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique

if TYPE_CHECKING:
    from swatsim.sweeping import Grid

# As the mapper has them, which loads too slowly for --help; a test compares.
OBJECTIVES = ("cycles", "dram_bytes", "energy")


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
