"""`swatsim plot`: a figure for a paper or a talk. Nothing heavy is imported before the command needs it."""

from __future__ import annotations

import click

from swatsim.command_output import check_outputs, write_document
from swatsim.errors import SwatsimError

# As swatsim.charts.figures and swatsim.figures.style have them, which load too slowly for --help; a test compares.
FIGURES = ("speedup", "cycles", "traffic", "energy", "roofline", "density", "pareto")
WIDTHS = ("single", "double", "slide")
STYLES = ("paper", "dark", "gray")
ENDS = (".pdf", ".svg", ".png")


@click.command()
@click.argument("document", metavar="DOCUMENT.json")
@click.argument("out", metavar="OUT.pdf|svg|png")
@click.option(
    "--figure", type=click.Choice(FIGURES),
    help="What it shows, by default speedup; comparisons and sweeps have no roofline and no density, explorations "
         "have pareto alone.",
)  # fmt: skip
@click.option(
    "--width", type=click.Choice(WIDTHS), default=WIDTHS[0], show_default=True,
    help="One column of a paper (3.5 inches), both (7.16), or a slide (10).",
)  # fmt: skip
@click.option(
    "--style", type=click.Choice(STYLES), default=STYLES[0], show_default=True,
    help="For white paper, for dark slides, or without colors.",
)  # fmt: skip
def plot(document: str, out: str, figure: str | None, width: str, style: str) -> None:
    """Draw a figure from the JSON of `run`, `compare`, `sweep` or `explore`; needs the extra `plot` (matplotlib).

    Fonts are embedded, colors are told apart by readers who do not see all of them, and the same document gives the
    same bytes.
    """
    if not out.lower().endswith(ENDS):
        raise SwatsimError(f"plot: got {out!r}, expected a name that ends in {', '.join(ENDS)}")
    check_outputs({"OUT": out})
    from swatsim.saved import load_saved

    saved = load_saved(document)
    from swatsim.charts.figures import figure as chart_of
    from swatsim.figures import draw, rendered

    drawn = draw(chart_of(saved.document, figure), width=width, style=style)
    write_document(out, rendered(drawn, out.lower().rpartition(".")[2]))
