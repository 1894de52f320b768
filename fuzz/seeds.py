"""Small valid inputs that byte-level fuzzing begins with: `python -m fuzz.seeds` writes them to fuzz/corpus."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import sys
from pathlib import Path

import numpy as np

from fuzz.byte_targets import POINT_KEY, expanded
from fuzz.remote_target import BETWEEN, COMPRESSED, FAILS, RIGHT_NAMES, SHORT_READS
from swatsim import load_architecture, load_trace, simulate
from swatsim.bits import BitTensor
from swatsim.report.document import to_json
from swatsim.trace import tensors
from swatsim.trace.records import StoredTensor

CORPUS = Path(__file__).parent / "corpus"
ROOT = CORPUS.parent.parent
_MACHINES = ("dadiannao", "scnn", "eager-pruning")
_PREFIX_BYTES = len(b'{"digest": "') + 64 + 1


def seeds() -> dict[str, dict[str, bytes]]:
    """By target and name of the file."""
    report = _small_report()
    return {
        "manifest": _manifests(),
        "tensor": _tensors(),
        "npz": _npz(),
        "safetensors": _safetensors(),
        "smtx": {"small": b"2, 3, 3\n0 1 3\n1 0 2\n", "empty": b"1 1 0\n0 0\n", "dense": b"1 2 2\n0 2\n0 1\n"},
        "scalesim": {
            "convolution": b"Layer,IH,IW,FH,FW,C,N,S,\nconv,8,8,3,3,2,4,1,\nDP,6,6,3,3,4,1,2,1,note\n",
            "product": b"Layer,M,N,K,\nlinear,4,3,2,2:2,\n",
        },
        "budget": {
            "decimals": b"layer,sparsity\nconv1,0.5\nfc,9e-1\n",
            "ratios": b"\xef\xbb\xbflayer,sparsity\r\nfc,2/3\r\nconv1,0\r\n",
            "quotes": b'"layer","sparsity"\n"conv1",".25"\nfc,0\n',
            "twice": b"layer,sparsity\nfc,0\nfc,0\n",
        },
        "remote_trace": _remote_traces(),
        "saved": {"report": report, "refused": b'{"format": "swatsim-report", "version": 1}'},
        "sweep_point": {"point": json.dumps(_point(json.loads(report))).encode(), "list": b"[]"},
        "architecture": {name: _bare((ROOT / "arch" / f"{name}.yaml").read_text("utf-8")) for name in _MACHINES},
    }


def _bare(text: str) -> bytes:
    """Without comments: what is changed is then seldom one."""
    lines = (line.split(" #")[0].rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#")).encode()


def _linear() -> bytes:
    """What follows the digest in the manifest of one layer, whose tensors are a, b and c."""
    layer = {
        "name": "fc", "kind": "linear", "input_shape": [1, 3], "weight_shape": [2, 3], "output_shape": [1, 2],
        "stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": 1, "needs_input_grad": False,
        "passes": {
            "forward": {"input": _operand("a"), "weight": _operand("b", "1/3"), "result_mask": None},
            "weight_grad": {"input": _operand("a"), "output_grad": _operand("c"), "result_mask": "b" * 64},
        },
    }  # fmt: skip
    document = {
        "format": "swatsim-trace", "version": 1, "name": "small", "network": "", "scheme": "", "sparsity": "0.8",
        "selection_period": None, "optimizer": "sgd", "provenance": {"seed": "1"},
        "graph": [
            {"name": "image", "op": "input", "inputs": [], "shape": [1, 3]},
            {"name": "fc", "op": "linear", "inputs": ["image"], "shape": [1, 2]},
        ],
        "tensors": {
            name * 64: {"shape": shape, "fill": "bits"} for name, shape in (("a", [1, 3]), ("b", [2, 3]), ("c", [1, 2]))
        },
        "layers": [layer],
    }  # fmt: skip
    return b", " + json.dumps(document)[1:].encode()


def _manifests() -> dict[str, bytes]:
    shipped = (ROOT / "traces" / "smallcnn" / "manifest.json").read_bytes()
    return {"linear": b"\x01" + _linear(), "smallcnn": b"\x01" + shipped[_PREFIX_BYTES:], "version": b"\x00{}"}


def _operand(letter: str, sparsity: str | None = None) -> dict[str, str | None]:
    return {"tensor": letter * 64, "sparsity": sparsity}


def _tensors() -> dict[str, bytes]:
    bits = BitTensor.from_array(np.arange(35).reshape(5, 7) % 3)
    _, record, file = tensors.encode(bits)
    ones = tensors.encode(BitTensor(shape=(4,), packed=None))[2]
    assert bits.packed is not None
    content = tensors.header(StoredTensor(shape=record.shape, all_ones=False)) + bits.packed.tobytes()
    dimensions = bytes([2, 4, 6])
    return {
        "file": b"\x08" + dimensions + file, "content": b"\x09" + dimensions + content,
        "bits": b"\x0b" + dimensions + bits.packed.tobytes(), "ones": b"\x0c" + bytes([1, 3]) + ones,
        "other_name": b"\x00" + dimensions + file,
    }  # fmt: skip


def _remote_traces() -> dict[str, bytes]:
    """The manifest of a linear layer and its tensors: their content, or the files themselves."""
    arrays = np.array([[1, 0, 1]]), np.array([[1, 0, 0], [0, 1, 1]]), np.array([[0, 1]])
    files = [tensors.encode(BitTensor.from_array(array))[2] for array in arrays]
    contents = [expanded(file) for file in files]
    return {
        "contents": bytes([RIGHT_NAMES | COMPRESSED]) + BETWEEN.join([_linear(), *contents]),
        "files": bytes([RIGHT_NAMES | SHORT_READS]) + BETWEEN.join([_linear(), *files]),
        "failing": bytes([RIGHT_NAMES | FAILS]) + BETWEEN.join([_linear(), *files[:2], b"no route to host"]),
        "other_names": b"\x00" + BETWEEN.join([_linear(), *files]),
    }


def _npz() -> dict[str, bytes]:
    buffers = [io.BytesIO(), io.BytesIO(), io.BytesIO()]
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(buffers[0], fc=array)
    np.savez_compressed(buffers[1], **{"fc.weight_orig": array, "fc.weight_mask": array > 2, "bias": array[0]})
    np.save(buffers[2], np.asfortranarray(array))
    return {
        "stored": b"\x00" + buffers[0].getvalue(), "pruned": b"\x00" + buffers[1].getvalue(),
        "fortran": b"\x01fc.npy\n" + buffers[2].getvalue(),
    }  # fmt: skip


def _safetensors() -> dict[str, bytes]:
    def file(**arrays: tuple[str, list[int], bytes]) -> bytes:
        header, data = {}, b""
        for name, (kind, shape, content) in arrays.items():
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        return json.dumps(header).encode() + data

    plain = file(fc=("F16", [2, 2], b"\x00\x00\x00\x80\x01\x00\x00\x3c"), bias=("BOOL", [2], b"\x00\x01"))
    masked = file(fc_orig=("BF16", [1, 2], b"\x00\x80\x00\x40"), fc_mask=("I64", [1, 2], b"\x00" * 8 + b"\x01" * 8))
    end = plain.rfind(b"}") + 1
    return {"plain": b"\x01" + plain, "masked": b"\x01" + masked, "file": b"\x00" + struct.pack("<Q", end) + plain}


def _small_report() -> bytes:
    """Of a single layer."""
    report = simulate(
        load_architecture("dadiannao"), load_trace(str(ROOT / "traces" / "smallcnn")), layers="fc*", workers=1
    )
    return json.dumps(json.loads(to_json(report))).encode()


def _point(report: dict[str, list[object]]) -> dict[str, object]:
    return {
        "key": POINT_KEY, "parameters": {"arch": "dadiannao", "tile.rows": 4},
        "architecture": {"name": "dadiannao", "digest": "0" * 64},
        "trace": {"name": "small", "digest": "1" * 64, "synthetic": False}, "totals": report["rows"][:1], "error": None,
    }  # fmt: skip


def _onnx() -> dict[str, bytes]:
    from onnx import TensorProto, helper, numpy_helper

    values = np.arange(12, dtype=np.float32) % 3
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 3, 3])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", 2])
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight"], ["hidden"], strides=[1, 1], pads=[0, 0, 0, 0]),
        helper.make_node("Flatten", ["hidden"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight"], ["result"], transB=1),
    ]
    weights = [
        numpy_helper.from_array(values[:8].reshape(2, 1, 2, 2), "conv.weight"),
        numpy_helper.from_array(np.ones((2, 8), dtype=np.float32), "fc.weight"),
    ]
    graph = helper.make_graph(nodes, "g", [image], [result], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return {"convolution": model.SerializeToString()}


def _state_dicts() -> dict[str, bytes]:
    import torch

    plain, pruned = io.BytesIO(), io.BytesIO()
    weight = torch.arange(6.0).reshape(2, 3)
    torch.save({"fc.weight_orig": weight, "fc.weight_mask": weight > 2, "fc.bias": torch.zeros(2)}, pruned)
    torch.save({"state_dict": {"fc.weight_mask": weight.t(), "x": torch.ones(2, 2, dtype=torch.bfloat16)}}, plain)
    return {"plain": plain.getvalue(), "pruned": pruned.getvalue()}


def main() -> int:
    """Write them; those of onnx and torch where these are installed."""
    found = seeds()
    for package, target, make in (("onnx", "onnx", _onnx), ("torch", "state_dict", _state_dicts)):
        if importlib.util.find_spec(package):
            found[target] = make()
    for target, files in found.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"seed_{name}").write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
