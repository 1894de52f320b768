"""`swatsim explain`: in words, why the passes of a layer take as long as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique
from swatsim.command_output import check_outputs, write_documents
from swatsim.passes import PASSES
from swatsim.progress import progress_bar
from swatsim.trace_option import density_option, open_trace, trace_option

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("layer", metavar="LAYER")
@click.option("--arch", required=True, metavar="FILE|NAME", help="Architecture file, or the name of a shipped one.")
@trace_option
@density_option
@click.option("--pass", "passes", multiple=True, type=click.Choice(PASSES), help="Only this pass; may be repeated.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value, such as tile.rows=4.")
@click.option("--json", "json_file", metavar="FILE", help="Write all of it as JSON ('-': standard output, no text).")
def explain(  # noqa: PLR0913, PLR0917  each is an option of the command
    layer: str,
    arch: str,
    trace_path: str,
    densities: tuple[str, ...],
    passes: tuple[str, ...],
    overrides: tuple[str, ...],
    json_file: str | None,
) -> None:
    """Say in words why a layer takes as long as it does, and which key would help.

    LAYER is a name, or a pattern such as 'layer1.0.*' that matches a few layers. The figures are those of `swatsim run
    --layers LAYER`. The advice is measured: the layers are simulated again with one key changed at a time.
    """
    from swatsim.architecture import load_architecture, parse_override
    from swatsim.explain import explain as explained
    from swatsim.report.explanation import text_lines, to_json

    check_outputs({"--json": json_file})
    architecture = load_architecture(arch, unique("--set", map(parse_override, overrides)))
    trace = open_trace(trace_path, densities)
    with progress_bar("explaining", "simulations") as progress:
        found = explained(architecture, trace, layer, passes or PASSES, progress)

    def text(console: Console) -> None:
        for line in text_lines(found):
            console.print(line, markup=False, emoji=False, soft_wrap=True)

    write_documents({"json": json_file}, lambda kind, path: to_json(found).encode(), text)
