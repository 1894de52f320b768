"""Small traces for tests, and ways to damage them."""

import functools
import hashlib
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from swatsim.errors import TraceError
from swatsim.layer import Layer
from swatsim.trace import GraphNode, TraceMetadata, TraceWriter, load_trace

try:
    from compression import zstd
except ImportError:
    from backports import zstd


_ROOT = Path(__file__).parent.parent


def small_layers():
    """Three layers: SWAT without an input gradient; two convolutions that share a tensor and need few results."""
    random = np.random.default_rng(7)

    def bits(*shape, density=0.5):
        return random.random(shape) < density

    first = Layer.from_arrays(
        "first", input=np.ones((2, 3, 9, 8)), weight=bits(4, 3, 3, 3), output_grad=bits(2, 4, 5, 4),
        stride=2, padding=1, needs_input_grad=False, sparsity={"forward": {"weight": "0.5"}},
    )  # fmt: skip
    shared = bits(2, 4, 5, 4)
    second = Layer.from_arrays(
        "second", input=shared, weight=bits(6, 2, 3, 1, density=0.2), output_grad=np.ones((2, 6, 5, 4)),
        padding=(1, 0), groups=2, operands={"weight_grad": {"input": bits(2, 4, 5, 4, density=0.2)}},
        sparsity={"weight_grad": {"input": "4/5"}},
    )  # fmt: skip
    last = Layer.from_arrays("last", input=bits(2, 3, 7), weight=bits(5, 7), output_grad=bits(2, 3, 5))
    return [first, second, last]


def small_graph():
    return [
        GraphNode(name="image", op="input", shape=(2, 3, 9, 8)),
        GraphNode(name="first", op="conv2d", inputs=("image",), shape=(2, 4, 5, 4)),
        GraphNode(name="relu", op="relu", inputs=("first",), shape=(2, 4, 5, 4)),
        GraphNode(name="second", op="conv2d", inputs=("relu",), shape=(2, 6, 5, 4)),
        GraphNode(name="view", op="other:View", inputs=("second", "relu"), shape=(2, 3, 7)),
        GraphNode(name="last", op="linear", inputs=("view",), shape=(2, 3, 5)),
    ]


def write_trace(path, layers=None, *, graph=None, metadata=None, overwrite=False):
    with TraceWriter(path, metadata=metadata or TraceMetadata(name="small"), overwrite=overwrite) as writer:
        for layer in small_layers() if layers is None else layers:
            writer.add(layer)
        writer.set_graph(small_graph() if graph is None and layers is None else graph or [])
    return path


@functools.cache
def _template():
    folder = tempfile.TemporaryDirectory()
    return folder, write_trace(Path(folder.name, "t"))


def small_trace(path):
    """The small trace at `path`, copied: writing one waits for the disk."""
    return shutil.copytree(_template()[1], path)


def read_all(path):
    return list(load_trace(path))


def refusal(function, *arguments):
    """The message with which a trace is refused: a TraceError and nothing else, of one line."""
    try:
        function(*arguments)
    except TraceError as error:
        message = str(error)
        assert message.isprintable(), message
        assert len(message) < 1500, len(message)
        return message
    raise AssertionError("nothing was refused")


def with_digest(members):
    """A manifest's bytes with the right digest, for members of any kind."""
    if not isinstance(members, dict):
        return json.dumps(members).encode()
    rest = "," + json.dumps({key: value for key, value in members.items() if key != "digest"})[1:]
    return f'{{"digest": "{hashlib.sha256(rest.encode()).hexdigest()}"{rest}'.encode()


def edit_manifest(path, change):
    """Apply `change` to the manifest's members and give it a digest that fits."""
    members = json.loads((path / "manifest.json").read_bytes())
    changed = change(members)
    members = members if changed is None else changed
    (path / "manifest.json").write_bytes(with_digest(members))


def some_tensor(members):
    """Name of the weight of the first layer, [4, 3, 3, 3], which no other layer uses."""
    return members["layers"][0]["passes"]["forward"]["weight"]["tensor"]


def header_of(shape, data_bytes, fill="bits"):
    text = '{"__metadata__":{"fill":"FILL","shape":"[SHAPE]"},'
    text += '"bits":{"dtype":"U8","shape":[BYTES],"data_offsets":[0,BYTES]}}'
    text = text.replace("FILL", fill).replace("SHAPE", ",".join(map(str, shape))).replace("BYTES", str(data_bytes))
    return text + " " * (-len(text) % 8)


def content_of(shape, data, fill="bits", header=None):
    header = (header_of(shape, len(data), fill) if header is None else header).encode()
    return struct.pack("<Q", len(header)) + header + data


def replace_tensor(path, content, *, name=None, frame=None):
    """Put `content` in place of the first packed tensor, under its own SHA-256, in the manifest too."""
    new = hashlib.sha256(content).hexdigest() if name is None else name

    def change(members):
        old = some_tensor(members)
        (path / "tensors" / f"{old}.st.zst").unlink()
        return json.loads(json.dumps(members).replace(old, new))

    edit_manifest(path, change)
    (path / "tensors" / f"{new}.st.zst").write_bytes(zstd.compress(content) if frame is None else frame)
    return new


def first_tensor(path):
    """Shape and packed bytes of the tensor that `replace_tensor` replaces."""
    members = json.loads((path / "manifest.json").read_bytes())
    name = some_tensor(members)
    shape = members["tensors"][name]["shape"]
    content = zstd.decompress((path / "tensors" / f"{name}.st.zst").read_bytes())
    return shape, content[len(content) - -(-math.prod(shape) // 8) :], path / "tensors" / f"{name}.st.zst"


_MEASURE = """
import json, sys, time
from swatsim.errors import TraceError
from swatsim.trace import load_trace
start = time.process_time()
try:
    message = f"{sum(1 for _ in load_trace(sys.argv[1]))} layers"
except TraceError as error:
    message = str(error)
# The high-water mark of resource.getrusage survives exec: it would be that of the tests.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([message, int(peak.split()[1]) * 1024, time.process_time() - start]))
"""


def cost_of_reading(path):
    """What a new process gets from reading all layers, its peak memory in bytes, and its processor time in seconds."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory of a process is read from /proc")
    command = [sys.executable, "-c", _MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=_ROOT)
    return json.loads(done.stdout)
