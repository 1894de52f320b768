"""`swatsim doctor`: whether the installation works. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

import sys

import click

from swatsim.command_output import check_outputs, say, write_document, write_out
from swatsim.exit_codes import CHECK_FAILED

FORMAT, VERSION = "swatsim-doctor", 1


@click.command()
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON ('-': standard output, no text).")
def doctor(json_file: str | None) -> None:
    """Check the installation: versions, cache, compiler, extras, shipped files, and a tiny simulation.

    The exit code is 1 where something does not work; notes are no mistakes. The first time ever it compiles a few
    kernels.
    """
    check_outputs({"--json": json_file})
    try:
        from swatsim.doctor import BAD, examine
    except ImportError as error:
        say(f"FAILED  import        {error}: pip install --upgrade --force-reinstall swatsim")
        sys.exit(CHECK_FAILED)
    results = []
    for result in examine():
        results.append(result)
        if json_file != "-":
            say(f"{result.state:<6}  {result.name:<14} {result.text}")
    failed = [result.name for result in results if result.state == BAD]
    if json_file is not None:
        import json

        document = {"format": FORMAT, "version": VERSION, "works": not failed}
        text = json.dumps({**document, "checks": [result._asdict() for result in results]}, indent=1) + "\n"
        if json_file == "-":
            write_out(text.encode())
        else:
            write_document(json_file, text.encode())
    if json_file != "-":
        say(f"\nNot working: {', '.join(failed)}." if failed else "\nswatsim works.")
    if failed:
        sys.exit(CHECK_FAILED)
