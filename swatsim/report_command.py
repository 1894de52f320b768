"""`swatsim report`: a page of what an earlier command found."""

from __future__ import annotations

import click

from swatsim.command_output import check_outputs, write_document, write_out
from swatsim.errors import SwatsimError


@click.command()
@click.argument("out", metavar="OUT.html")
@click.argument("document", metavar="DOCUMENT.json")
def report(out: str, document: str) -> None:
    """Write a page to look at from the JSON of `swatsim run`, `compare`, `sweep` or `explore`.

    The page is one file that needs no network: charts, a table that can be sorted and filtered, and where its numbers
    come from. OUT.html may be `-`: standard output.
    """
    if out != "-" and not out.lower().endswith((".html", ".htm")):
        raise SwatsimError(f"report: got {out!r}, expected a name that ends in .html")
    check_outputs({"OUT.html": out})
    from swatsim.pages.page import to_page
    from swatsim.saved import load_saved

    saved = load_saved(document)
    page = to_page(saved.document, saved.hash)
    if out == "-":
        write_out(page)
    else:
        write_document(out, page)
