"""`swatsim` and `python -m swatsim`: the command line."""

from __future__ import annotations

import sys

from swatsim.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line; Control-C while it is imported ends it as quietly as later."""
    try:
        from swatsim.cli import main as command_line
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
