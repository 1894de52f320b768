"""The traces that come with swatsim, found by a bare name where no directory here has it."""

from __future__ import annotations

from pathlib import Path

from swatsim.trace.records import MANIFEST_NAME

_PACKAGE = Path(__file__).parents[1]


def shipped_trace(path: Path) -> Path:
    """The directory of the shipped trace of this name; `path` itself if it is there, or names none."""
    if len(path.parts) != 1 or path.exists():
        return path
    for folder in _folders():
        if (folder / path.name / MANIFEST_NAME).is_file():
            return folder / path.name
    return path


def _folders() -> list[Path]:
    # Only a checkout has both; a folder named traces beside an installed package is somebody else's.
    checkout = _PACKAGE.parent
    beside = [checkout / "traces"] if (checkout / "pyproject.toml").is_file() else []
    return [_PACKAGE / "data" / "traces", *beside]
