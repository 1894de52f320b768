"""ONNX models made node by node: layers as their operators define them, shapes as ONNX's own evaluator gives them."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX models need the extra: pip install 'swatsim[onnx]'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from refused_imports import refused_import  # noqa: E402

import swatsim  # noqa: E402
from swatsim.confined import Limits  # noqa: E402
from swatsim.sources import Request, import_trace, onnx_model  # noqa: E402
from swatsim.sources.onnx_weights import OTHER_PRODUCTS, WITH_WEIGHTS  # noqa: E402

RANDOM = np.random.default_rng(17)


def masked(*shape, density=0.4):
    return np.where(RANDOM.random(shape) < density, RANDOM.normal(size=shape), 0).astype(np.float32)


def model(path, nodes, inputs, weights, outputs=None):
    """Save a model; the output is the last node's, its shape left open."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, outputs)],
        [
            each if isinstance(each, TensorProto) else numpy_helper.from_array(each, name)
            for name, each in weights.items()
        ],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, path)
    return made


def weight_of(layer):
    return layer.passes["forward"].operands["weight"].bits.to_bool()


CONVOLUTIONS = [
    ("Conv", (4, 3, 3, 2), {"strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}, 1, (1, 2, 0, 1)),
    ("Conv", (6, 1, 3, 3), {"group": 3}, 3, (0, 0, 0, 0)),
    ("Conv", (4, 3, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, 1, (1, 1, 0, 1)),
    ("Conv", (4, 3, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, 1, (1, 1, 1, 0)),
    ("Conv", (4, 3, 2, 2), {"auto_pad": "VALID"}, 1, (0, 0, 0, 0)),
    ("ConvTranspose", (3, 5, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, 1, (1,) * 4),
    ("ConvTranspose", (3, 2, 2, 3), {"group": 3, "strides": [1, 2]}, 3, (0, 0, 0, 0)),
]


@pytest.mark.parametrize(("op", "shape", "attributes", "groups", "padding"), CONVOLUTIONS)
def test_convolutions(tmp_path, op, shape, attributes, groups, padding):
    weight = masked(*shape)
    node = helper.make_node(op, ["x", "conv.weight"], ["y"], name="/conv/Conv", **attributes)
    made = model(tmp_path / "m.onnx", [node], {"x": [2, 3, 10, 10]}, {"conv.weight": weight})
    layer = import_trace(tmp_path / "m.onnx", name="t").layer(0)
    if op == "ConvTranspose" and groups > 1:  # which the evaluator cannot do
        expected = (2, 6, 9 * 1 + 2, 9 * 2 + 3)
    else:
        expected = ReferenceEvaluator(made).run(None, {"x": np.ones((2, 3, 10, 10), np.float32)})[0].shape
    spec = layer.spec
    assert spec.name == "conv"
    assert spec.kind == ("conv2d" if op == "Conv" else "conv_transpose2d")
    assert (spec.input_shape, spec.output_shape) == ((2, 3, 10, 10), expected)
    assert (spec.groups, spec.padding, spec.needs_input_grad) == (groups, padding, False)
    assert spec.stride == tuple(attributes.get("strides", [1, 1]))
    assert spec.dilation == tuple(attributes.get("dilations", [1, 1]))
    np.testing.assert_array_equal(weight_of(layer), weight != 0)


def test_a_network_of_everything(tmp_path):
    weights = {
        "a.weight": masked(4, 3, 3), "lin": masked(4, 5), "gemm": masked(7, 35), "flat": np.array([2, 35]),
    }  # fmt: skip
    constant = helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(masked(7, 6), "v"))
    nodes = [
        helper.make_node("Conv", ["x", "a.weight"], ["1"], pads=[1, 1]),
        helper.make_node("Relu", ["1"], ["2"]),
        helper.make_node("Transpose", ["2"], ["3"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["3", "lin"], ["4"], name="/proj/MatMul"),
        helper.make_node("Reshape", ["4", "flat"], ["5"]),
        helper.make_node("Gemm", ["5", "gemm"], ["6"], transB=1, name="gemm"),
        constant,
        helper.make_node("MatMul", ["6", "table"], ["7"], name="gemm"),
        helper.make_node("Transpose", ["7"], ["8"], perm=[1, 0]),
        helper.make_node("MatMul", ["7", "8"], ["9"]),
    ]
    made = model(tmp_path / "m.onnx", nodes, {"x": ["batch", 3, 7]}, weights, ["batch", 2])
    trace = import_trace(tmp_path / "m.onnx", Request(images=2), name="t")
    first, projection, gemm, table = trace.specs
    assert (first.kind, first.input_shape, first.padding) == ("conv1d", (2, 3, 7), (0, 0, 1, 1))
    assert (first.needs_input_grad, projection.needs_input_grad, table.needs_input_grad) == (False, True, True)
    assert (projection.name, projection.input_shape, projection.output_shape) == ("/proj/MatMul", (2, 7, 4), (2, 7, 5))
    assert (gemm.name, gemm.input_shape, gemm.weight_shape) == ("gemm", (2, 35), (7, 35))
    assert (table.name, table.input_shape, table.weight_shape) == ("gemm:2", (2, 7), (6, 7))
    np.testing.assert_array_equal(weight_of(trace.layer(1)), weights["lin"].T != 0)
    np.testing.assert_array_equal(weight_of(trace.layer(2)), weights["gemm"] != 0)
    np.testing.assert_array_equal(weight_of(trace.layer(3)), numpy_helper.to_array(constant.attribute[0].t).T != 0)
    assert "1 products of results" in trace.manifest.provenance["remarks"]
    assert made.graph.node[0].op_type == "Conv"
    report = swatsim.simulate(swatsim.load_architecture("bit-tactical"), trace, workers=1)
    (row,) = [row for row in report.records if row.layer == "gemm" and row.pass_name == "forward"]
    assert row.effectual_macs == int((weights["gemm"] != 0).sum()) * 2


def test_weights_outside_of_the_file_are_not_opened(tmp_path):
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 5], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../../etc/passwd")
    model(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, {"w": outside})
    trace = import_trace(tmp_path / "m.onnx", name="t")
    assert weight_of(trace.layer(0)).all()
    assert trace.manifest.provenance["operands"].startswith("weight: dense, for the file has no weights")


def test_the_batch_is_asked_for(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    for first in ("batch", None):
        model(tmp_path / "m.onnx", [node], {"x": [first, 4]}, {"w": masked(4, 5)})
        assert 'input "x": got an open batch, expected --images N' in refused_import(tmp_path / "m.onnx")
    model(tmp_path / "m.onnx", [node], {"x": [2, 4]}, {"w": masked(4, 5)})
    assert "got --images 3 for 2 in the file" in refused_import(tmp_path / "m.onnx", Request(images=3))
    assert import_trace(tmp_path / "m.onnx", Request(images=2), name="t").specs[0].input_shape == (2, 4)
    # The outputs' other dimensions stay as they are.
    model(tmp_path / "m.onnx", [node], {"x": ["batch", 4]}, {"w": masked(4, 5)}, ["batch", 5])
    assert import_trace(tmp_path / "m.onnx", Request(images=3), name="t").specs[0].output_shape == (3, 5)


def test_weights_are_stored_and_not_computed(tmp_path):
    weight = masked(4, 5)
    product = helper.make_node("MatMul", ["x", "v"], ["y"], name="fc")
    model(tmp_path / "m.onnx", [helper.make_node("Neg", ["w"], ["v"]), product], {"x": [2, 4]}, {"w": weight})
    expected = '"fc": got a weight that the model computes, expected its constants folded'
    assert expected in refused_import(tmp_path / "m.onnx")
    # Of older models what is stored is an input as well.
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    model(tmp_path / "m.onnx", [product], {"x": [2, 4], "w": [4, 5]}, {"w": weight})
    (layer,) = import_trace(tmp_path / "m.onnx", Request(images=2), name="t")
    np.testing.assert_array_equal(weight_of(layer), weight.T != 0)


def computed(name):
    return f'"{name}": got a weight that the model computes, expected its constants folded'


WEIGHTED = "expected only Conv, ConvTranspose, Gemm, MatMul, of ONNX's own, to multiply weights"
SECOND = "got a second factor that may be a weight, expected one that is stored, or behind a layer"
SPARSE = helper.make_sparse_tensor(
    numpy_helper.from_array(np.ones(2, np.float32), "v"), numpy_helper.from_array(np.array([0, 5])), [4, 5]
)  # fmt: skip
BRANCH = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["b"])], "branch", [],
    [helper.make_tensor_value_info("b", TensorProto.FLOAT, [2, 5])],
)  # fmt: skip
OUTER = helper.make_graph(
    [helper.make_node("If", ["c"], ["o"], then_branch=BRANCH, else_branch=BRANCH)], "outer", [],
    [helper.make_tensor_value_info("o", TensorProto.FLOAT, [2, 5])],
)  # fmt: skip
CHOICES = [
    helper.make_graph(
        [helper.make_node("Identity", ["w"], ["i"])], "choice", [],
        [helper.make_tensor_value_info("i", TensorProto.FLOAT, [4, 4])],
    )
] * 2  # fmt: skip
# What follows a layer that is read, and what is said of it: left out, it would be missing from every figure.
OTHERS = [
    (helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik"), f'"Einsum": got Einsum, {WEIGHTED}'),
    (helper.make_node("LSTM", ["s", "p", "q"], ["y"], hidden_size=4, name="l"), f'"l": got LSTM, {WEIGHTED}'),
    (helper.make_node("QLinearConv", ["x"] + ["w"] * 7, ["y"]), f'"QLinearConv": got QLinearConv, {WEIGHTED}'),
    (helper.make_node("CausalConvWithState", ["x", "w"], ["y"]), f"got CausalConvWithState, {WEIGHTED}"),
    (helper.make_node("Einsum", ["x", "v1"], ["y"], equation="ij,j->i"), f'"Einsum": got Einsum, {WEIGHTED}'),
    (helper.make_node("Attention", ["x", "x", "x", "w"], ["y"]), None),
    (helper.make_node("Attention", ["x", "w", "x"], ["y"]), f'"Attention": got Attention, {WEIGHTED}'),
    (helper.make_node("LinearAttention", ["x", "w", "x"], ["y"]), f"got LinearAttention, {WEIGHTED}"),
    (helper.make_node("LinearAttention", ["x", "x", "w"], ["y"]), f"got LinearAttention, {WEIGHTED}"),
    (helper.make_node("MatMulInteger", ["x", "w"], ["y"]), f"got MatMulInteger, {WEIGHTED}"),
    (
        helper.make_node("QLinearMatMul", ["x", "half", "half", "w", *["half"] * 4], ["y"]),
        f"got QLinearMatMul, {WEIGHTED}",
    ),
    (helper.make_node("Conv", ["x", "negative"], ["y"]), computed("Conv")),
    (helper.make_node("MatMul", ["v1", "x"], ["y"]), '"MatMul": got a stored first factor, expected only a second one'),
    (helper.make_node("MatMul", ["x", "q2"], ["y"]), SECOND),
    (helper.make_node("Gemm", ["x", "q2"], ["y"]), SECOND),
    (helper.make_node("MatMul", ["x", "expert"], ["y"]), SECOND),
    (helper.make_node("MatMul", ["x", "branch"], ["y"]), SECOND),
    (helper.make_node("MatMul", ["x", "x"], ["y"]), None),
    (helper.make_node("MatMul", ["x", "sparse"], ["y"]), '"MatMul": got a weight that is sparse, expected a dense one'),
    (helper.make_node("Conv", ["x", "given"], ["y"]), None),
    (helper.make_node("MatMul", ["w", "x"], ["y"]), '"MatMul": got a stored first factor, expected only a second one'),
    (helper.make_node("Conv", ["x", "n"], ["y"]), computed("Conv")),
    (helper.make_node("Conv", ["x", "p"], ["y"]), None),  # an input: nothing is known of its zeros
    (helper.make_node("Conv", ["x", "c0"], ["y"]), computed("Conv")),
    (helper.make_node("ConvTranspose", ["x", "d"], ["y"]), computed("ConvTranspose")),
    (helper.make_node("If", ["c"], ["y"], then_branch=BRANCH, else_branch=BRANCH), 'got "MatMul" in a part of its own'),
    (helper.make_node("If", ["c"], ["y"], then_branch=OUTER, else_branch=OUTER), 'got "MatMul" in a part of its own'),
    (
        helper.make_node("Fused", ["x", "w"], ["y"], domain="others"),
        f'"Fused": got "Fused" of "others", which may multiply a weight, {WEIGHTED}',
    ),
    (helper.make_node("Fused", ["x", "half"], ["y"], domain="others"), None),
    (helper.make_node("Einsum", ["x", "x"], ["y"], equation="ij,ik->jk"), None),
    (helper.make_node("Add", ["x", "w"], ["y"]), None),
]


@pytest.mark.parametrize(("node", "expected"), OTHERS, ids=str)
def test_what_multiplies_weights_and_is_no_layer(tmp_path, node, expected):
    path = tmp_path / "m.onnx"
    convolution = node.op_type.startswith("Conv")
    shape = [1, 4, 8] if convolution else [2, 4]
    before = [
        helper.make_node("Conv" if convolution else "MatMul", ["i", "u"], ["x"], name="first"),
        helper.make_node("Neg", ["w"], ["n"]),
        helper.make_node("DequantizeLinear", ["w8", "scale", ""], ["d"]),
        helper.make_node("Constant", [], ["c0"], sparse_value=SPARSE),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Identity", ["p"], ["given"]),
        helper.make_node("Neg", ["p"], ["negative"]),
        helper.make_node("ArgMax", ["x"], ["which"], keepdims=0),
        helper.make_node("Gather", ["experts", "which"], ["expert"]),
        helper.make_node("If", ["c"], ["branch"], then_branch=CHOICES[0], else_branch=CHOICES[1]),
    ]
    weight = masked(4, 4, 1) if convolution else masked(4, 4)
    weights = {
        "u": weight,
        "w": weight,
        "v1": masked(4),
        "experts": masked(3, 4, 4),
        "w8": np.ones((4, 4, 1), np.int8),
        "scale": np.float32(1),
    }
    inputs = {"i": shape, "s": [7, 2, 5], "p": [4, 4, 1], "q": [1, 16, 4], "q2": [4, 4], "c": []}
    made = model(path, [*before, node], inputs, weights)
    sparse = made.graph.sparse_initializer.add()
    sparse.CopyFrom(SPARSE)
    sparse.values.name = "sparse"
    made.opset_import.append(helper.make_opsetid("others", 1))
    if expected is None and node.domain == "others":
        made.graph.output[0].name = "x"
    onnx.save(made, path)
    if expected is not None:
        assert expected in refused_import(path)
    else:
        assert import_trace(path, name="t").specs[0].name == "first"


@pytest.mark.parametrize("name", ["w", "x", "t"])
def test_names_that_stand_for_two_things(tmp_path, name):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], [name])]
    model(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, {"w": masked(4, 5)})
    assert f'm.onnx: got a second "{name}", expected each name once' in refused_import(tmp_path / "m.onnx")


def test_layers_of_what_the_file_holds(tmp_path):
    """As of tables of positions that go through layers of their own."""
    nodes = [helper.make_node("MatMul", [before, w], [after]) for before, w, after in ("tab", "bvc", "xwy")]
    nodes.append(helper.make_node("Add", ["y", "c"], ["z"]))
    weights = {"t": masked(2, 4), "a": masked(4, 4), "v": masked(4, 5), "w": masked(4, 5)}
    model(tmp_path / "m.onnx", [helper.make_node("Neg", ["t"], ["u"]), *nodes], {"x": [2, 4]}, weights)
    specs = import_trace(tmp_path / "m.onnx", name="t").specs
    assert [spec.weight_shape for spec in specs] == [(4, 4), (5, 4), (5, 4)]
    # What they give is the model's own, and no weight of another.
    model(tmp_path / "m.onnx", [*nodes, helper.make_node("MatMul", ["x", "b"], ["q"])], {"x": [2, 4]}, weights)
    assert "got a weight that the model computes" in refused_import(tmp_path / "m.onnx")


# Standard operators that multiply no weight: a new one belongs here, or to those of swatsim.sources.onnx_weights.
WITHOUT_WEIGHTS = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Bernoulli
BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Cos Cosh CumProd CumSum DFT DepthToSpace
DequantizeLinear Det Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
GatherElements GatherND Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If ImageDecoder
InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
LpNormalization LpPool Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod
Mul Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement
OptionalHasElement Or PRelu Pad Pow QuantizeLinear RMSNormalization RandomNormal RandomNormalLike RandomUniform
RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding
Round STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase
SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax
SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat
StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK
Transpose Trilu Unique Unsqueeze Upsample Where Xor
""".split()  # noqa: SIM905  a list of them is two hundred lines


def test_every_standard_operator_is_known():
    schemas = onnx.defs.get_all_schemas()
    names = {schema.name for schema in schemas if schema.domain in ("", "ai.onnx")}
    layers = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
    assert names <= {*WITHOUT_WEIGHTS, *WITH_WEIGHTS, *OTHER_PRODUCTS, *layers}


def test_weights_that_have_two_names(tmp_path):
    weight = masked(4, 5)
    nodes = [helper.make_node("Identity", ["w"], ["v"]), helper.make_node("MatMul", ["x", "v"], ["y"], name="fc")]
    model(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, {"w": weight})
    (layer,) = import_trace(tmp_path / "m.onnx", name="t")
    np.testing.assert_array_equal(weight_of(layer), weight.T != 0)


def test_layers_in_functions_of_the_model(tmp_path):
    path, weight = tmp_path / "m.onnx", masked(4, 5)
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    made = model(path, [helper.make_node("F", ["x", "w"], ["y"], domain="f")], {"x": [2, 4]}, {"w": weight})
    made.functions.append(
        helper.make_function("f", "F", ["a", "v"], ["b"], [helper.make_node("MatMul", ["a", "v"], ["b"])], versions)
    )
    made.opset_import.append(versions[1])
    onnx.save(made, path)
    (layer,) = import_trace(path, name="t")
    np.testing.assert_array_equal(weight_of(layer), weight.T != 0)
    made.functions[0].opset_import[0].version = 17
    onnx.save(made, path)
    assert "m.onnx: got " in refused_import(path)  # of another version, with weights from outside
    # With weights of its own it can be brought to the model's version.
    constant = helper.make_node("Constant", [], ["v"], value=numpy_helper.from_array(weight))
    body = [constant, helper.make_node("MatMul", ["a", "v"], ["b"])]
    made.functions[0].CopyFrom(helper.make_function("f", "F", ["a"], ["b"], body, made.functions[0].opset_import))
    made.graph.node[0].CopyFrom(helper.make_node("F", ["x"], ["y"], domain="f"))
    onnx.save(made, path)
    (layer,) = import_trace(path, name="t")
    np.testing.assert_array_equal(weight_of(layer), weight.T != 0)
    made.functions[0].node[1].CopyFrom(helper.make_node("F", ["a"], ["b"], domain="f"))
    onnx.save(made, path)
    assert "m.onnx: got " in refused_import(path)


def test_models_that_hold_no_layer_or_too_much(tmp_path):
    path = tmp_path / "m.onnx"
    model(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 4]}, {})
    assert "got 0 layers" in refused_import(path)
    model(path, [helper.make_node("Conv", ["x", "w"], ["y"])], {"x": [1, 1, 4, 4, 4]}, {"w": masked(1, 1, 2, 2, 2)})
    assert "expected one or two dimensions beside the channels" in refused_import(path)
    model(path, [helper.make_node("Gemm", ["x", "w"], ["y"], transA=1)], {"x": [4, 2]}, {"w": masked(4, 5)})
    assert "transA 1, expected a matrix, and an input that is not transposed" in refused_import(path)
    model(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 3, 4]}, {"w": masked(2, 4, 5)})
    assert "got a weight of shape [2, 4, 5]" in refused_import(path)
    model(path, [helper.make_node("Conv", ["x", "w"], ["y"])], {"x": [1, 1, "h", 4]}, {"w": masked(1, 1, 2, 2)})
    assert 'input: got no shape for "x", expected one that can be inferred' in refused_import(path)
    liar = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20], raw_data=b"1234")
    model(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 1 << 20]}, {"w": liar})
    assert "weight: got shape [1048576, 1048576]" in refused_import(path)
    liar = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 5], raw_data=b"1234")
    model(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, {"w": liar})
    assert "damaged weight" in refused_import(path)
    words = TensorProto(name="w", data_type=TensorProto.STRING, dims=[4, 5], string_data=[b"1"] * 20)
    model(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, {"w": words})
    assert "got a weight of object and shape (4, 5), expected numbers of the weight's shape" in refused_import(path)
    path.write_bytes(b"nothing of the kind")
    assert "got another file" in refused_import(path)
    path.write_bytes(b"")
    assert "got 0 layers" in refused_import(path)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"strides": [1.0, 2.0]}, "Conv: got strides of type list, expected integers"),
        ({"strides": 2}, "Conv: got strides of type int, expected integers"),
        ({"pads": "1"}, "Conv: got pads of type bytes, expected integers"),
        ({"group": [1]}, "Conv: got a group of type list, expected an integer"),
        ({"auto_pad": "a\nb"}, 'Conv: got auto_pad "a\\nb", expected pads for each side'),
    ],
)
def test_attributes_of_another_type(tmp_path, monkeypatch, attributes, expected):
    # Inference of shapes refuses some of these; others reach the layer, as would all where it is lenient.
    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", lambda model, **_: model)
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    model(tmp_path / "m.onnx", [node], {"x": [1, 1, 4, 4]}, {"w": masked(1, 1, 2, 2)}, outputs=[1, 1, 3, 3])
    assert expected in refused_import(tmp_path / "m.onnx")


@pytest.mark.parametrize("place", [b"weightname", b"nodename", b"outputname"])
def test_names_that_are_not_utf_8(tmp_path, place):
    path = tmp_path / "m.onnx"
    node = helper.make_node("MatMul", ["x", "weightname"], ["outputname"], name="nodename")
    model(path, [node], {"x": [2, 4]}, {"weightname": masked(4, 5)})
    path.write_bytes(path.read_bytes().replace(place, b"\xff" * len(place)))
    refused_import(path)


def test_larger_files_are_not_read(tmp_path, monkeypatch):
    model(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, {"w": masked(4, 5)})
    monkeypatch.setattr(onnx_model, "_LARGEST_FILE_BYTES", 10)
    assert "m.onnx: got more than 10 bytes, expected " in refused_import(tmp_path / "m.onnx")


@pytest.fixture
def confining(monkeypatch, forking):
    """Little memory and time."""
    monkeypatch.setattr(onnx_model, "_LIMITS", Limits(memory_bytes=128 << 20, seconds=1))


@pytest.mark.usefixtures("confining")
def test_functions_whose_inlining_takes_too_much(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    import onnx.inliner

    monkeypatch.setattr(onnx.inliner, "inline_local_functions", fail)
    made = model(tmp_path / "m.onnx", [PRODUCT], {"x": [2, 4]}, {"w": masked(4, 5)})
    body = [helper.make_node("Relu", ["a"], ["b"])]
    made.functions.append(helper.make_function("f", "F", ["a"], ["b"], body, [helper.make_opsetid("", 18)]))
    onnx.save(made, tmp_path / "m.onnx")
    assert refused_for("takes more than 128 MiB to read", tmp_path / "m.onnx")


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])


# Its libraries do not always say that memory has ended: a stack that cannot grow is a SIGSEGV.
MEMORY = r"takes more than 128 MiB to read|ends the process that reads it \(SIG(SEGV|ABRT)\)"
MEMORY_OR_TIME = rf"{MEMORY}|takes more than 1 s to read"


def refused_for(got, path):
    return re.fullmatch(rf"{re.escape(str(path))}: got what ({got}), expected an ONNX model", refused_import(path))


@pytest.mark.usefixtures("confining")
def test_shapes_that_double_until_memory_ends(tmp_path):
    nodes = [helper.make_node("Concat", [f"c{step}"] * 2, [f"c{step + 1}"], axis=0) for step in range(40)]
    path = tmp_path / "m.onnx"
    model(path, [*nodes, PRODUCT], {"x": [2, 4]}, {"w": masked(4, 5), "c0": np.array([1])})
    assert path.stat().st_size < 2000
    assert refused_for(MEMORY, path)


@pytest.mark.usefixtures("confining")
def test_a_slice_of_a_shape_that_runs_over(tmp_path):
    ends = {"from": 2**63 - 1, "to": -(2**63), "axis": 0, "step": -(2**63)}
    nodes = [helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Slice", ["shape", *ends], ["z"])]
    weights = {"w": masked(4, 5), **{name: np.array([value]) for name, value in ends.items()}}
    model(tmp_path / "m.onnx", [*nodes, PRODUCT], {"x": [2, 4]}, weights)
    assert refused_for(MEMORY, tmp_path / "m.onnx")


@pytest.mark.usefixtures("confining")
def test_functions_that_call_each_other_twice(tmp_path):
    path = tmp_path / "m.onnx"
    made = model(path, [helper.make_node("F29", ["x"], ["z"], domain="f"), PRODUCT], {"x": [2, 4]}, {"w": masked(4, 5)})
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    for depth in range(30):
        called, domain = (f"F{depth - 1}", "f") if depth else ("Relu", "")
        body = [helper.make_node(called, [one], [other], domain=domain) for one, other in ("at", "tb")]
        made.functions.append(helper.make_function("f", f"F{depth}", ["a"], ["b"], body, versions))
    made.opset_import.append(versions[1])
    onnx.save(made, path)
    assert refused_for(MEMORY_OR_TIME, path)


def shared_products(path, count):
    nodes = [helper.make_node("MatMul", [f"t{step}", "fc.weight"], [f"t{step + 1}"]) for step in range(count)]
    model(path, nodes, {"t0": [2, 4]}, {"fc.weight": masked(4, 4)})


def test_a_weight_of_many_layers_is_named_and_read_once(tmp_path, monkeypatch):
    # In this process: what is looked up is counted.
    monkeypatch.setattr(onnx_model, "confined", lambda work, *_, **__: work())
    lookups, reads = [], []

    class Taken(dict):
        def __contains__(self, name):
            lookups.append(name)
            return super().__contains__(name)

    taken = Taken()
    name, bits = onnx_model._name, onnx_model._bits

    def counted(node, specs, *others):
        taken.update(dict.fromkeys(specs))
        return name(node, taken, *others)

    monkeypatch.setattr(onnx_model, "_name", counted)
    monkeypatch.setattr(onnx_model, "_bits", lambda *given: reads.append(given) or bits(*given))
    shared_products(tmp_path / "m.onnx", 100)
    names = [spec.name for spec in import_trace(tmp_path / "m.onnx", name="t").specs]
    assert names == ["fc", *(f"fc:{use}" for use in range(2, 101))]
    assert len(lookups) == 100
    assert len(reads) == 1


def test_names_that_others_have_are_passed_over(tmp_path):
    weights = {"fc:2.weight": masked(4, 4), "fc.weight": masked(4, 4)}
    used = ["fc.weight", "fc:2.weight", "fc.weight", "fc:2.weight", "fc.weight"]
    nodes = [helper.make_node("MatMul", [f"t{step}", name], [f"t{step + 1}"]) for step, name in enumerate(used)]
    model(tmp_path / "m.onnx", nodes, {"t0": [2, 4]}, weights)
    specs = import_trace(tmp_path / "m.onnx", name="t").specs
    assert [spec.name for spec in specs] == ["fc", "fc:2", "fc:3", "fc:2:2", "fc:4"]


def test_no_layer_is_read_after_the_most(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_model, "MOST_LAYERS", 3)
    shared_products(tmp_path / "m.onnx", 3)
    assert len(import_trace(tmp_path / "m.onnx", name="t").specs) == 3
    # The fifth would be refused for itself.
    shared_products(tmp_path / "m.onnx", 4)
    made = onnx.load(tmp_path / "m.onnx")
    made.graph.node.append(helper.make_node("MatMul", ["unknown", "fc.weight"], ["z"]))
    onnx.save(made, tmp_path / "m.onnx")
    assert "m.onnx: got more than 3 layers, expected 1 to 3" in refused_import(tmp_path / "m.onnx")


def test_names_that_break_a_line(tmp_path):
    path = tmp_path / "m.onnx"
    model(path, [helper.make_node("MatMul", ["x", "a\nb.weight"], ["y"])], {"x": [2, 4]}, {"a\nb.weight": masked(4, 5)})
    assert "expected at most 500 printable ones, no control characters" in refused_import(path)


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install 'swatsim[onnx]'" in refused_import(tmp_path / "m.onnx")
