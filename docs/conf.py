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
