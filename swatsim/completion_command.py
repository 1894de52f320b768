"""`swatsim completion`: the script by which a shell completes commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from swatsim.command_output import say

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes SHELL complete swatsim's commands, options, machines, traces and keys.

    \b
    bash: eval "$(swatsim completion bash)"         in ~/.bashrc
    zsh:  eval "$(swatsim completion zsh)"          in ~/.zshrc, after compinit
    fish: swatsim completion fish > ~/.config/fish/completions/swatsim.fish
    """  # noqa: D301  \b keeps click from wrapping the lines
    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    root = context.find_root()
    # Not the class's own source(), which asks the shells on this machine for their versions.
    say(ShellComplete.source(kind(root.command, {}, "swatsim", "_SWATSIM_COMPLETE")).rstrip())
