"""The architecture files that come with swatsim, found by a bare name."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from swatsim.errors import ArchitectureError
from swatsim.plain_text import printable

_SUFFIX = ".yaml"


def _folder() -> Traversable:
    """The folder of the files: inside the package where a wheel was installed, beside it in a source checkout."""
    package = files("swatsim")
    packaged = package / "data" / "arch"
    if packaged.is_dir():
        return packaged
    # Only a checkout has both; a folder named arch beside an installed package is somebody else's.
    checkout = Path(str(package)).parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "arch").is_dir():
        return checkout / "arch"
    raise ArchitectureError("the architecture files that come with swatsim are not installed, expected data/arch in it")


def shipped_architectures() -> tuple[str, ...]:
    """Names of the shipped architecture files, in alphabetical order."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def is_bare_name(name: str) -> bool:
    """Whether this names a shipped file and not a path: no separator and no suffix of YAML."""
    return "/" not in name and "\\" not in name and not name.lower().endswith((".yaml", ".yml"))


def shipped_file(name: str) -> Traversable:
    """Find the shipped file; raises ArchitectureError with the names that exist."""
    names = shipped_architectures()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        listed = ", ".join(names)
        text = f"no architecture is named {name!r}, expected one of {listed}, or a path (./NAME or NAME.yaml){hint}"
        raise ArchitectureError(printable(text))
    return _folder() / (name + _SUFFIX)
