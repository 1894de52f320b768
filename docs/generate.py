"""Write every page and drawing of docs/ that is made from the code: `python -m docs.generate [--check]`.

With `--check` nothing is written: it names what is stale, and exits with 1.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from docs.drawings import DRAWINGS

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
# Each has a `document()` that gives its page.
MODULES = {
    "architecture.md": "swatsim.architecture.documentation",
    "comparison.md": "swatsim.comparison.documentation",
    "exit_codes.md": "swatsim.exit_codes",
    "dram.md": "benchmarks.dram",
    "networks.md": "benchmarks.networks",
    "reliability.md": "fuzz.page",
    "report.md": "swatsim.report.documentation",
    "storage_formats.md": "swatsim.formats",
    "validation.md": "benchmarks.validation",
}


def generated() -> dict[str, Callable[[], str]]:
    """What makes each file, by its path in docs/."""
    found: dict[str, Callable[[], str]] = {name: _document_of(module) for name, module in MODULES.items()}
    found["schemes.md"] = _schemes
    return found | {f"drawings/{name}": _svg_of(name) for name in DRAWINGS}


def _document_of(module: str) -> Callable[[], str]:
    def document() -> str:
        text: str = importlib.import_module(module).document()
        return text

    return document


def _svg_of(name: str) -> Callable[[], str]:
    return lambda: DRAWINGS[name]().svg()


def _schemes() -> str:
    from benchmarks.scheme_document import document

    text: str = document(json.loads((ROOT / "benchmarks" / "schemes.json").read_text(encoding="utf-8")))
    return text


def main(arguments: Sequence[str]) -> int:
    """Write what is stale, or only name it."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m docs.generate [--check]", file=sys.stderr)
        return 2
    stale = []
    for name, make in generated().items():
        path, text = FOLDER / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not arguments:
                path.write_text(text, encoding="utf-8")
    word = "stale" if arguments else "written"
    print("\n".join(f"docs/{name}: {word}" for name in stale) or "docs: all generated files are as the code says")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
