"""`swatsim trace`: make, look at, check and cut traces. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swatsim.command_output import check_outputs, refuse_two_printed, say, write_documents
from swatsim.errors import SwatsimError
from swatsim.exit_codes import USER_ERROR
from swatsim.plain_text import printable
from swatsim.trace_option import densities_of, density_option

if TYPE_CHECKING:
    from rich.console import Console

    from swatsim.trace import Trace

_OUTPUT = click.option("-o", "--output", required=True, metavar="DIR", help="The trace to write: a new directory.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a directory that exists.")
_NAME = click.option("--name", metavar="TEXT", help="Name of the trace; by default that of its directory.")


@click.group()
def trace() -> None:
    """Make, look at, check and cut traces."""


@trace.command(name="import")
@click.argument("source", metavar="SOURCE")
@_OUTPUT
@click.option(
    "--kind", default="auto", metavar="KIND",
    help="How to read it: state-dict (pruned, of PyTorch), masks (npz, safetensors), scalesim, onnx, smtx; by default "
    "told by the suffix.",
)  # fmt: skip
@click.option("--network", metavar="NAME", help="Network whose shapes the weights have; layers match by name.")
@click.option("--images", type=click.IntRange(1), help="Images in the batch, where the source leaves them open.")
@click.option("--classes", type=click.IntRange(1), help="Classes of the network, if not its paper's.")
@click.option(
    "--positions", type=click.IntRange(1), help="Vectors that each linear layer multiplies, without a network."
)
@click.option("--layers", default="*", metavar="PATTERN", help="Only layers whose name matches, such as 'layer1.*'.")
@click.option(
    "--weight-grad-mask", is_flag=True, help="Only gradients of weights that are there are needed (SET, RigL)."
)
@density_option
@_NAME
@_OVERWRITE
def import_command(  # noqa: PLR0913, PLR0917  each is an option of the command
    source: str,
    output: str,
    kind: str,
    network: str | None,
    images: int | None,
    classes: int | None,
    positions: int | None,
    layers: str,
    weight_grad_mask: bool,
    densities: tuple[str, ...],
    name: str | None,
    overwrite: bool,
) -> None:
    """Make a trace of pruned weights, masks or shapes from other tools.

    What SOURCE does not say is dense: all ones, or random where a topology is given --density. The trace's provenance
    says what is real and what is assumed.
    """
    from swatsim.sources import Request, import_trace
    from swatsim.sources.source import source_of

    check_directory(output, overwrite=overwrite)
    request = Request(
        network=network, images=images, classes=classes, positions=positions, layers=layers,
        weight_grad_mask=weight_grad_mask,
    )  # fmt: skip
    name = name or directory_name(output)
    if not densities:
        made = import_trace(source, request, name=name, kind=kind)
    elif (found := source_of(Path(source), kind).name) != "scalesim":
        raise SwatsimError(f"--density {densities[0]}: got it with {found}, expected a topology (scalesim)")
    else:
        from swatsim.topologies import topology_trace

        made = topology_trace(source, densities_of(source, densities), name=name, request=request)
    save_trace(made, output, overwrite)
    provenance = made.manifest.provenance
    said = f"Random non-zeros: {provenance['densities']}." if densities else provenance["operands"]
    say(printable(said))
    if remarks := provenance.get("remarks"):
        say(printable(f"{remarks[:1].upper()}{remarks[1:]}."))


@trace.command()
@click.argument("directory", metavar="DIR")
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON ('-': standard output, no tables).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the operands as CSV ('-': standard output, no tables).")
def info(directory: str, json_file: str | None, csv_file: str | None) -> None:
    """Show how a trace was made, and densities and clustering of each layer's operands."""
    refuse_two_printed({"--json": json_file, "--csv": csv_file})
    from swatsim.report.trace_info import info_csv, info_json, print_info
    from swatsim.trace import load_trace
    from swatsim.trace.measures import measure_layers

    check_outputs({"--json": json_file, "--csv": csv_file})
    loaded = load_trace(directory)
    layers = list(measure_layers(loaded))

    def render(kind: str, path: str) -> bytes:
        return (info_json(loaded, layers) if kind == "json" else info_csv(loaded, layers)).encode()

    def table(console: Console) -> None:
        print_info(loaded, layers, console)

    write_documents({"json": json_file, "csv": csv_file}, render, table)


@trace.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
def validate(directories: tuple[str, ...]) -> None:
    """Read all of each trace, and check every rule of the format and what layers say of each other."""
    from swatsim.trace import load_trace
    from swatsim.trace.checks import NOT_CHECKED, check_trace

    refused = 0
    for directory in directories:
        try:
            say(f"{printable(directory)}: {check_trace(load_trace(directory), directory).text}")
        except SwatsimError as error:
            refused += 1
            click.echo(str(error), err=True)
    if refused < len(directories):
        say(NOT_CHECKED)
    if refused:
        sys.exit(USER_ERROR)


@trace.command()
@click.argument("directory", metavar="DIR")
@_OUTPUT
@click.option("--layers", default="*", metavar="PATTERN", help="Only layers whose name matches, such as 'layer1.*'.")
@click.option("--images", metavar="FIRST:END", help="Only these images of the batch, END not included, such as 0:2.")
@_NAME
@_OVERWRITE
def select(directory: str, output: str, layers: str, images: str | None, name: str | None, overwrite: bool) -> None:
    """Write a smaller trace: some layers, or some images."""
    from swatsim.trace import load_trace
    from swatsim.trace.selection import SelectedTrace, parse_images

    check_directory(output, overwrite=overwrite, source=directory)
    chosen = None if images is None else parse_images(images)
    save_trace(SelectedTrace(name or directory_name(output), load_trace(directory), layers, chosen), output, overwrite)


@trace.command()
@click.argument("network", metavar="NETWORK", required=False)
@_OUTPUT
@click.option("--like", "real", metavar="DIR", help="Instead of a network: draw a twin of this trace.")
@click.option("--scheme", metavar="NAME", help="What is sparse where, such as swat-erk, rigl or cases:w/w/a.  [swat-u]")
@click.option("--sparsity", metavar="PART", help="Of the scheme's operands, such as 0.9.  [0.8]")
@click.option("--budget", metavar="NAME|FILE", help="How it is spread: uniform, er, erk, momentum or a CSV file.")
@click.option("--period", type=click.IntRange(1), help="Steps between selections.")
@click.option("--images", type=click.IntRange(1), help="Images in the batch.  [1]")
@click.option("--classes", type=click.IntRange(1), help="Classes of the network, if not its paper's.")
@click.option("--profile", metavar="NAME", help="Shipped statistics of a real trace.  [resnet50]")
@click.option("--masks", default="clustered", metavar="KIND", help="clustered, or bernoulli.", show_default=True)
@click.option("--seed", default=0, type=click.IntRange(0), show_default=True, help="The same seed, the same bits.")
@_NAME
@_OVERWRITE
def synth(  # noqa: PLR0913, PLR0917  each is an option of the command
    network: str | None,
    output: str,
    real: str | None,
    scheme: str | None,
    sparsity: str | None,
    budget: str | None,
    period: int | None,
    images: int | None,
    classes: int | None,
    profile: str | None,
    masks: str,
    seed: int,
    name: str | None,
    overwrite: bool,
) -> None:
    """Draw a trace that nobody trained: of a network under a scheme, or the twin of a real trace.

    Every report of it says that it is synthetic.
    """
    check_directory(output, overwrite=overwrite, source=real)
    if (network is None) == (real is None):
        raise click.UsageError("give either NETWORK or --like DIR")
    if real is not None:
        given = {"--scheme": scheme, "--sparsity": sparsity, "--budget": budget, "--period": period,
                 "--images": images, "--classes": classes, "--profile": profile}  # fmt: skip
        for option, value in given.items():
            if value is not None:
                raise click.UsageError(f"--like takes the trace as it is: got {option}, expected it without")
        from swatsim.synthesis import like
        from swatsim.trace import load_trace

        made = like(load_trace(real), seed, masks)
    else:
        from swatsim.networks import network_shapes
        from swatsim.synthesis import load_profile
        from swatsim.synthesis.under_scheme import scheme_for, synthetic_trace

        chosen, learned = scheme_for(scheme or "swat-u", sparsity, budget, period)
        shapes = network_shapes(str(network), images=images or 1, classes=classes)
        statistics = load_profile(profile or "resnet50")
        made = synthetic_trace(shapes, chosen, seed=seed, profile=statistics, kind=masks, learned_sparsity=learned)
    save_trace(made, output, overwrite, name or directory_name(output))


def check_directory(output: str, *, overwrite: bool, source: str | None = None) -> None:
    """Refuse a directory that cannot become a trace, before any work is done for it. Raises SwatsimError.

    `source` is a trace that is read meanwhile, and must not lie within what is replaced.
    """
    from swatsim.trace.plain_files import check_replaceable

    path = Path(output)
    if source is not None and path.is_dir() and path.resolve() in Path(source).resolve().parents:
        raise SwatsimError(f"{output}: got the directory in which {source} lies, expected another one")
    if not output or path.is_symlink() or (path.exists() and not (overwrite and path.is_dir())):
        got = "a path that exists" if output else "an empty name"
        raise SwatsimError(f"{output}: got {got}, expected a new one to write the trace to, or --overwrite")
    if not path.absolute().parent.is_dir():
        raise SwatsimError(f"{output}: got a path in no directory, expected one in a directory that exists")
    check_replaceable(path)


def directory_name(output: str) -> str:
    """The last part of a directory's path, which is a trace's name by default."""
    return Path(output).absolute().name


def save_trace(made: Trace, output: str, overwrite: bool, name: str | None = None) -> None:
    """Write a trace layer by layer, under another name if one is given, and say what was written. Raises TraceError."""
    from dataclasses import replace

    from swatsim.trace import TraceWriter

    with TraceWriter(output, metadata=replace(made.manifest, name=name or made.name), overwrite=overwrite) as writer:
        for layer in made:
            writer.add(layer)
        writer.set_graph(made.graph)
    say(f"{printable(output)}: {len(made)} layers")
