"""Traces at addresses, through fsspec; what they are made of is kept by its content (docs/remote_traces.md)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from swatsim.apart import Progress, work_apart
from swatsim.errors import TraceError
from swatsim.files import cache_root, write_file
from swatsim.plain_text import words_of
from swatsim.trace import plain_files, tensors
from swatsim.trace.manifest import manifest_digest, parse_manifest
from swatsim.trace.records import LARGEST_MANIFEST_BYTES, MANIFEST_NAME, TENSORS_NAME, Manifest, StoredTensor

# Files that are asked for at once: most of the time of small ones is spent waiting.
_AT_ONCE = 8
_CHUNK_BYTES = 1 << 20
_NOT_FOUND = 404
# What reads from where the address says, and what it is asked for. Fsspec knows others, which read an address inside of
# an address, unpack without bounds, or fetch what a file says that they fetched.
PROTOCOLS = (
    "abfs", "abfss", "az", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "memory", "oci", "oss", "s3", "s3a",
    "sftp", "smb", "ssh", "webhdfs",
)  # fmt: skip
_FILE = "file://"


def fetched(address: str, digest: str | None, progress: Progress | None) -> tuple[Path, bytes]:
    """The folder that keeps a trace's tensors, which are fetched if they are not there, and its manifest.

    digest : of the trace that is wanted, if it is known: where it is kept already, nobody is asked.

    Raises TraceError: where, got, expected.
    """
    folder = cache_root() / "traces"
    kept = None if digest is None else _kept_manifest(folder, digest)
    if kept is not None and not _missing(folder, parse_manifest(kept, address)):
        return folder, kept
    return folder, work_apart(partial(_fetch, address, str(folder)), address, progress)


def local_path(address: str) -> Path | None:
    """The directory of an address such as file:///traces/resnet50, which is read as any other; None of others.

    Raises TraceError where it is one of another computer.
    """
    if not address.startswith(_FILE):
        return None
    host, _, path = address.removeprefix(_FILE).partition("/")
    if host not in ("", "localhost"):
        raise TraceError(
            f"{address}: got a file of {host}, expected one of this computer, as in file:///traces/resnet50"
        )
    return Path("/" + unquote(path))


def _fetch(address: str, to: str, tell: Progress) -> bytes:
    """Fetch what is not kept; give the manifest."""
    folder = Path(to)
    with _named(address):
        system, root = _file_system(address)
        data = b"".join(_chunks(system, f"{root}/{MANIFEST_NAME}", LARGEST_MANIFEST_BYTES + 1))
    if len(data) > LARGEST_MANIFEST_BYTES:
        raise TraceError(f"{address}: manifest: got over {LARGEST_MANIFEST_BYTES} bytes, expected no more")
    missing = _missing(folder, parse_manifest(data, f"{address}/{MANIFEST_NAME}"))
    try:
        (folder / TENSORS_NAME).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [
                pool.submit(_fetch_tensor, (address, system, root), folder, name, tensor)
                for name, tensor in missing.items()
            ]
            try:
                for number, future in enumerate(futures):
                    tell(number, len(futures))
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
        write_file(_manifest_path(folder, manifest_digest(data)), data, named=False)
    except OSError as error:
        raise TraceError(f"{folder}: cannot be written: {error.strerror}, expected room for {address}") from None
    return data


def _fetch_tensor(source: tuple[str, Any, str], folder: Path, name: str, tensor: StoredTensor) -> None:
    """Fetch a tensor file; it is there when its content has been checked."""
    address, system, root = source
    file_name = tensors.file_name(name)
    where = f"{address}/{TENSORS_NAME}/{file_name}"
    with _named(where):
        data = b"".join(_chunks(system, f"{root}/{TENSORS_NAME}/{file_name}", tensors.largest_file_bytes(tensor) + 1))

    def check(partial_file: Path) -> None:
        try:
            tensors.read(partial_file, name, tensor)
        except TraceError as error:
            raise TraceError(str(error).replace(str(partial_file), where)) from None

    write_file(folder / TENSORS_NAME / file_name, data, check, named=False)


def _missing(folder: Path, manifest: Manifest) -> dict[str, StoredTensor]:
    """The tensors that are not kept; damaged ones are found when they are read."""
    found = {}
    for name, tensor in manifest.tensors.items():
        try:
            tensors.check_file(folder / TENSORS_NAME / tensors.file_name(name), tensor)
        except TraceError:
            found[name] = tensor
    return found


def _manifest_path(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.json"


def _kept_manifest(folder: Path, digest: str) -> bytes | None:
    try:
        with plain_files.open_file(_manifest_path(folder, digest), "a manifest") as file:
            data = file.read(LARGEST_MANIFEST_BYTES + 1)
    except (TraceError, OSError):
        return None
    return data if manifest_digest(data) == digest else None


def _file_system(address: str) -> tuple[Any, str]:
    """Fsspec's file system, and the path in it. Raises TraceError for what is fetched from elsewhere."""
    protocol = address.partition("://")[0]
    if protocol not in PROTOCOLS or "::" in address:
        got = "a chain of addresses" if "::" in address else f"an address of {protocol!r}"
        raise TraceError(f"{address}: got {got}, expected a single one of {', '.join(PROTOCOLS)} or file")
    try:
        import fsspec
    except ImportError:
        raise TraceError(f"{address}: got an address, expected the extra: pip install 'swatsim[remote]'") from None
    system, root = fsspec.core.url_to_fs(address)
    return system, str(root).rstrip("/")


def _chunks(system: Any, path: str, most: int) -> Iterator[bytes]:
    """The bytes of a file, at most so many."""
    # Many web servers give whole files only.
    streamed = {"block_size": 0} if "http" in system.protocol else {}
    with system.open(path, "rb", **streamed) as file:
        while most > 0 and (chunk := file.read(min(_CHUNK_BYTES, most))):
            most -= len(chunk)
            yield chunk


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Whatever a file system raises, as one line."""
    expected = "a trace that can be fetched"
    try:
        yield
    except TraceError:
        raise
    except ImportError as error:
        got = words_of(error)
        expected = "what fetches from there, such as the extra: pip install 'swatsim[remote]'"
        raise TraceError(f"{where}: got an address and no module for it ({got}), expected {expected}") from None
    except Exception as error:  # each file system has errors of its own
        cause: BaseException = error
        while isinstance(cause, FileNotFoundError) and cause.__cause__ is not None:
            cause = cause.__cause__  # a host that does not answer has no files either
        missing = isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) == _NOT_FOUND
        got = "nothing there" if missing else f"{type(cause).__name__} ({words_of(cause)})"
        raise TraceError(f"{where}: got {got}, expected {expected}") from None
