"""The one place where numba's options and its cache are decided."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching, config
from numba.core.runtime.nrt import rtsys

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    return os.access(folder, os.W_OK)


_FOLDER = cache_folder()
_CACHE = _is_writable(_FOLDER)


def is_cached() -> bool:
    """Whether kernels that are compiled now will be there for the next program."""
    return _CACHE and not getattr(config, "DISABLE_JIT")  # noqa: B009  numba sets its settings by name


def cached_kernels() -> int:
    """Number of kernels in the cache; one counts once for each type of its arguments."""
    return sum(1 for _ in _FOLDER.glob("*.nbc"))


class _Locator(caching._CacheLocator):
    """All kernels in the one folder, whose name says that what it holds is not stale."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._py_file = function.__code__.co_filename  # numba names it where a kernel cannot be cached
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        return cls(py_func)

    def get_cache_path(self) -> str:
        return str(_FOLDER)

    def get_source_stamp(self) -> int:
        return 0

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Entries(caching.CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Locator]  # noqa: RUF012  as numba has it


class _Cache(caching.FunctionCache):
    """Numba's cache on disk, but for how it begins.

    Numba first imports all that it can compile, a tenth of a second. A kernel that is compiled needs only the runtime
    that it is linked with, and compiling another begins with that import anyway.
    """

    _impl_class = _Entries

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        rtsys.initialize(target_context)
        numba_cache: Any = self  # which has no types
        with numba_cache._guard_against_spurious_io_errors():
            return numba_cache._load_overload(sig, target_context)


def kernel(function: Function) -> Function:
    """Compile `function` on first use: serial, without the interpreter lock, cached on disk where that is possible."""
    compiled: Any = numba.njit(nogil=True)(function)
    if is_cached():
        make_cache: Any = _Cache
        compiled._cache = make_cache(function)
    return cast(Function, compiled)
