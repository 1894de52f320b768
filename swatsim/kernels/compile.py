"""The one place where numba's options and its cache are decided."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar, cast

import llvmlite
import numba
import numpy as np
from numba.core import caching, config, environment, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime.nrt import rtsys
from numba.core.typing import typeof

from swatsim.files import cache_root
from swatsim.kernels.cache_files import SUFFIX, CacheFiles

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows, where each process compiles for itself
    fcntl = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., Any])


_SOURCES = tuple(sorted(Path(__file__).parent.glob("*.py")))


def cache_folder() -> Path:
    """Folder of the compiled kernels, named by all that decides what they compile to.

    Numba looks only at the file of the function it compiles, so an edit of a kernel that another one
    calls, or another bounds-check setting, would be answered with stale machine code.
    """
    digest = hashlib.sha256()
    for source in _SOURCES:
        digest.update(source.read_bytes())
    settings = [numba.__version__, llvmlite.__version__, platform.python_version()]
    settings += [str(getattr(config, name)) for name in ("BOUNDSCHECK", "OPT", "CPU_NAME", "CPU_FEATURES")]
    digest.update(repr(settings).encode())
    return cache_root() / "kernels" / digest.hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    return os.access(folder, os.W_OK)


_FOLDER = cache_folder()
# What a zip file or bytecode alone would be compiled to is not kept: nobody could say later of what it was made.
_KEEPS = bool(_SOURCES) and _is_writable(_FOLDER)
_READS = _KEEPS or (bool(_SOURCES) and os.access(_FOLDER, os.R_OK | os.X_OK))


def _compiles() -> bool:
    return not getattr(config, "DISABLE_JIT")  # noqa: B009  numba sets its settings by name


def is_cached() -> bool:
    """Whether kernels that are compiled now will be there for the next program."""
    return _KEEPS and _compiles()


def unsaved() -> str | None:
    """Why a kernel that this process compiled was not kept, if one was not."""
    return None if CacheFiles.unsaved is None else str(CacheFiles.unsaved.strerror)


def forget_unsaved() -> None:
    """Ask `unsaved` for what comes from now on."""
    CacheFiles.unsaved = None


def cached_kernels() -> int:
    """Number of kernels in the cache; one counts once for each type of its arguments."""
    return sum(1 for _ in _FOLDER.glob(f"*{SUFFIX}"))


def _module(name: str) -> ModuleType:
    """The module that a loaded kernel's constants are of, without the import where it is one of numba's own.

    Numba asks for it to look up names in it, which compiled code does not do.
    """
    found = sys.modules.get(name)
    if found is None:
        found = ModuleType(name) if name.startswith("numba.") else importlib.import_module(name)
    return found


# Numba would import all that makes arrays, a twentieth of a second in each process, for kernels that have one made.
environment.importlib = SimpleNamespace(import_module=_module)  # type: ignore[attr-defined, assignment]


class _MaskedArrays:
    """In place of numpy.ma, which takes longer to import than to run a kernel: none is there before that is imported.

    Numba asks of each array that it meets whether it is one.
    """

    @property
    def MaskedArray(self) -> object:  # noqa: N802  as NumPy has it
        imported = sys.modules.get("numpy.ma")
        return () if imported is None else imported.MaskedArray


class _NumPy:
    """NumPy as numba sees it where it looks for an argument's type."""

    ma = _MaskedArrays()

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


typeof.np = _NumPy()  # type: ignore[attr-defined, assignment]


def link_runtime() -> None:
    """Link what all kernels are linked with: once before processes are forked, which inherit it."""
    if _compiles():
        rtsys.initialize(cpu_target.target_context)


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

    def ensure_cache_path(self) -> None:
        """Numba's own raises where the disk is full, which is no reason to end a run."""


class _Entries(caching.CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Locator]  # noqa: RUF012  as numba has it


class _Cache(caching.FunctionCache):
    """Numba's cache on disk, but for how it begins.

    Numba first imports all that it can compile, a tenth of a second. A kernel that is compiled needs only the runtime
    that it is linked with, and compiling another begins with that import anyway.
    """

    _impl_class = _Entries

    def __init__(self, function: Callable[..., Any], *, counted: bool) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        numba_cache: Any = self  # which has no types
        # Numba's name says nothing of how it is compiled.
        name = numba_cache._impl.filename_base + ("-counted" if counted else "")
        numba_cache._cache_file = CacheFiles(_FOLDER, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        rtsys.initialize(target_context)
        found = self._load(sig, target_context)
        function: Any = self._py_func
        # Words are unsigned, and what compiled kernels make of them is not always so to the interpreter.
        signed = "uint64" not in str(sig)
        if found is None and _turn.wait(_FOLDER / f"{function.__module__}.{function.__name__}.lock", signed):
            # Whoever had its turn before may have compiled the same.
            found = self._load(sig, target_context)
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        numba_cache: Any = self  # which has no types
        with numba_cache._guard_against_spurious_io_errors():
            return numba_cache._load_overload(sig, target_context)


class _Turn:
    """Processes that compile the same kernel take turns: all but the first one load it.

    Numba lets one thread compile at a time, and kernels call one another in one direction only: no two wait for each
    other.
    """

    def __init__(self) -> None:
        self._held: list[dict[Path, int]] = []  # locks by file, of each kernel that is being compiled inside of another
        self.interpreting = False  # whether what another process compiles is interpreted meanwhile
        self._taken = False  # whether the compilation in hand needs it

    def wait(self, file: Path, signed: bool) -> bool:
        """Wait for the turn, which is over when the compilation in hand is; False if there is none to wait for.

        Raises BlockingIOError instead of waiting where the call can be interpreted.
        """
        if fcntl is None or not self._held or any(file in locks for locks in self._held):
            return False
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # no room for another file: what is compiled twice is only slower
            return False
        self._held[-1][file] = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if self.interpreting and signed else 0))
        except BlockingIOError:
            self._taken = True
            raise
        except OSError:  # a file system without locks
            return False
        return True

    def gives_up(self) -> bool:
        """Whether the outermost compilation has just ended because another process compiles what it needs."""
        taken = self._taken and not self._held
        self._taken = self._taken and not taken
        return taken

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """One kernel's compilation."""
        self._held.append({})
        try:
            yield
        finally:
            for descriptor in self._held.pop().values():
                os.close(descriptor)


_turn = _Turn()


@contextmanager
def interpreting() -> Iterator[None]:
    """For calls on next to no data: a kernel that another process compiles is interpreted, the next one compiled.

    So processes that do the same work compile different kernels.
    """
    _turn.interpreting = True
    try:
        yield
    finally:
        _turn.interpreting = False


def kernel(function: Function) -> Function:
    """Compile `function` on first use: serial, without the interpreter lock, cached on disk where that is possible.

    It may read and set arrays, and pass them on, but makes none and gives none back, as an `array_kernel` may: so their
    references need not be counted, which takes longer than most of what a small kernel does.

    Raises TypeError where it calls an `array_kernel`, and when it is compiled and gives an array back.
    """
    called = [name for name in function.__code__.co_names if function.__globals__.get(name) in _array_kernels]
    if called:
        raise TypeError(f"{function.__name__}: got a kernel that calls {called[0]}, expected an array_kernel")
    return _compiled(function, counted=False)


def array_kernel(function: Function) -> Function:
    """The same of what makes arrays, gives one back, or calls another such kernel."""
    compiled = _compiled(function, counted=True)
    _array_kernels.add(compiled)
    return compiled


_array_kernels: set[object] = set()


def _compiled(function: Function, *, counted: bool) -> Function:
    # Nothing calls kernels from C.
    options: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True, "_nrt": counted}
    compiled: Any = numba.njit(**options)(function)
    if _READS and _compiles():
        make_cache: Any = _Cache
        compiled._cache = make_cache(function, counted=counted)
        compile_signature = compiled.compile

        def compile_in_turn(sig: object) -> object:
            try:
                with global_compiler_lock, _turn.compiling():
                    found = compile_signature(sig)
            except Exception:  # numba makes of what it meets inside of another kernel an error of its own
                if _turn.gives_up():
                    return function
                raise
            if not counted and any(_has_arrays(each.return_type) for each in compiled.nopython_signatures):
                raise TypeError(f"{function.__name__}: got a kernel that gives an array, expected an array_kernel")
            return found

        compiled.compile = compile_in_turn
    return cast(Function, compiled)


def _has_arrays(kind: Any) -> bool:
    return isinstance(kind, types.Array) or any(map(_has_arrays, getattr(kind, "types", ())))  # those of a tuple
