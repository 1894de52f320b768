"""Budgets that some training has learned, layer by layer, from a CSV file with the columns layer and sparsity."""

from __future__ import annotations

import csv
from pathlib import Path

from swatsim.errors import SwatsimError

LARGEST_BUDGET_BYTES = 1 << 20
COLUMNS = ["layer", "sparsity"]


def read_budget_file(path: str) -> dict[str, str]:
    """Layer names and sparsities, as they are written. Raises SwatsimError with file and line."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_BUDGET_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise SwatsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SwatsimError(f"{path}: got bytes that are not UTF-8, expected a CSV file") from None
    if len(data) > LARGEST_BUDGET_BYTES:
        raise SwatsimError(f"{path}: got more than {LARGEST_BUDGET_BYTES} bytes, expected a budget of layers")
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if number == 1:
            if row != COLUMNS:
                raise SwatsimError(f"{path}:1: got columns {', '.join(row)}, expected {', '.join(COLUMNS)}")
        elif len(row) != len(COLUMNS):
            raise SwatsimError(f"{path}:{number}: got {len(row)} values, expected {', '.join(COLUMNS)}")
        elif row[0] in found:
            raise SwatsimError(f"{path}:{number}: got layer {row[0]!r} twice, expected it once")
        else:
            found[row[0]] = row[1]
    if not found:
        raise SwatsimError(f"{path}: got no layers, expected one a line")
    return found
