"""`swatsim diff`: two reports of a run beside each other. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_output import check_outputs, refuse_two_printed, write_documents
from swatsim.errors import SwatsimError

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("before", metavar="A.json")
@click.argument("after", metavar="B.json")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Only this column; may be repeated.")
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON ('-': standard output, no tables).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write changes as CSV ('-': standard output, no tables).")
def diff(before: str, after: str, columns: tuple[str, ...], json_file: str | None, csv_file: str | None) -> None:
    """Say what differs between two reports that `swatsim run --json` wrote.

    First what was simulated differently, then totals and rows, column by column, with the ratio of B to A. The tables
    show the main columns, JSON and CSV have all; --column chooses for both. Whatever differs, the exit code is 0:
    `swatsim check` is for tests.
    """
    refuse_two_printed({"--json": json_file, "--csv": csv_file})
    check_outputs({"--json": json_file, "--csv": csv_file})
    from swatsim.differences import differences
    from swatsim.differences.document import to_csv, to_json
    from swatsim.saved import load_saved

    names = (before, after)
    documents = load_saved(before, "report").document, load_saved(after, "report").document
    found = differences(*documents)
    for name in columns:
        if name not in documents[0]["rows"][0]:
            raise SwatsimError(f"--column: got {name!r}, expected a column of {before}, such as cycles")
    chosen = found.of(columns) if columns else found.changes

    def render(kind: str, _: str) -> bytes:
        return (to_json(found, names, chosen) if kind == "json" else to_csv(chosen)).encode()

    def table(console: Console) -> None:
        from swatsim.differences.table import main_columns, print_differences

        print_differences(found, documents, names, columns or main_columns(documents[0]), console)

    write_documents({"json": json_file, "csv": csv_file}, render, table)
