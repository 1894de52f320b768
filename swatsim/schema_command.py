"""`swatsim schema`: the JSON Schemas of files. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

import click

from swatsim.command_output import check_outputs, write_document, write_out

# By the command that writes the document; a test compares.
DOCUMENTS = {"report": "report", "compare": "comparison", "sweep": "sweep", "explore": "exploration"}


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice(("architecture", *DOCUMENTS)))
@click.option("-o", "--output", metavar="FILE", help="Write it to a file.")
def schema(name: str, output: str | None) -> None:
    """Print the JSON Schema of a file that swatsim reads or writes.

    NAME is architecture (machines in YAML: editors complete and check by it), or report, compare, sweep or explore: the
    JSON of `swatsim run`, `compare`, `sweep` or `explore`.
    """
    check_outputs({"--output": output})
    data = schema_of(name)
    if output is None or output == "-":
        write_out(data)
    else:
        write_document(output, data)


def schema_of(name: str) -> bytes:
    """The schema by the command's name for it."""
    if name in DOCUMENTS:
        from swatsim.saved import schema_bytes

        return schema_bytes(DOCUMENTS[name])
    import json

    from swatsim.architecture.schema import architecture_schema

    return (json.dumps(architecture_schema(), indent=1, ensure_ascii=False) + "\n").encode()
