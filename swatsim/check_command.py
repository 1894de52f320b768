"""`swatsim check`: whether a run still gives what it gave. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swatsim.command_output import check_outputs, refuse_two_printed, write_documents
from swatsim.exit_codes import CHECK_FAILED
from swatsim.given import share
from swatsim.progress import progress_bar
from swatsim.trace_option import density_option, open_trace

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.option("--baseline", required=True, metavar="FILE", help="Report that `swatsim run --json` wrote earlier.")
@click.option("--report", "new", metavar="FILE", help="Compare with this report; by default the run is done again.")
@click.option("--tolerance", default="0", show_default=True, metavar="PART", help="Allowed change, such as 0.01.")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="What is checked; by default cycles.")
@click.option(
    "--trace",
    "trace_path",
    metavar="DIR|ADDRESS|FILE.csv",
    help="Trace of the new run; by default that of the baseline.",
)
@density_option
@click.option("--arch", metavar="FILE|NAME", help="Machine of the new run; by default that of the baseline.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of --arch.")
@click.option("--json", "json_file", metavar="FILE", help="Write what was found ('-': standard output, no tables).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write changes as CSV ('-': standard output, no tables).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def check(  # noqa: PLR0913, PLR0917  each is an option of the command
    baseline: str,
    new: str | None,
    tolerance: str,
    columns: tuple[str, ...],
    trace_path: str | None,
    densities: tuple[str, ...],
    arch: str | None,
    overrides: tuple[str, ...],
    json_file: str | None,
    csv_file: str | None,
    workers: int | None,
) -> None:
    """Check that a run gives what it gave before: exit code 1, and a table, where cycles changed.

    The run of the baseline is done again, with its layers, passes, objective, formats and sample. Its machine and trace
    are those of the command that it tells, or of --arch and --trace; without a command the machine is the one in it.
    """
    refuse_two_printed({"--json": json_file, "--csv": csv_file})
    again = {
        "--trace": trace_path, "--density": densities or None, "--arch": arch, "--set": overrides or None,
        "--workers": workers,
    }  # fmt: skip
    for option, value in again.items():
        if new is not None and value is not None:
            raise click.UsageError(f"--report and {option}: a report that is there is not made again")
    allowed = share(tolerance, "--tolerance")
    check_outputs({"--json": json_file, "--csv": csv_file})
    from swatsim.differences import check as check_documents
    from swatsim.differences import document_of, rerun, trace_of
    from swatsim.differences.checking import CHECKED
    from swatsim.differences.document import check_json, to_csv
    from swatsim.saved import load_saved

    before = load_saved(baseline, "report").document
    if new is not None:
        after = load_saved(new, "report").document
    else:
        path, told = trace_of(before, baseline, trace_path)
        trace = open_trace(path, densities or told)
        with progress_bar("simulating", "layers") as progress:
            after = document_of(rerun(
                before, baseline, trace, arch=arch, overrides=overrides, workers=workers, progress=progress
            ))  # fmt: skip
    found = check_documents(before, after, allowed, columns or CHECKED)
    names = (baseline, new or "run again")

    def render(kind: str, _: str) -> bytes:
        return (check_json(found, names) if kind == "json" else to_csv(found.changes)).encode()

    def table(console: Console) -> None:
        from swatsim.differences.table import print_finding

        print_finding(found, names, console)

    write_documents({"json": json_file, "csv": csv_file}, render, table)
    if not found.passed:
        sys.exit(CHECK_FAILED)
