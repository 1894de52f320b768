"""Figures as files: the same figure gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from swatsim.errors import SwatsimError
from swatsim.figures.draw import matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 300
# No dates and no versions; None leaves an entry out.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure as `pdf` (fonts embedded as TrueType), `svg` (text as outlines) or `png` (300 dots an inch)."""
    if kind not in _METADATA:
        raise SwatsimError(f"plot: got {kind!r}, expected one of {', '.join(_METADATA)}")
    data = io.BytesIO()
    with matplotlib().rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "swatsim"}):
        figure.savefig(data, format=kind, dpi=DOTS_PER_INCH, metadata=_METADATA[kind])
    return data.getvalue()
