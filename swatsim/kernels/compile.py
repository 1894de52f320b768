"""The one place where numba's options and its cache are decided."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config

Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Folder of the compiled kernels, named by all that decides what they compile to.

    Numba looks only at the file of the function it compiles, so an edit of a kernel that another one
    calls, or another bounds-check setting, would be answered with stale machine code.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    settings = [numba.__version__, platform.python_version()]
    settings += [str(getattr(config, name)) for name in ("BOUNDSCHECK", "OPT", "CPU_NAME", "CPU_FEATURES")]
    digest.update(repr(settings).encode())
    root = os.environ.get("SWATSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "swatsim" / "kernels" / digest.hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    # Numba would turn to __pycache__ instead, whose entries go stale.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    return os.access(folder, os.W_OK)


_FOLDER = cache_folder()
_CACHE = _is_writable(_FOLDER)


def kernel(function: Function) -> Function:
    """Compile `function` on first use: serial, without the interpreter lock, cached on disk where that is possible."""
    users_folder = getattr(config, "CACHE_DIR")  # noqa: B009  numba sets its settings by name
    try:
        setattr(config, "CACHE_DIR", str(_FOLDER))  # noqa: B010
        return cast(Function, numba.njit(nogil=True, cache=_CACHE)(function))
    finally:
        setattr(config, "CACHE_DIR", users_folder)  # noqa: B010
