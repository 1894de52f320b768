"""Points on the workers of a Dask scheduler (extra `dask`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from swatsim.apart import Progress
from swatsim.errors import SwatsimError
from swatsim.sweeping.point import Point, sources_digest
from swatsim.sweeping.store import Store

# A point whose worker dies is given to another one, so often.
RETRIES = 3
CONNECT_SECONDS = 30


def compute_on_cluster(points: Sequence[Point], store: Store, address: str, progress: Progress | None) -> None:
    """Compute points on the cluster and keep each here as it comes; workers read traces by the same names.

    Raises SwatsimError: the extra is missing, nobody is at the address or answers any more, workers die, or one has
    another swatsim.
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
    with client, _told(address, dask):
        futures = client.map(_document, points, [sources_digest()] * len(points), pure=False, retries=RETRIES)
        for done, (future, document) in enumerate(
            dask.as_completed(futures, loop=client.loop, with_results=True), start=1
        ):
            store.write(document)
            future.release()
            if progress is not None:
                progress(done, len(points))


@contextmanager
def _told(address: str, dask: Any) -> Iterator[None]:
    try:
        yield
    except dask.KilledWorker:
        got = f"{RETRIES} workers that ended in the middle of a point, as where memory runs out"
        raise SwatsimError(f"--dask {address}: got {got}, expected one that lives") from None
    except OSError as error:
        raise SwatsimError(f"--dask {address}: got no answer any more ({error}), expected a scheduler") from None


def _document(point: Point, digest: str) -> Mapping[str, Any]:
    if sources_digest() != digest:
        raise SwatsimError("a worker: got another swatsim than here, expected the same version and sources")
    return point.document(workers=1)
