"""A page of docs/ that a command prints, or writes with `--update`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def print_or_update(document: Callable[[], str], path: Path, description: str | None) -> None:
    """The command line of such a page."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--update", action="store_true", help=f"write docs/{path.name}")
    if parser.parse_args().update:
        path.write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())
