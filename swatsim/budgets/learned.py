"""Budgets that some training has learned, layer by layer, from a CSV file with the columns layer and sparsity."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from swatsim.errors import SwatsimError
from swatsim.keys.problems import shown

LARGEST_BUDGET_BYTES = 1 << 20
COLUMNS = ["layer", "sparsity"]
EXPECTED = "a CSV file"


def read_budget_file(path: str) -> dict[str, str]:
    """Layer names and sparsities, as they are written. Raises SwatsimError with file and line."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_BUDGET_BYTES + 1)
        if len(data) > LARGEST_BUDGET_BYTES:
            raise SwatsimError(f"{path}: got more than {LARGEST_BUDGET_BYTES} bytes, expected a budget of layers")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SwatsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SwatsimError(f"{path}: got bytes that are not UTF-8, expected {EXPECTED}") from None
    found: dict[str, str] = {}
    # Lines end where CSV says: at the other ends of lines of Unicode, a value goes on.
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, row in enumerate(rows):
            where = f"{path}:{rows.line_num}"
            if number == 0:
                if row != COLUMNS:
                    raise SwatsimError(f"{where}: got columns {shown(','.join(row))}, expected {','.join(COLUMNS)}")
            elif len(row) != len(COLUMNS):
                raise SwatsimError(f"{where}: got {len(row)} values, expected {', '.join(COLUMNS)}")
            elif row[0] in found:
                raise SwatsimError(f"{where}: got layer {shown(row[0])} twice, expected it once")
            else:
                found[row[0]] = row[1]
    except csv.Error as error:
        raise SwatsimError(f"{path}:{rows.line_num}: got what is no CSV ({error}), expected {EXPECTED}") from None
    if not found:
        raise SwatsimError(f"{path}: got no layers, expected one a line")
    return found
