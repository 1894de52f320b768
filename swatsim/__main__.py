"""`swatsim` and `python -m swatsim`: the command line."""

from __future__ import annotations

import os
import sys

from swatsim.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line; Control-C while it is imported ends it as quietly as later."""
    try:
        _open_standard_streams()
        from swatsim.cli import main as command_line
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    command_line()


def _open_standard_streams() -> None:
    """Where one was closed, the next file or pipe would get its number, and what is meant for the stream."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
