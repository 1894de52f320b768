"""The documentation site: `sphinx-build -W docs OUT`, with the extras `docs` and `torch`."""

from __future__ import annotations

from swatsim.version import __version__

project = "swatsim"
author = "the authors of swatsim"
project_copyright = "the authors of swatsim"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["**/__pycache__"]
# The blocks are run by docs/run_blocks.py, in order and with a checkout's traces.
nb_execution_mode = "off"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"
napoleon_google_docstring = False
napoleon_numpy_docstring = True

html_theme = "furo"
html_title = f"swatsim {__version__}"
html_static_path: list[str] = []
html_show_sphinx = False

_SECTIONS = ("Parameters", "Attributes", "Raises")
_properties: dict[str, list[str]] = {}


def _described(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Put what the docstrings say behind `name :`, where numpy has a type, on the line below."""
    if what == "property":
        _properties[name] = list(lines)
        return
    found, inside = [], False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if following.startswith("---"):
            inside = line in _SECTIONS
        names, colon, text = line.partition(" : ")
        found += [names, f"    {text}"] if inside and colon and not line.startswith(" ") else [line]
    lines[:] = found


def _as_written(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Of a property, undo napoleon, which takes what stands before a colon for a type."""
    if what == "property":
        lines[:] = _properties[name]


def setup(app: object) -> None:
    """Called by Sphinx; napoleon's priority is 500."""
    app.connect("autodoc-process-docstring", _described, priority=400)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", _as_written, priority=600)  # type: ignore[attr-defined]
