"""The JSON Schema of architecture files says of each value what the loader says of it."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from command_line import in_process
from hypothesis import given
from hypothesis import strategies as st

from swatsim.architecture import read_architecture, shipped_architectures
from swatsim.architecture.keys import all_keys
from swatsim.architecture.schema import architecture_schema
from swatsim.architecture.yaml_reader import read_yaml
from swatsim.datapaths import datapaths
from swatsim.errors import ArchitectureError
from swatsim.keys.constraints import constraint_of

FILES = sorted((Path(__file__).parent.parent / "arch").glob("*.yaml"))


@cache
def validator():
    return jsonschema.Draft202012Validator(architecture_schema())


@cache
def tree_of(path):
    return read_yaml(path.read_bytes(), str(path)).tree


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(architecture_schema())
    assert {path.stem for path in FILES} == set(shipped_architectures())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_fit(path):
    validator().validate(tree_of(path))
    assert not validator().is_valid({**tree_of(path), "titles": 1})


@pytest.mark.parametrize("kind", datapaths())
def test_every_key_is_described_with_its_default(kind):
    definitions = architecture_schema()
    for key, field in all_keys(kind=kind):
        if constraint_of(field.metadata) is None:
            continue
        part = definitions["$defs"][kind] if key[0] == "datapath" else definitions
        for name in key[1:] if key[0] == "datapath" else key:
            part = part["additionalProperties"] if name.startswith("<") else part["properties"][name]
        assert field.description in part["description"]
        assert ("default" in part) != field.is_required()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda tree: tree["tile"].update(rows=0), "$.tile.rows"),
        (lambda tree: tree["tile"].update(rows="16"), "$.tile.rows"),
        (lambda tree: tree["tile"].update(rows=16.5), "$.tile.rows"),
        (lambda tree: tree["tile"].pop("lanes"), "$.tile"),
        (lambda tree: tree.update(name=""), "$.name"),
        (lambda tree: tree.update(name="two\nlines"), "$.name"),
        (lambda tree: tree.update(clock=1), "$"),
        (lambda tree: tree["datapath"].update(kind="lines"), "$.datapath"),
        (lambda tree: tree["datapath"].update(dataflow="weight_stationary"), "$.datapath"),
        (lambda tree: tree["datapath"].update(moves=[[1]]), "$.datapath"),
        (lambda tree: tree["datapath"].update(moves=[[1, 0, 0]]), "$.datapath"),
        (lambda tree: tree["mapping"].update(overlap="prefetches"), "$.mapping.overlap"),
        (lambda tree: tree["memory"].update(total=tree["memory"]["dram"]), "$.memory"),
        (lambda tree: tree["memory"].update(Big=tree["memory"]["dram"]), "$.memory"),
        (lambda tree: tree["memory"]["dram"].update(holds=[]), "$.memory.dram.holds"),
        (lambda tree: tree["memory"]["dram"].update(capacity_bytes=-1), "$.memory.dram.capacity_bytes"),
    ],
)  # fmt: skip
def test_mistakes_fail_where_they_are(change, place):
    tree = copy.deepcopy(tree_of(next(path for path in FILES if path.stem == "dadiannao")))
    change(tree)
    assert place in {error.json_path for error in validator().iter_errors(tree)}
    with pytest.raises(ArchitectureError):
        read_architecture(yaml.safe_dump(tree, sort_keys=False).encode(), "file")


def _values(value):
    """Where a value stands, however deep: the path of each."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (key,)
        yield from ((key, *rest) for rest in _values(inner))


_OTHERS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.integers(60, 70), st.just(1 << 51), st.just(1.5),
    st.sampled_from(["", "rows", "x\ny", "lanes", "systolic", "node", "dense", "hbm2"]),
    st.sampled_from([[], [1], [[1, 0]], ["rows"], {}]),
)  # fmt: skip


@given(data=st.data())
def test_any_value_is_refused_by_both_or_by_neither_but_for_rules_between_keys(data):
    tree = copy.deepcopy(tree_of(data.draw(st.sampled_from(FILES))))
    *around, last = data.draw(st.sampled_from(list(_values(tree))))
    holder = tree
    for key in around:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.integers(0, 5)) == 0:
        holder["unknown"] = 1
    elif data.draw(st.integers(0, 5)) == 0:
        del holder[last]
    else:
        holder[last] = data.draw(_OTHERS)
    fits = validator().is_valid(tree)
    try:
        read_architecture(yaml.safe_dump(tree, sort_keys=False).encode(), "file")
    except ArchitectureError as error:
        # A rule gives its reason behind a second colon; all else is a matter of one key.
        between_keys = all(line.count(": ") >= 3 for line in str(error).splitlines())
        assert not fits or between_keys, error
    else:
        assert fits


def test_the_command_prints_it(capsys, tmp_path):
    code, out, _ = in_process(capsys, "schema", "architecture")
    assert (code, json.loads(out)) == (0, architecture_schema())
    assert in_process(capsys, "schema", "architecture", "-o", tmp_path / "schema.json") == (0, "", "")
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == out
    code, _, err = in_process(capsys, "schema", "machine")
    assert code == 2
    assert "'architecture', 'report', 'compare', 'sweep'" in err
