"""The bill of materials names all that is needed, once, and says what needs what."""

from __future__ import annotations

import importlib.metadata
import json
import re

import pytest
from test_extras import PROJECT

from benchmarks import sbom


@pytest.fixture(scope="module")
def document():
    return sbom.bill_of_materials()


def test_what_pyproject_names_is_in_it(document):
    names = {component["name"].lower().replace("_", "-") for component in document["components"]}
    direct = {re.match(r"[\w.-]+", text)[0] for text in PROJECT["dependencies"] if "python_version" not in text}
    assert direct <= names
    # llvmlite is needed by numba alone.
    assert "llvmlite" in names


def test_every_reference_is_a_component(document):
    components = [document["metadata"]["component"], *document["components"]]
    references = [component["bom-ref"] for component in components]
    assert len(set(references)) == len(references)
    assert {each["ref"] for each in document["dependencies"]} == set(references)
    assert {name for each in document["dependencies"] for name in each["dependsOn"]} <= set(references)
    for component in components:
        assert component["version"] == importlib.metadata.version(component["name"])
        assert component["licenses"], component["name"]


def test_it_has_the_shape_of_cyclonedx_and_is_the_same_again(document, tmp_path):
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    for name in "ab":
        assert sbom.main(["-o", str(tmp_path / name), "--extra", "test"]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    more = json.loads((tmp_path / "a").read_text())
    assert len(more["components"]) > len(document["components"])
    assert any(component["name"] == "pytest" for component in more["components"])
