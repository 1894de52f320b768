"""Points on the workers of a Dask scheduler (extra `dask`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swatsim.apart import Progress
from swatsim.errors import SwatsimError
from swatsim.plain_text import words_of
from swatsim.sweeping.point import Point, sources_digest
from swatsim.sweeping.store import Store

# Of what a worker itself meets, such as its disk. The scheduler gives the points of one that dies to another one, as
# often as its setting allowed-failures says.
RETRIES = 3
CONNECT_SECONDS = 30
Found = Mapping[str, Any] | SwatsimError


def compute_on_cluster(points: Sequence[Point], store: Store, address: str, progress: Progress | None) -> None:
    """Compute points on the cluster and keep each here as it comes; workers read traces by the same names.

    Raises SwatsimError: the extra is missing, nobody is at the address, a worker has another swatsim or none, or all
    die of a point.
    """
    try:
        import distributed
    except ImportError:
        raise SwatsimError("--dask needs distributed: pip install 'swatsim[dask]'") from None
    dask: Any = distributed  # it has no types
    try:
        client = dask.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SwatsimError(f"--dask {address}: got no answer ({error}), expected a scheduler") from None
    with client:
        futures = client.map(_document, points, [sources_digest()] * len(points), pure=False, retries=RETRIES)
        completed = dask.as_completed(futures, loop=client.loop, with_results=True)
        for done in range(1, len(points) + 1):
            future, found = _next(completed, address)
            if isinstance(found, SwatsimError):
                raise found
            store.write(found)
            future.release()
            if progress is not None:
                progress(done, len(points))


def _next(completed: Iterator[tuple[Any, Found]], address: str) -> tuple[Any, Found]:
    try:
        return next(completed)
    except Exception as error:  # the library's own, and whatever a worker without our packages meets
        got = f"{type(error).__name__} ({words_of(error)})"
        raise SwatsimError(f"--dask {address}: got {got}, expected workers that compute points") from None


def _document(point: Point, digest: str) -> Found:
    """Give what swatsim refuses as a value: raised, it would be retried, and come to the same."""
    if sources_digest() != digest:
        return SwatsimError("a worker: got another swatsim than here, expected the same version and sources")
    try:
        return point.document(workers=1)
    except SwatsimError as error:
        return error
