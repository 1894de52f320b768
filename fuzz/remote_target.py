"""What a server gives for a trace at an address: it may be anything, and come in any pieces."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

from fuzz.byte_targets import expanded, with_digest, zstd
from fuzz.judging import FoundError, accepts
from swatsim.trace import load_trace, remote
from swatsim.trace.manifest import parse_manifest
from swatsim.trace.reader import StoredTrace
from swatsim.trace.records import MANIFEST_NAME, TENSORS_NAME

BETWEEN = b"\xff\xfe"
RIGHT_NAMES, COMPRESSED, SHORT_READS, FAILS = 1, 2, 4, 8
_MOST_TENSORS = 6
_ADDRESS = "fuzz://server/trace"


class _Pieces(io.BytesIO):
    """A file of which the first read gives three bytes at most, and each further one twice as many."""

    most = 3

    def read(self, size: int | None = -1) -> bytes:
        most, self.most = self.most, 2 * self.most
        return super().read(most if size is None or size < 0 else min(most, size))


class _Server:
    """A file system of which the last file cannot be read where `failure` is what it says then."""

    protocol = ("fuzz",)

    def __init__(self, files: Mapping[str, bytes], *, short_reads: bool, failure: str | None) -> None:
        self.files, self.failure = files, failure
        self.kind = _Pieces if short_reads else io.BytesIO

    def open(self, path: str, _: str) -> io.BytesIO:
        """The file, or an error as file systems have them."""
        name = path.removeprefix("trace/")
        if name not in self.files:
            raise FileNotFoundError(path)
        if self.failure is not None and name == list(self.files)[-1]:
            raise RuntimeError(self.failure)
        return self.kind(self.files[name])


def remote_trace(data: bytes, folder: Path) -> bool:
    """The first byte says how the files are made; then come the manifest after its digest, and files, 0xFF 0xFE apart.

    The names of the tensors may be right: the n-th letter, 64 times, stands for that of the n-th file.
    """
    mode = data[0] if data else 0
    manifest, *parts = data[1:].split(BETWEEN)[: _MOST_TENSORS + 1]
    files = {}
    for number, part in enumerate(parts):
        file = zstd.compress(part, 1) if mode & COMPRESSED else part
        name = letters = bytes([ord("a") + number]) * 64
        if mode & RIGHT_NAMES:
            name = hashlib.sha256(part if mode & COMPRESSED else expanded(file)).hexdigest().encode("ascii")
            manifest = manifest.replace(letters, name)
        files[f"{TENSORS_NAME}/{name.decode('ascii')}.st.zst"] = file
    files = {MANIFEST_NAME: with_digest(manifest), **files}
    failure = files[list(files)[-1]].decode("utf-8", "replace") if mode & FAILS else None
    server = _Server(files, short_reads=bool(mode & SHORT_READS), failure=failure)
    try:
        with patch.object(remote, "_file_system", lambda _: (server, "trace")):
            fetched = accepts(lambda: _fetch(folder / "kept"))
        _check_kept(folder / "kept", whole=fetched)
        if failure is None and fetched != accepts(lambda: _read(files, folder / "local")):
            raise FoundError(f"fetched: {fetched}, which is not so of the same files in a folder")
        return fetched
    finally:
        for name in ("kept", "local"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _fetch(kept: Path) -> None:
    # Without the process of its own in which an address is asked: there would be one for each input.
    data = remote._fetch(_ADDRESS, str(kept), lambda done, total: None)
    for _ in StoredTrace(kept, parse_manifest(data, MANIFEST_NAME), data):
        pass


def _read(files: Mapping[str, bytes], local: Path) -> None:
    (local / TENSORS_NAME).mkdir(parents=True)
    for name, content in files.items():
        (local / name).write_bytes(content)
    for _ in load_trace(local):
        pass


def _check_kept(kept: Path, *, whole: bool) -> None:
    """What is kept has the content that its name says; a manifest is there when all of its trace is."""
    paths = [path for path in kept.rglob("*") if not path.is_dir()]
    manifests = [path for path in paths if path.parent == kept]
    if len(manifests) != whole:
        raise FoundError(f"kept {len(manifests)} manifests")
    for path in paths:
        if path not in manifests:
            name = hashlib.sha256(expanded(path.read_bytes())).hexdigest()
            if path != kept / TENSORS_NAME / f"{name}.st.zst":
                raise FoundError(f"kept {path.relative_to(kept)}, whose content is {name}")
