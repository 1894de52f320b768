"""Documents of earlier commands, read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swatsim.errors import SwatsimError

KINDS = {"swatsim-report": "report", "swatsim-comparison": "comparison", "swatsim-sweep": "sweep"}


@dataclass(frozen=True, slots=True)
class Saved:
    """A document, what it is of, and the SHA-256 of its file."""

    kind: str
    document: Mapping[str, Any]
    hash: str


def load_saved(path: str) -> Saved:
    """Read the JSON of a run, a comparison or a sweep; raises SwatsimError."""
    try:
        data = Path(path).read_bytes()
        document = json.loads(data)
        kind = KINDS[document["format"]]
    except OSError as error:
        raise SwatsimError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SwatsimError(f"{path}: got no document of swatsim, expected one of {', '.join(KINDS)}") from None
    return Saved(kind, document, hashlib.sha256(data).hexdigest())
