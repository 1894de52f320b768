"""`--trace` of the commands that simulate, and `--density`, which a file without zeros of its own needs beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swatsim.command_options import unique
from swatsim.errors import SwatsimError
from swatsim.files import is_address
from swatsim.progress import progress_bar

if TYPE_CHECKING:
    from swatsim.trace import Trace

# As swatsim.topologies has them, which loads too slowly for --help; a test compares.
ROLES = ("input", "weight", "output_grad")
_TOPOLOGY = ".csv"
_NUMBER = re.compile(r"[0-9]{0,3}\.?[0-9]{0,20}")
_EXAMPLE = "--density 0.2, or --density weight=0.2 --density input=0.5 --density output_grad=1"

trace_option = click.option(
    "--trace", "trace_path", required=True, metavar="DIR|ADDRESS|FILE.csv",
    help="Trace: a directory with a manifest.json, here or at an address, the name of a shipped one (smallcnn), or a "
    "SCALE-Sim topology, with --density.",
)  # fmt: skip
density_option = click.option(
    "--density", "densities", multiple=True, metavar="[OPERAND=]PART",
    help="Of a topology's operands (input, weight, output_grad): the share of random non-zeros, such as 0.2.",
)  # fmt: skip


def open_trace(path: str, densities: Sequence[str] = ()) -> Trace:
    """Open the trace that the two options say; a topology is drawn, and marked as synthetic. Raises SwatsimError."""
    given = Path(path)
    if not is_address(path) and given.suffix.lower() == _TOPOLOGY and not given.is_dir():
        from swatsim.topologies import topology_trace

        return topology_trace(path, densities_of(path, densities), name=given.stem)
    if densities:
        raise SwatsimError(f"--density {densities[0]}: got it with {path}, expected a SCALE-Sim topology (.csv): "
                           "other traces have zeros of their own")  # fmt: skip
    from swatsim.trace import load_trace

    if not is_address(path):
        return load_trace(path)
    with progress_bar("fetching", "files") as progress:
        return load_trace(path, progress=progress)


def densities_of(path: str, texts: Sequence[str]) -> dict[str, float]:
    """Those of a topology, all of which must be stated. Raises SwatsimError."""
    stated = parse_densities(texts)
    missing = [role for role in ROLES if role not in stated]
    if missing:
        got = f"no density of {', '.join(missing)}"
        raise SwatsimError(f"{path}: got a topology and {got}, expected {_EXAMPLE}: it says shapes and no zeros")
    return stated


def parse_densities(texts: Sequence[str]) -> dict[str, float]:
    """The densities by operand: a PART alone is that of all that no OPERAND=PART says. Raises SwatsimError."""
    stated = unique("--density", map(_parse, texts))
    every = stated.pop("", None)
    return stated if every is None else {role: stated.get(role, every) for role in ROLES}


def _parse(text: str) -> tuple[str, float]:
    role, equals, number = text.rpartition("=")
    role, number = role.strip(), number.strip()
    if (equals or role) and role not in ROLES:
        raise SwatsimError(f"--density {text}: got {role!r}, expected one of {', '.join(ROLES)}")
    if not re.search("[0-9]", number) or not _NUMBER.fullmatch(number) or float(number) > 1:
        raise SwatsimError(f"--density {text}: got {number!r}, expected a number from 0 to 1")
    return role, float(number)
