"""What a shell may complete in values: machines, traces and keys. Nothing heavy is imported before a shell asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

_MOST_ITEMS = 200
_DEEPEST = 3  # folders below the one that is typed


def complete_values(group: click.Group) -> None:
    """Let every command of a group complete the values that its metavars announce."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            complete_values(command)
        for parameter in command.params:
            known = _type_of(parameter)
            if known is not None:
                parameter.type = known


def _type_of(parameter: click.Parameter) -> StringParamType | None:
    metavar = (parameter.metavar or "").replace("...", "").strip("[]")
    if metavar == "FILE|NAME":
        return MachineName()
    if metavar.startswith("KEY=VALUE"):
        return Setting()
    # Not the folder that a command writes.
    written = {"--output", "--scalesim-reports"} & set(parameter.opts)
    return TraceFolder() if metavar.partition("|")[0] == "DIR" and not written else None


class MachineName(StringParamType):
    """A shipped machine by its name, or a file."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; without any, files."""
        from swatsim.architecture.shipped import shipped_architectures

        names = [CompletionItem(name) for name in shipped_architectures() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


class TraceFolder(StringParamType):
    """The folder of a trace."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Traces whose path begins so, some folders deep; without any, folders."""
        from swatsim.listing.traces import traces_below

        folder = incomplete.rpartition("/")[0]
        start = folder or ("/" if incomplete.startswith("/") else ".")
        found = (str(path) for path in traces_below(start, _DEEPEST)) if Path(start).is_dir() else ()
        items = [CompletionItem(path) for path in found if path.startswith(incomplete)]
        return items[:_MOST_ITEMS] or [CompletionItem(incomplete, type="dir")]


class Setting(StringParamType):
    """KEY=VALUE of a machine."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Keys of the machine that is given, and behind the = of one its words."""
        return [item for item in _settings(ctx, words="=" in incomplete) if item.value.startswith(incomplete)]


def _settings(ctx: click.Context, *, words: bool) -> Iterator[CompletionItem]:
    from swatsim.architecture import load_architecture
    from swatsim.architecture.keys import all_keys
    from swatsim.errors import SwatsimError
    from swatsim.keys.constraints import Choice, constraint_of

    given = ctx.params.get("arch") or next(iter(ctx.params.get("first") or ()), None)
    try:
        machine = load_architecture(given or "dadiannao")
    except SwatsimError:
        return
    for path, field in all_keys(lambda _: machine.memory.levels, machine.datapath.kind):
        constraint = constraint_of(field.metadata)
        if constraint is not None:  # else it holds further keys
            values = constraint.words if words and isinstance(constraint, Choice) else ("",)
            for value in values:
                yield CompletionItem(f"{'.'.join(map(str, path))}={value}", help=constraint.phrase)
