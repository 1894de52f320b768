"""Every rule of manifest.json, broken one at a time, is one clear line."""

import functools
import hashlib
import json
import operator
import tempfile
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_files import (
    cost_of_reading,
    edit_manifest,
    read_all,
    refusal,
    small_trace,
    some_tensor,
    with_digest,
    write_trace,
)

from swatsim.errors import TraceError
from swatsim.layer import Layer
from swatsim.trace import load_trace, records
from swatsim.trace.json_values import fraction_text, parse_json
from swatsim.trace.manifest import format_manifest, parse_manifest

DIGITS = "ab" * 32


def setter(*keys, to):
    """A change that puts `to` at a path of keys; `...` deletes."""

    def change(members):
        at = members
        for key in keys[:-1]:
            at = at[key]
        if to is ...:
            del at[keys[-1]]
        else:
            at[keys[-1]] = to

    return change


def rename_tensor(name):
    def change(members):
        return json.loads(json.dumps(members).replace(some_tensor(members), json.dumps(name)[1:-1]))

    return change


def reshape_tensor(*shape):
    def change(members):
        members["tensors"][some_tensor(members)]["shape"] = list(shape)

    return change


def swap_operand(role, index=0):
    """Let the forward pass of a layer name a tensor of another shape."""

    def change(members):
        forward = members["layers"][index]["passes"]["forward"]
        other = "weight" if role == "input" else "input"
        forward[role]["tensor"] = forward[other]["tensor"]

    return change


def share_everything(members):
    """Six different tensors of 2^30 elements in one layer: each may be, but not all of them together."""
    size = 1 << 15
    members["tensors"] = {f"{i:064x}": {"shape": [size, size], "fill": "bits"} for i in range(3)}
    names = iter([0, 1, 0, 1, 0, 2])
    passes = {
        name: {
            **{role: {"tensor": f"{next(names):064x}", "sparsity": None} for role in roles},
            "result_mask": None,
        }
        for name, roles in (
            ("forward", ("input", "weight")),
            ("input_grad", ("output_grad", "weight")),
            ("weight_grad", ("output_grad", "input")),
        )
    }
    layer = members["layers"][2]
    members["layers"] = [{**layer, **{f"{key}_shape": [size, size] for key in ("input", "weight", "output")}}]
    members["layers"][0]["passes"] = passes
    members["graph"] = []


def cycle(members):
    members["graph"][1]["inputs"] = ["view"]


LAYER = ("layers", 1)
FORWARD = (*LAYER, "passes", "forward")
# What is changed, the place that the message must name, and how it must continue.
CHANGES = {
    "another format": (setter("format", to="zip"), 'format: got "zip", expected "swatsim-trace"'),
    "a later version": (setter("version", to=2), "version: got 2, expected 1"),
    "a version that is true": (setter("version", to=True), "version: got true, expected 1"),
    "a version that is 1.0": (setter("version", to=1.0), "version: got 1.0, expected 1"),
    "no version": (setter("version", to=...), "version: got none, expected 1"),
    "an array": (lambda _: [], "got [], expected an object"),
    "no layers key": (setter("layers", to=...), "got no layers, expected all of"),
    "an unknown key": (setter("colour", to=1), 'got key "colour", expected only digest, format'),
    "an unknown key of a layer": (setter(*LAYER, "bias", to=1), 'layers[1]: got key "bias", expected only name'),
    "a missing key of a layer": (setter(*LAYER, "groups", to=...), "layers[1]: got no groups"),
    "a name that is a number": (setter("name", to=3), "name: got 3, expected a string"),
    "an empty name": (setter("name", to=""), 'name: got "", expected a string that is not empty'),
    "a name with a line break": (setter("name", to="a\nb"), 'name: got "a\\nb", expected no control characters'),
    "a name with an escape": (setter("network", to="\x1b[2J"), 'network: got "\\u001b[2J", expected no control'),
    "a name with half a character": (setter("scheme", to="\ud800"), 'scheme: got "\\ud800", expected no control'),
    "a name with a separator": (setter("optimizer", to="a\u2028b"), 'optimizer: got "a\\u2028b", expected no'),
    "a name of 501 characters": (setter("name", to="x" * 501), "name: got a string of 501, expected at most 500"),
    "sparsity as a number": (setter("sparsity", to=0.8), "sparsity: got 0.8, expected a string such as"),
    "sparsity above one": (setter("sparsity", to="1.1"), 'sparsity: got "1.1", expected a string such as'),
    "sparsity as a large ratio": (setter("sparsity", to="3/2"), 'sparsity: got "3/2", expected a string such as'),
    "sparsity over zero": (setter("sparsity", to="1/0"), 'sparsity: got "1/0", expected a string such as'),
    "negative sparsity": (setter("sparsity", to="-0.5"), 'sparsity: got "-0.5", expected a string such as'),
    "sparsity with an exponent": (setter("sparsity", to="0.1e-999999999"), "sparsity: got"),
    "sparsity of 2000 digits": (setter("sparsity", to=f"1/{'9' * 2000}"), "sparsity: got"),
    "a period of zero": (setter("selection_period", to=0), "selection_period: got 0, expected an integer from 1"),
    "a period that is true": (setter("selection_period", to=True), "selection_period: got true, expected an integer"),
    "provenance as an array": (setter("provenance", to=[]), "provenance: got [], expected an object"),
    "provenance with a number": (setter("provenance", to={"seed": 1}), 'provenance["seed"]: got 1, expected a string'),
    "provenance with a bell": (setter("provenance", to={"x": "\a"}), 'provenance["x"]: got "\\u0007", expected no'),
    "1001 facts": (
        setter("provenance", to=dict.fromkeys(map(str, range(1001)), "")),
        "provenance: got 1001 keys, exp",
    ),
    "a provenance key of a bell": (setter("provenance", to={"\a": ""}), 'provenance key: got "\\u0007", expected'),
    "layers as an object": (setter("layers", to={}), "layers: got {}, expected an array"),
    "no layer": (lambda m: m | {"layers": [], "tensors": {}}, "layers: got [], expected at least one layer"),
    "a layer that is null": (setter(*LAYER, to=None), "layers[1]: got null, expected an object"),
    "two layers of one name": (setter(*LAYER, "name", to="first"), 'layers[1].name: got "first", expected another'),
    "a layer named total": (setter(*LAYER, "name", to="total"), "layers[1]: layer name: got 'total'"),
    "an unknown kind": (setter(*LAYER, "kind", to="conv3d"), "layers[1]: second: kind: got 'conv3d', expected one of"),
    "a stride of zero": (setter(*LAYER, "stride", to=[0, 1]), "layers[1].stride: got [0, 1], expected two integers"),
    "one stride": (setter(*LAYER, "stride", to=[1]), "layers[1].stride: got [1], expected two integers from 1"),
    "a stride that is a number": (setter(*LAYER, "stride", to=1), "layers[1].stride: got 1, expected two integers"),
    "a stride that is true": (setter(*LAYER, "stride", to=[True, 1]), "layers[1].stride: got [true, 1], expected two"),
    "a stride of 1.0": (setter(*LAYER, "stride", to=[1.0, 1]), "layers[1].stride: got [1.0, 1], expected two integers"),
    "negative padding": (setter(*LAYER, "padding", to=[0, 0, -1, 0]), "layers[1].padding: got [0, 0, -1, 0], expected"),
    "three paddings": (setter(*LAYER, "padding", to=[1, 1, 0]), "layers[1].padding: got [1, 1, 0], expected four"),
    "a huge dilation": (setter(*LAYER, "dilation", to=[1, 2**31]), "layers[1].dilation: got [1, 2147483648], expected"),
    "groups that do not divide": (setter(*LAYER, "groups", to=3), "layers[1]: second: channels: got input"),
    "groups that are text": (setter(*LAYER, "groups", to="2"), 'layers[1].groups: got "2", expected an integer from 1'),
    "needs_input_grad as 1": (setter(*LAYER, "needs_input_grad", to=1), "layers[1].needs_input_grad: got 1, expected"),
    "another stride": (setter(*LAYER, "stride", to=[2, 1]), "layers[1]: second: output_shape: got (5, 4) positions"),
    "a shape of 17 dimensions": (
        setter("layers", 2, "input_shape", to=[1] * 17),
        "layers[2].input_shape: got [1, 1, 1",
    ),
    "a shape with a zero": (setter(*LAYER, "input_shape", to=[2, 0, 5, 4]), "layers[1].input_shape: got [2, 0, 5, 4]"),
    "no input_grad pass": (setter(*LAYER, "passes", "input_grad", to=...), "layers[1].passes: got no input_grad"),
    "an input_grad that is not needed": (
        setter("layers", 0, "passes", "input_grad", to={}),
        'layers[0].passes: got key "input_grad", expected only forward, weight_grad',
    ),
    "passes as an array": (setter(*LAYER, "passes", to=[]), "layers[1].passes: got [], expected an object"),
    "no result_mask": (setter(*FORWARD, "result_mask", to=...), "layers[1].passes.forward: got no result_mask"),
    "an operand of another pass": (
        setter(*FORWARD, "output_grad", to={}),
        'layers[1].passes.forward: got key "output_grad", expected only input, weight, result_mask',
    ),
    "an operand that is a name": (setter(*FORWARD, "input", to=DIGITS), "layers[1].passes.forward.input: got"),
    "an operand's sparsity as a number": (
        setter(*FORWARD, "input", "sparsity", to=0),
        "layers[1].passes.forward.input.sparsity: got 0, expected a string",
    ),
    "a tensor that is not declared": (
        setter(*FORWARD, "input", "tensor", to=DIGITS),
        f'layers[1].passes.forward.input.tensor: got "{DIGITS}", expected a name in tensors',
    ),
    "a tensor that is null": (setter(*FORWARD, "input", "tensor", to=None), "forward.input.tensor: got null, expected"),
    "a tensor that is a list": (setter(*FORWARD, "input", "tensor", to=[]), "forward.input.tensor: got [], expected"),
    "a result mask that is not declared": (
        setter(*FORWARD, "result_mask", to=DIGITS),
        "layers[1].passes.forward.result_mask: got",
    ),
    "an operand of another shape": (
        swap_operand("weight"),
        "layers[0].passes.forward.weight.tensor: got a tensor of shape [2, 3, 9, 8], expected [4, 3, 3, 3]",
    ),
    "a tensor of another shape": (reshape_tensor(4, 5), "got a tensor of shape [4, 5], expected"),
    "a tensor that nothing uses": (
        setter("tensors", DIGITS, to={"shape": [1], "fill": "ones"}),
        f'tensors: got "{DIGITS}", expected only tensors that a layer uses',
    ),
    "tensors as an array": (setter("tensors", to=[]), "tensors: got [], expected an object"),
    "a tensor without fill": (setter("tensors", DIGITS, to={"shape": [1]}), "got no fill, expected all of shape, fill"),
    "a tensor filled with zeros": (setter("tensors", DIGITS, to={"shape": [1], "fill": "zeros"}), 'fill: got "zeros"'),
    "a tensor filled with a list": (setter("tensors", DIGITS, to={"shape": [1], "fill": []}), "fill: got [], expected"),
    "a tensor of 10^12 elements": (
        reshape_tensor(10**6, 10**6),
        "shape: got [1000000, 1000000], expected at most 1073",
    ),
    "a tensor of huge dimensions": (
        reshape_tensor(10**19, 1),
        "shape: got [10000000000000000000, 1], expected integers",
    ),
    "a layer of 10^12 elements": (
        setter("layers", 2, "input_shape", to=[10**6, 10**6, 7]),
        "layers[2]: last: output_shape: got (2, 3, 5), expected (1000000, 1000000, 5)",
    ),
    "a layer whose tensors are too large together": (
        share_everything,
        "layers[0]: got 3221225472 elements in the tens",
    ),
    "a name that is a path": (rename_tensor("../../../etc/passwd"), 'got name "../../../etc/passwd", expected the 64'),
    "a name that is an absolute path": (rename_tensor("/etc/passwd"), 'got name "/etc/passwd", expected the 64'),
    "a name with a path inside": (rename_tensor("../" * 20 + "aaaa"), 'got name "../../'),
    "a name in capitals": (rename_tensor("AB" * 32), f'got name "{"AB" * 32}", expected the 64 lowercase'),
    "a name with a line feed after it": (rename_tensor(f"{DIGITS}\n"), "expected the 64 lowercase"),
    "a name of 63 digits": (rename_tensor(DIGITS[1:]), "expected the 64 lowercase"),
    "a name in other digits": (rename_tensor("\u0661" * 64), "expected the 64 lowercase"),
    "a graph that is null": (setter("graph", to=None), "graph: got null, expected an array"),
    "a node without a shape": (setter("graph", 0, "shape", to=...), "graph[0]: got no shape, expected all of name"),
    "two nodes of one name": (setter("graph", 2, "name", to="image"), 'graph[2].name: got "image", expected another'),
    "an input that names nothing": (
        setter("graph", 2, "inputs", to=["x"]),
        'graph[2].inputs[0]: got "x", expected the',
    ),
    "an input that is a list": (
        setter("graph", 2, "inputs", to=[["first"]]),
        'graph[2].inputs[0]: got ["first"], expe',
    ),
    "1001 inputs": (
        setter("graph", 2, "inputs", to=["first"] * 1001),
        "graph[2].inputs: got 1001 elements, expected at",
    ),
    "a cycle": (
        cycle,
        'graph[1].inputs[0]: got "view", expected the name of an earlier node (so that there are no cyc',
    ),
    "a node that feeds itself": (setter("graph", 2, "inputs", to=["relu"]), 'graph[2].inputs[0]: got "relu", expected'),
    "an operation with a space": (
        setter("graph", 2, "op", to="re lu"),
        'graph[2].op: got "re lu", expected a lower-ca',
    ),
    "a node shape that is negative": (
        setter("graph", 2, "shape", to=[-1]),
        "graph[2].shape: got [-1], expected integers",
    ),
    "a layer's node of another kind": (
        setter("graph", 1, "op", to="linear"),
        'graph[1]: got node "first": linear with shape [2, 4, 5, 4], expected conv2d with shape [2, 4, 5, 4], as in',
    ),
    "a layer's node of another shape": (
        setter("graph", 1, "shape", to=[2, 4, 5]),
        'graph[1]: got node "first": conv2d',
    ),
    "a layer's node that is a relu": (
        setter("graph", 1, "op", to="relu"),
        'graph[1]: got node "first": relu with shape',
    ),
    "a convolution that is no layer": (
        setter("graph", 2, "op", to="conv2d"),
        'graph[2]: got node "relu": conv2d with shape [2, 4, 5, 4], expected no layer',
    ),
    "a layer without a node": (
        setter("graph", 5, to=...),
        'graph: got none for layer "last", expected a node for every layer',
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_broken_rule(tmp_path, case):
    change, expected = CHANGES[case]
    path = small_trace(tmp_path / "t")
    edit_manifest(path, change)
    message = refusal(load_trace, path)
    assert message.startswith(f"{path / 'manifest.json'}: ")
    assert expected in message
    assert ": got " in message


def test_an_unbroken_manifest_is_read(tmp_path):
    """The changes above are refused for what they change, not for having been rewritten."""
    path = small_trace(tmp_path / "t")
    edit_manifest(path, lambda members: None)
    assert len(read_all(path)) == 3


def json_text(path, old, new):
    """Replace text in the manifest, with a digest that fits."""
    text = (path / "manifest.json").read_bytes()
    assert old in text
    rest = text.replace(old, new, 1)[77:]
    return b'{"digest": "' + hashlib.sha256(rest).hexdigest().encode() + b'"' + rest


DEEP = b"[" * 100_000
TEXTS = {
    "empty": (lambda path: b"", "got text that is not JSON"),
    "not JSON": (lambda path: b"hello", ":1:1: got text that is not JSON: Expecting value"),
    "cut in half": (lambda path: (path / "manifest.json").read_bytes()[:500], "got text that is not JSON"),
    "two values": (lambda path: (path / "manifest.json").read_bytes() + b"{}", "got text that is not JSON: Extra data"),
    "not UTF-8": (lambda path: json_text(path, b'"small"', b'"sm\xffll"'), "got byte 0xff at"),
    "UTF-16": (
        lambda path: (path / "manifest.json").read_text().encode("utf-16"),
        "got byte 0xff at 0, expected UTF-8",
    ),
    "a byte order mark": (lambda path: b"\xef\xbb\xbf" + (path / "manifest.json").read_bytes(), "not JSON"),
    "NaN": (lambda path: json_text(path, b'"version": 1', b'"version": NaN'), "got NaN, expected JSON"),
    "Infinity": (lambda path: json_text(path, b'"groups": 1', b'"groups": Infinity'), "got Infinity, expected JSON"),
    "minus Infinity": (lambda path: json_text(path, b'"groups": 1', b'"groups": -Infinity'), "got -Infinity, expected"),
    "a float beyond range": (
        lambda path: json_text(path, b'"groups": 1', b'"groups": 1e999'),
        "got 1e999, expected a number of at most 1.8e+308",
    ),
    "2000 digits": (
        lambda path: json_text(path, b'"version": 1', b'"version": ' + b"9" * 2000),
        "an integer of 2000 di",
    ),
    "a key twice": (
        lambda path: json_text(path, b'"version": 1', b'"version": 1, "version": 1'),
        'got key "version" twi',
    ),
    "a key twice in a layer": (
        lambda path: json_text(path, b'"groups": 1', b'"groups": 1, "groups": 1'),
        'key "groups"',
    ),
    "the digest twice": (
        lambda path: json_text(path, b'"version": 1', b'"version": 1, "digest": ""'),
        'key "digest" twic',
    ),
    "the digest twice, escaped": (
        lambda path: json_text(path, b'"version": 1', b'"version": 1, "d\\u0069gest": ""'),
        'key "digest" twice',
    ),
    "nested deeply": (lambda path: DEEP, "got values nested too deep to read"),
    "nested deeply in a layer": (
        lambda path: json_text(path, b'"groups": 1', b'"groups": ' + b"[" * 900 + b"]" * 900),
        "groups: got",
    ),
    "the digest of another": (
        lambda path: (path / "manifest.json").read_bytes().replace(b"small", b"smell"),
        "digest: go",
    ),
    "the digest later": (
        lambda path: json.dumps(dict(reversed(json.loads((path / "manifest.json").read_bytes()).items()))).encode(),
        'expected the file to begin with {"digest": "',
    ),
    "space before the digest": (
        lambda path: b" " + (path / "manifest.json").read_bytes(),
        "expected the file to begin with",
    ),
    "no digest": (lambda path: b'{"format": "swatsim-trace", "version": 1}', "expected the file to begin with"),
    "a digest that is short": (lambda path: b'{"digest": "", "format": "swatsim-trace", "version": 1}', "digest: got"),
    "9 MB": (lambda path: b" " * (9 << 20), "bytes, expected at most 8388608"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_broken_text(tmp_path, case):
    make, expected = TEXTS[case]
    path = small_trace(tmp_path / "t")
    (path / "manifest.json").write_bytes(make(path))
    message = refusal(load_trace, path)
    assert message.startswith(f"{path / 'manifest.json'}:")
    assert expected in message


def test_a_million_layers(tmp_path):
    path = small_trace(tmp_path / "t")

    def change(members):
        members["layers"] = [{"name": f"{index}"} for index in range(1_000_000)]

    edit_manifest(path, change)
    assert "bytes, expected at most 8388608" in refusal(load_trace, path)


def in_place(**given):
    """A manifest of these members, and of empty ones for the others."""
    members = dict.fromkeys(("name", "network", "scheme", "optimizer"), "x") | {
        "format": "swatsim-trace", "version": 1, "sparsity": None, "selection_period": None,
        "provenance": {}, "graph": [], "tensors": {}, "layers": [],
    }  # fmt: skip
    return with_digest(members | given)


NODE = {"name": "", "op": "relu", "inputs": [], "shape": []}
# Each about 8 MB, of the kind of value that costs most where it stands.
LARGE = {
    "empty arrays": lambda: in_place(layers=[[]] * 2_000_000),
    "empty objects": lambda: in_place(graph=[{}] * 2_000_000),
    "nested arrays": lambda: in_place(name=[[[[[[[]]]]]]] * 500_000),
    "one text": lambda: in_place(name="x" * 8_000_000),
    "escaped text": lambda: in_place(optimizer="\ud800" * 1_300_000),
    "a long shape": lambda: in_place(tensors={"ab" * 32: {"shape": [1] * 2_600_000, "fill": "ones"}}),
    "keys of provenance": lambda: in_place(provenance={f"{index}": "" for index in range(600_000)}),
    "unknown keys": lambda: in_place(**{f"_{index}": 0 for index in range(500_000)}),
    "tensors": lambda: in_place(tensors={f"{index:064x}": {"shape": [1], "fill": "ones"} for index in range(70_000)}),
    "nodes": lambda: in_place(graph=[{**NODE, "name": f"{index}"} for index in range(130_000)]),
    "text before a number": lambda: in_place(name='x"' * 2_600_000, provenance=float("nan")),
    "numbers before a number": lambda: in_place(name=[10] * 2_000_000, provenance=10**21),
}


@pytest.mark.parametrize("case", LARGE)
def test_the_largest_manifests_take_bounded_time_and_memory(tmp_path, case):
    data = LARGE[case]()
    assert 6_000_000 < len(data) < records.LARGEST_MANIFEST_BYTES
    (tmp_path / "manifest.json").write_bytes(data)
    message, peak_bytes, seconds = cost_of_reading(tmp_path)
    assert message.startswith(f"{tmp_path / 'manifest.json'}:")
    assert seconds < 10
    assert peak_bytes < 512 << 20


def test_two_thousand_layers_are_read(tmp_path):
    """What is allowed works: more layers than any network has."""
    layers = [
        Layer.from_arrays(f"layer {index}", input=[[1]], weight=[[1]], output_grad=[[1]]) for index in range(2000)
    ]
    path = write_trace(tmp_path / "t", layers)
    message, peak_bytes, seconds = cost_of_reading(path)
    assert message == "2000 layers"
    assert seconds < 10
    assert peak_bytes < 512 << 20


@functools.cache
def plain_members():
    with tempfile.TemporaryDirectory() as folder:
        return (small_trace(Path(folder, "t")) / "manifest.json").read_bytes()


def places(value, path=()):
    """Every path of keys into a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


numbers = st.integers() | st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**63, 10**19, 10**20]) | st.floats()
words = st.text(max_size=5) | st.sampled_from(["first", "image", "linear", "conv1d", "ones", "1/3", "0.5", "ab" * 32])
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused_with_one_line(data):
    members = json.loads(plain_members())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(members))[1:]))
        at = functools.reduce(operator.getitem, path[:-1], members)
        choice = data.draw(st.sampled_from(["value", "delete", "copy", "nudge"]))
        if choice == "delete":
            del at[path[-1]]
        elif choice == "copy":
            source = data.draw(st.sampled_from(list(places(members))[1:]))
            at[path[-1]] = json.loads(json.dumps(functools.reduce(operator.getitem, source, members)))
        elif choice == "nudge" and type(at[path[-1]]) is int:
            at[path[-1]] += data.draw(st.sampled_from([-1, 1]))
        else:
            at[path[-1]] = data.draw(values)
    try:
        manifest = parse_manifest(with_digest(members), "m")
    except TraceError as error:
        assert str(error).isprintable()
        assert str(error).startswith(("m: ", "m:1:"))
    else:  # what is accepted can be written, and is then the same
        assert parse_manifest(format_manifest(manifest), "m") == manifest


@given(st.binary(max_size=200), st.integers(0, 3000), st.integers(0, 200))
def test_any_bytes_are_refused_with_one_line(inserted, position, cut):
    data = plain_members()
    position = min(position, len(data))
    changed = data[:position] + inserted + data[position + cut :]
    if changed == data:
        return
    try:
        parse_manifest(changed, "m")
    except TraceError as error:
        assert str(error).isprintable()
        return
    raise AssertionError("nothing was refused")


def test_an_integer_has_at_most_twenty_digits():
    assert parse_json(b"9" * 20, "here") == 10**20 - 1
    with pytest.raises(TraceError, match=r"^here:1:1: got an integer of 21 digits, expected at most 20$"):
        parse_json(b"9" * 21, "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "NaN",\n "\\"NaN": [true, NaN]}', "here:2:18: got NaN, expected JSON, which"),
        ("\n[NaN]", "here:2:2: got NaN"),
        ("[1,\n-Infinityx", "here:2:1: got -Infinity, expected JSON, which"),
        (f"[{'9' * 21}.5, {'9' * 21}x]", "here:1:27: got an integer of 21 digits"),
        (f'["{"9" * 21}", -{"9" * 20}]', "here:1:27: got an integer of 21 digits"),
        (f'{{"\\u00e9\\\\": [null, -0.5e-3, {"9" * 21}e-9],\n"b":{"9" * 21}e}}', "here:2:5: got an integer of 21"),
        (f"[{'9' * 22}e{'9' * 21}]", f"here:1:2: got {'9' * 22}e{'9' * 21}, expected a number of at most"),
        ('{"1e999": 1e99,\n\n  "x":1e999}', "here:3:7: got 1e999, expected a number of at most"),
    ],
)
def test_the_place_of_a_number_that_is_refused_is_said(text, message):
    with pytest.raises(TraceError) as error:
        parse_json(text.encode(), "here")
    assert str(error.value).startswith(message)


def test_the_first_of_two_equal_numbers_is_the_one_that_is_refused():
    with pytest.raises(TraceError, match=r"^here:1:2: got NaN"):
        parse_json(b"[NaN,\nNaN]", "here")


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (0, 1, "0"), (1, 1, "1"), (2, 1, "2/1"), (1, 4, "0.25"), (1, 5, "0.2"), (1, 40, "0.025"), (3, 1000, "0.003"),
        (1, 2**30, "0.000000000931322574615478515625"), (1, 2**31, f"1/{2**31}"), (1, 3, "1/3"), (1, 6, "1/6"),
        (5, 4, "5/4"), (-1, 4, "-1/4"), (1, 5**3, "0.008"),
    ],
)  # fmt: skip
def test_exact_text_of_a_fraction(numerator, denominator, expected):
    assert fraction_text(Fraction(numerator, denominator)) == expected
