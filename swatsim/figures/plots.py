"""`report.plot`, `comparison.plot`, `sweep.plot` and `exploration.plot`: figures of a result that is at hand."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swatsim.charts.figures import figure
from swatsim.figures.draw import draw
from swatsim.figures.output import rendered

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


class Plots:
    """One method for each figure of `swatsim plot`; each returns a matplotlib Figure.

    width: `single` or `double` column of a paper, or `slide`; style: `paper`, `dark` or `gray`. Raises SwatsimError
    where the result has no such figure, or matplotlib (extra `plot`) is not installed.
    """

    def __init__(self, document: Callable[[], Mapping[str, Any]]) -> None:
        self._document = functools.cache(document)

    def __call__(self, name: str, *, width: str = "single", style: str = "paper") -> Figure:
        """The figure of this name."""
        drawn: Any = draw(figure(self._document(), name), width=width, style=style)
        # Notebooks show what has this, whether pyplot was imported or not.
        drawn._repr_png_ = functools.partial(rendered, drawn, "png")
        return drawn  # type: ignore[no-any-return]

    def save(self, path: str | Path, name: str, *, width: str = "single", style: str = "paper") -> None:
        """Write a figure as `swatsim plot` does: its fonts embedded, the same bytes each time."""
        from swatsim.files import write_file

        data = rendered(self(name, width=width, style=style), Path(path).suffix[1:].lower())
        write_file(path, data)

    def speedup(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Speedup of each layer and pass, of each machine, or over a parameter."""
        return self("speedup", width=width, style=style)

    def cycles(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Cycles, and stalls by cause."""
        return self("cycles", width=width, style=style)

    def traffic(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Bytes at each level of memory, or off chip."""
        return self("traffic", width=width, style=style)

    def energy(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Energy by what takes it."""
        return self("energy", width=width, style=style)

    def roofline(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Where the passes lie under the roofline."""
        return self("roofline", width=width, style=style)

    def pareto(self, *, width: str = "single", style: str = "paper") -> Figure:
        """Machines that were tried, and those that no other is better than."""
        return self("pareto", width=width, style=style)

    def density(self, *, width: str = "single", style: str = "paper") -> Figure:
        """How sparse the operands of each layer are."""
        return self("density", width=width, style=style)
