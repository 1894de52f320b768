"""Pages made of files: an HTML frame, in which comments name the style sheets and scripts that stand there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

# The style that all pages share: colors for light and dark, text, panels, tables.
BASE = ("swatsim.pages", "page_assets", "base.css")


def asset(package: str, folder: str, name: str) -> str:
    """The text of a file of a package."""
    return files(package).joinpath(folder, name).read_text(encoding="utf-8").rstrip()


def fill(frame: str, assets: Sequence[tuple[str, str, str]]) -> str:
    """Put each asset where the comment with its name stands."""
    for package, folder, name in assets:
        frame = frame.replace(f"/* {name} */", asset(package, folder, name))
    return frame


def source_hash(content: str) -> str:
    """What a content security policy calls the one style or script that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
