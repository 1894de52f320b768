"""`swatsim list`: what there is to choose from. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_output import check_outputs, refuse_two_printed, write_documents

if TYPE_CHECKING:
    from rich.console import Console

# As swatsim.listing has them, which loads too slowly for --help; a test compares.
KINDS = ("machines", "traces", "schemes", "datapaths", "networks", "formats")


@click.command(name="list")
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar="[KIND]")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...")
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON ('-': standard output, no table).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write one KIND as CSV ('-': standard output, no table).")
def list_command(kind: str | None, folders: tuple[str, ...], json_file: str | None, csv_file: str | None) -> None:
    """List what there is: machines, traces, schemes, datapaths, networks or formats.

    Without KIND, all of them by name. Traces are looked for in each FOLDER and below; without any, in ./traces, or
    here.
    """
    if folders and kind != "traces":
        raise click.UsageError(f"got {folders[0]!r} after {kind}, expected folders after traces alone")
    if csv_file is not None and kind is None:
        raise click.UsageError(f"--csv: got no KIND, expected one of {', '.join(KINDS)}")
    refuse_two_printed({"--json": json_file, "--csv": csv_file})
    check_outputs({"--json": json_file, "--csv": csv_file})
    from swatsim.listing import listed
    from swatsim.listing.output import to_csv, to_json

    listings = [listed(each, folders) for each in ([kind] if kind else KINDS)]

    def render(output: str, _: str) -> bytes:
        return (to_json(listings) if output == "json" else to_csv(listings[0])).encode()

    def table(console: Console) -> None:
        from swatsim.listing.output import print_listing, print_overview

        if kind is None:
            print_overview(listings, console)
        else:
            print_listing(listings[0], console)

    write_documents({"json": json_file, "csv": csv_file}, render, table)
