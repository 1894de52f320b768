"""What an installed swatsim is made of, as CycloneDX JSON: `python -m benchmarks.sbom [--extra NAME...] [-o FILE]`.

Read from the metadata of what is installed, and nothing else; the same installation gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = "swatsim"


def bill_of_materials(extras: Sequence[str] = ()) -> dict[str, Any]:
    """A CycloneDX document (version 1.6): swatsim, all that it needs, and what needs what.

    Raises PackageNotFoundError where something that is needed is not installed.
    """
    needs: dict[tuple[str, str], set[str]] = {}  # by name and extra, "" being none: what is needed
    left = [(_ROOT, extra) for extra in ("", *extras)]
    while left:
        name, extra = asked = left.pop()
        if asked not in needs:
            needed = list(_needed(name, extra))
            needs[asked] = {canonicalize_name(each.name) for each in needed} - {name}
            left += [(canonicalize_name(each.name), more) for each in needed for more in ("", *each.extras)]
    names = sorted({name for name, _ in needs})
    references = {name: _component(name)["bom-ref"] for name in names}
    direct = {name: {each for asked, found in needs.items() if asked[0] == name for each in found} for name in names}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {**_component(_ROOT), "type": "application"}},
        "components": [_component(name) for name in names if name != _ROOT],
        "dependencies": [
            {"ref": references[name], "dependsOn": sorted(references[each] for each in direct[name])} for name in names
        ],
    }  # fmt: skip


def _needed(name: str, extra: str) -> Iterator[Requirement]:
    """What a distribution needs here, for an extra of it or without any."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        without = marker is None or marker.evaluate({"extra": ""})
        if without if not extra else (not without and marker is not None and marker.evaluate({"extra": extra})):
            yield requirement


def _component(name: str) -> dict[str, Any]:
    metadata = distribution(name).metadata
    version = distribution(name).version
    reference = f"pkg:pypi/{canonicalize_name(name)}@{version}"
    component: dict[str, Any] = {
        "type": "library", "bom-ref": reference, "name": metadata["Name"], "version": version, "purl": reference,
    }  # fmt: skip
    if "License-Expression" in metadata:
        return {**component, "licenses": [{"expression": metadata["License-Expression"]}]}
    classified = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier", ()) if "License ::" in text]
    said = (metadata["License"] or "").strip().partition("\n")[0] if "License" in metadata else ""
    named = classified or ([said] if said else [])
    return {**component, "licenses": [{"license": {"name": text}} for text in named]} if named else component


def main(arguments: Sequence[str]) -> int:
    """Write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], help="an extra of swatsim; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", help="by default standard output")
    given = parser.parse_args(arguments)
    text = json.dumps(bill_of_materials(given.extra), indent=1, ensure_ascii=False) + "\n"
    if given.output is None:
        sys.stdout.write(text)
    else:
        Path(given.output).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
