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
    root = os.environ.get("SWATSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "swatsim" / "kernels" / digest.hexdigest()[:16]


_FOLDER = str(cache_folder())


def kernel(function: Function) -> Function:
    """Compile `function` on first use: serial, without the interpreter lock, cached on disk."""
    users_folder = getattr(config, "CACHE_DIR")  # noqa: B009  numba sets its settings by name
    try:
        setattr(config, "CACHE_DIR", _FOLDER)  # noqa: B010
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    finally:
        setattr(config, "CACHE_DIR", users_folder)  # noqa: B010
