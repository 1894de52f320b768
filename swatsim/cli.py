"""The command line. Nothing heavy is imported before a command needs it: `--help` answers at once."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from swatsim import (
    check_command,
    compare_command,
    completion_command,
    diff_command,
    doctor_command,
    explain_command,
    explore_command,
    list_command,
    plot_command,
    report_command,
    schema_command,
    sweep_command,
    trace_commands,
    warmup_command,
)
from swatsim.command_options import unique, with_command
from swatsim.command_output import (
    check_folder,
    check_outputs,
    refuse_two_printed,
    write_document,
    write_documents,
    write_folder,
)
from swatsim.completion import complete_values
from swatsim.errors import SwatsimError
from swatsim.exit_codes import BROKEN_PIPE, INTERRUPTED, USER_ERROR, summary
from swatsim.passes import PASSES
from swatsim.plain_text import one_line
from swatsim.progress import progress_bar
from swatsim.trace_option import density_option, open_trace, trace_option
from swatsim.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from swatsim.profile import Profile
    from swatsim.report import Report

# As swatsim.mapper and swatsim.report.table have them, which load too slowly for --help; a test compares.
OBJECTIVES = ("cycles", "dram_bytes", "energy")
SHOWN = ("cycles", "losses", "stalls", "traffic", "energy", "roofline", "mapping", "other", "footprint", "area")


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=summary())
@click.version_option(__version__, message="swatsim %(version)s")
def cli() -> None:
    """Cycles, memory traffic and speedup of sparse training on zero-skipping accelerators."""


cli.add_command(trace_commands.trace)
cli.add_command(compare_command.compare)
cli.add_command(explain_command.explain)
cli.add_command(plot_command.plot)
cli.add_command(report_command.report)
cli.add_command(warmup_command.warmup)
cli.add_command(diff_command.diff)
cli.add_command(check_command.check)
cli.add_command(completion_command.completion)
cli.add_command(doctor_command.doctor)
cli.add_command(list_command.list_command)
cli.add_command(schema_command.schema)
cli.add_command(sweep_command.sweep)
cli.add_command(explore_command.explore)


@cli.command()
@click.option("--arch", required=True, metavar="FILE|NAME", help="Architecture file, or the name of a shipped one.")
@trace_option
@density_option
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value, such as tile.rows=4.")
@click.option("--layers", default="*", metavar="PATTERN", help="Only layers whose name matches, such as 'layer1.*'.")
@click.option("--pass", "passes", multiple=True, type=click.Choice(PASSES), help="Only this pass; may be repeated.")
@click.option("--objective", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0], help="What mappings are chosen by.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="TENSOR=FORMAT",
    help="How input, weight or output (and its gradient) is stored off chip and where blocks are kept.",
)
@click.option("--show", type=click.Choice(SHOWN), default=SHOWN[0], help="What the table is about.")
@click.option("--json", "json_file", metavar="FILE", help="Write the report as JSON ('-': standard output, no table).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the rows as CSV ('-': standard output, no table).")
@click.option(
    "--html", "html_file", metavar="FILE", help="Write the report as a page to look at ('-': standard output)."
)
@click.option(
    "--timeline",
    "timeline_file",
    metavar="FILE",
    help="Write when what happens: trace events (.json.gz, .json) or a page to look at (.html).",
)
@click.option(
    "--scalesim-reports",
    "scalesim_folder",
    metavar="DIR",
    help="Write SCALE-Sim's COMPUTE_REPORT, BANDWIDTH_REPORT and DETAILED_ACCESS_REPORT, in a folder for each pass.",
)
@click.option(
    "--profile",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Say on standard error where the run's time went, stage by stage; with FILE, write it there as JSON.",
)
@click.option(
    "--sample", type=float, metavar="PART", help="Simulate about this part of a large batch, estimate the rest."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the sample: the same seed, the same report.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def run(  # noqa: PLR0913, PLR0917  each is an option of the command
    arch: str,
    trace_path: str,
    densities: tuple[str, ...],
    overrides: tuple[str, ...],
    layers: str,
    passes: tuple[str, ...],
    objective: str,
    formats: tuple[str, ...],
    show: str,
    json_file: str | None,
    csv_file: str | None,
    html_file: str | None,
    timeline_file: str | None,
    scalesim_folder: str | None,
    profile: str | None,
    sample: float | None,
    seed: int,
    workers: int | None,
) -> None:
    """Simulate one training step of a trace on an architecture."""
    refuse_two_printed({"--json": json_file, "--csv": csv_file, "--html": html_file})
    from swatsim.profile import profiling, stage

    outputs = {"json": json_file, "csv": csv_file, "html": html_file, "timeline": timeline_file}
    check_outputs({f"--{kind}": path for kind, path in outputs.items()} | {"--profile": profile})
    check_scalesim_folder(scalesim_folder)
    with profiling(wanted=profile is not None, already="start-up") as kept:
        with stage("start-up"), loading():
            from swatsim.architecture import load_architecture, parse_override
            from swatsim.kernels.compile import cached_kernels, is_cached
            from swatsim.simulation import simulate

            if timeline_file is not None:
                from swatsim.report.timeline_files import timeline_renderer

                timeline_renderer(timeline_file)
            architecture = load_architecture(arch, overrides=unique("--set", map(parse_override, overrides)))
            trace = open_trace(trace_path, densities)
        if is_cached() and not cached_kernels():
            # The first run ever: compiling beforehand is shared by all processes.
            from swatsim.warmup import warm_up

            with progress_bar("compiling", "parts") as progress:
                warm_up({arch: architecture}, workers=workers, progress=progress)
        with progress_bar("simulating", "layers") as progress:
            report = simulate(
                architecture, trace, layers=layers, passes=passes or PASSES, objective=objective,
                formats=unique("--format", map(parse_format, formats)),
                keep_timeline=timeline_file is not None or scalesim_folder is not None,
                sample=sample, seed=seed, workers=workers, progress=progress,
            )  # fmt: skip
        given = {
            "--arch": arch, "--trace": trace_path, "--density": densities, "--set": overrides, "--layers": layers,
            "--pass": passes, "--objective": objective, "--format": formats,
            **({} if sample is None else {"--sample": str(sample), "--seed": str(seed)}),
        }  # fmt: skip
        report = with_command(report, ("run",), given, {"--layers": "*", "--objective": OBJECTIVES[0]})
        with stage("report"):
            if scalesim_folder is not None:
                write_scalesim_reports(report, scalesim_folder)
            write_outputs(report, outputs, show)
    if kept is not None and profile is not None:
        write_profile(kept, profile)


@contextmanager
def loading() -> Iterator[None]:
    """For a block that imports: what is imported is no garbage, neither now nor later, and numpy begins no threads."""
    # None of numpy's matrix products is large, and its threads spin for as long as it takes to import the rest.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def write_profile(profile: Profile, path: str) -> None:
    """Write where the time went: as a table to standard error (`-`), or as JSON to a file."""
    from swatsim.profile import profile_json, profile_table

    if path == "-":
        click.echo(profile_table(profile.spent), err=True, nl=False)
    else:
        write_document(path, profile_json(profile.spent).encode())


def parse_format(text: str) -> tuple[str, str]:
    """Split TENSOR=FORMAT; what the two may be is checked where they are used."""
    tensor, equals, name = text.partition("=")
    if not equals:
        raise SwatsimError(f"--format {text}: got no '=', expected TENSOR=FORMAT, such as weight=bitmap")
    return tensor.strip(), name.strip()


def check_scalesim_folder(path: str | None) -> None:
    """Refuse a folder that holds anything but such reports, before any work is done for it. Raises SwatsimError."""
    if path is not None:
        from swatsim.report.scalesim_reports import WRITTEN

        check_folder("--scalesim-reports", path, WRITTEN)


def write_scalesim_reports(report: Report, path: str) -> None:
    """Write SCALE-Sim's reports, all of them or none. Raises SwatsimError."""
    from swatsim.report.scalesim_reports import scalesim_files

    write_folder(path, scalesim_files(report))


def write_outputs(report: Report, outputs: Mapping[str, str | None], show: str) -> None:
    """Write the files that were asked for, and the table unless a file is `-`."""
    from swatsim.report.delimited import to_csv
    from swatsim.report.document import to_html, to_json
    from swatsim.report.timeline_files import render_timeline

    def render(kind: str, path: str) -> bytes:
        if kind == "timeline":
            return render_timeline(report, path)
        if kind == "html":
            return to_html(report)
        return (to_json(report) if kind == "json" else to_csv(report)).encode()

    def table(console: Console) -> None:
        from swatsim.report.table import print_table

        print_table(report, console, show)

    write_documents(outputs, render, table)


complete_values(cli)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a user's mistake is one message on standard error and exit code 2 (`exit_codes`)."""
    output = sys.stdout
    try:
        cli.main(args=arguments, prog_name="swatsim", standalone_mode=False)
    except SystemExit as end:
        # Where nobody reads its --help click puts something quiet in place of standard output, and ends with 1.
        if end.code == 1 and sys.stdout is not output:
            sys.exit(BROKEN_PIPE)
        raise
    except SwatsimError as error:
        _refuse(str(error))
    except click.exceptions.NoArgsIsHelpError as asked:
        with suppress(OSError):
            asked.show()
        sys.exit(USER_ERROR)
    except click.ClickException as error:
        with suppress(OSError):
            # It may hold what the user gave.
            said = one_line(" ".join(error.format_message().split()))
            click.UsageError(said, getattr(error, "ctx", None)).show()
        sys.exit(USER_ERROR)
    except MemoryError:
        _refuse("memory: got less than the largest layer needs, expected more, or fewer --workers")
    except OSError as error:  # what the machine lacks where no step expects it: processes, open files, room
        where = error.filename or ("system" if _has_working_directory() else "working directory")
        _refuse(one_line(f"{where}: got an error ({error.strerror or error}), expected none"))
    except (click.Abort, KeyboardInterrupt) as end:
        if isinstance(end.__cause__, EOFError):  # which click takes for Control-C, but is a damaged installation
            raise end.__cause__ from None
        sys.exit(INTERRUPTED)


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109  Path imports more
    except OSError:
        return False


def _refuse(message: str) -> NoReturn:
    with suppress(OSError):  # nobody reads standard error, or it is full
        click.echo(message, err=True)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None  # the interpreter would try again, and say so
    sys.exit(USER_ERROR)
