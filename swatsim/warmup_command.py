"""`swatsim warmup`: compile now what the first run would compile. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import click

from swatsim.command_output import say
from swatsim.progress import progress_bar


@click.command()
@click.option(
    "--arch", "machines", multiple=True, metavar="FILE|NAME", help="A machine to compile for; by default all shipped."
)
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; by default one per processor.")
def warmup(machines: tuple[str, ...], workers: int | None) -> None:
    """Compile the kernels that machines need, once for all later runs, which then begin at once."""
    from swatsim.architecture import load_architecture, shipped_architectures
    from swatsim.warmup import warm_up

    architectures = {name: load_architecture(name) for name in machines or shipped_architectures()}
    with progress_bar("compiling", "parts") as progress:
        found = warm_up(architectures, workers=workers, progress=progress)
    count = "1 machine" if len(architectures) == 1 else f"{len(architectures)} machines"
    say(f"{found.compiled} kernels compiled for {count} in {found.seconds:.1f} s by {found.processes} processes.")
    say(f"{found.kernels} kernels are kept in {found.folder} for all later runs of this version.")
