"""The traces that come with swatsim, found by a bare name where no directory here has it."""

from __future__ import annotations

import os
from pathlib import Path

from swatsim.trace.records import MANIFEST_NAME

_PACKAGE = Path(__file__).parents[1]


def shipped_trace(path: Path) -> Path:
    """The directory of the shipped trace of this name; `path` itself if it is there, or names none."""
    # Those of Path raise where a name is too long.
    if len(path.parts) != 1 or os.path.exists(path):  # noqa: PTH110
        return path
    for folder in _folders():
        if os.path.isfile(folder / path.name / MANIFEST_NAME):  # noqa: PTH113
            return folder / path.name
    return path


def installed_traces() -> list[Path]:
    """The traces that an installed package has."""
    folder = _PACKAGE / "data" / "traces"
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST_NAME}"))


def _folders() -> list[Path]:
    # Only a checkout has both; a folder named traces beside an installed package is somebody else's.
    checkout = _PACKAGE.parent
    beside = [checkout / "traces"] if (checkout / "pyproject.toml").is_file() else []
    return [_PACKAGE / "data" / "traces", *beside]
