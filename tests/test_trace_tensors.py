"""Damaged tensor files: one clear line for each, and never more memory than the shape allows."""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_files import (
    content_of,
    cost_of_reading,
    edit_manifest,
    first_tensor,
    header_of,
    read_all,
    refusal,
    replace_tensor,
    small_layers,
    small_trace,
    write_trace,
    zstd,
)

from swatsim.errors import TraceError
from swatsim.trace import load_trace, tensors
from swatsim.trace.records import StoredTensor


def altered(**given):
    """The first tensor's content with another header, made from the right one by replacing text."""

    def make(shape, data):
        header = header_of(shape, len(data))
        for old, new in given["replace"]:
            assert old in header
            header = header.replace(old, new, 1)
        return content_of(shape, data, header=header)

    return make


def with_length(length):
    def make(shape, data):
        content = content_of(shape, data)
        return struct.pack("<Q", length) + content[8:]

    return make


# Contents with a right SHA-256, which only their own rules can refuse. The tensor is [4, 3, 3, 3]: 108 bits, 14 bytes.
CONTENTS = {
    "a header length of zero": (with_length(0), "header: got"),
    "a header length beyond the file": (with_length(1 << 63), "header: got"),
    "a header length in the other order": (with_length(108 << 56), "header: got"),
    "another type": (altered(replace=[('"U8"', '"I8"')]), "header: got"),
    "another number of bytes": (altered(replace=[('"shape":[14]', '"shape":[13]')]), "header: got"),
    "offsets that overlap": (altered(replace=[("[0,14]}", "[1,14]}")]), "header: got"),
    "offsets beyond the file": (altered(replace=[("[0,14]}", "[0,99]}")]), "header: got"),
    "another shape": (altered(replace=[("[4,3,3,3]", "[3,4,3,3]")]), "header: got"),
    "another fill": (altered(replace=[('"bits","shape":"', '"ones","shape":"')]), "header: got"),
    "a key twice": (altered(replace=[('"dtype":"U8",', '"dtype":"U8","dtype":"U8",')]), "bytes"),
    "another name": (altered(replace=[('"bits":{', '"bitz":{')]), "header: got"),
    "a name that is a path": (altered(replace=[('"bits":{', '"../x":{')]), "header: got"),
    "spaces elsewhere": (altered(replace=[("{", " {"), ("}} ", "}}")]), "header: got"),
    "no header": (lambda shape, data: data, "bytes"),
    "one byte more": (lambda shape, data: content_of(shape, data) + b"\0", "got more content than"),
    "one byte less": (lambda shape, data: content_of(shape, data)[:-1], "bytes of content, expected"),
    "nothing": (lambda shape, data: b"", "bytes"),
    "ones after the last element": (
        lambda shape, data: content_of(shape, data[:-1] + bytes([data[-1] | 0x10])),
        "bits: got ones after the last of 108 elements, expected zeros",
    ),
    "a one in the last bit": (
        lambda shape, data: content_of(shape, data[:-1] + bytes([data[-1] | 0x80])),
        "bits: got ones after the last of 108 elements, expected zeros",
    ),
    "ones only": (
        lambda shape, data: content_of(shape, b"\xff" * 13 + b"\x0f"),
        'bits: got ones only, expected fill "ones"',
    ),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_content_that_breaks_a_rule(tmp_path, case):
    make, expected = CONTENTS[case]
    path = small_trace(tmp_path / "t")
    shape, data, _ = first_tensor(path)
    assert (shape, len(data)) == ([4, 3, 3, 3], 14)
    name = replace_tensor(path, make(shape, data))
    message = refusal(read_all, path)
    assert message.startswith(f"{path / 'tensors' / name}.st.zst: ")
    assert expected in message


def test_an_unbroken_content_is_read(tmp_path):
    path = small_trace(tmp_path / "t")
    shape, data, _ = first_tensor(path)
    changed = bytes([data[0] ^ 1]) + data[1:]
    replace_tensor(path, content_of(shape, changed))
    bits = load_trace(path).layer(0).passes["forward"].operands["weight"].bits
    assert bits.packed.tobytes() == changed


def frame_cases():
    def large_window(content):
        return zstd.compress(content, options={
            zstd.CompressionParameter.compression_level: 19, zstd.CompressionParameter.window_log: 27,
        })  # fmt: skip

    def skippable(content):
        return struct.pack("<II", 0x184D2A50, 4) + b"skip" + zstd.compress(content)

    return {
        "trailing data": (lambda content: zstd.compress(content) + b"\0", "got bytes after the zstd frame"),
        "two frames": (
            lambda content: zstd.compress(content[:50]) + zstd.compress(content[50:]),
            "got 50 bytes of",
        ),
        "an empty frame after it": (lambda content: zstd.compress(content) + zstd.compress(b""), "got bytes after the"),
        "a skippable frame before it": (skippable, "got 0 bytes of content"),
        "no zstd": (lambda content: content, "got a damaged zstd frame"),
        "another content": (lambda content: zstd.compress(content[:-1] + b"\1"), "content: got SHA-256"),
        "a frame cut short": (lambda content: zstd.compress(content)[:-1], "got a truncated zstd frame"),
        "an empty file": (lambda content: b"", "got 0 bytes, expected 10 to"),
        "too large a file": (
            lambda content: b"\0" * 300,
            "got 300 bytes, expected 10 to 198 for a tensor of shape [4, 3",
        ),
    }


@pytest.mark.parametrize("case", frame_cases())
def test_a_broken_frame(tmp_path, case):
    make, expected = frame_cases()[case]
    path = small_trace(tmp_path / "t")
    shape, data, _ = first_tensor(path)
    content = content_of(shape, data)
    replace_tensor(path, content, frame=make(content))
    assert expected in refusal(read_all, path)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("with_the_frame", [0, 1])
def test_trailing_bytes_are_found_wherever_reading_stops(tmp_path, monkeypatch, with_the_frame, more):
    path = small_trace(tmp_path / "t")
    shape, data, _ = first_tensor(path)
    content = content_of(shape, data)
    frame = zstd.compress(content)
    replace_tensor(path, content, frame=frame + b"\0" * (with_the_frame + more))
    monkeypatch.setattr(tensors, "_CHUNK_BYTES", len(frame) + with_the_frame)
    if with_the_frame + more:
        assert "got bytes after the zstd frame" in refusal(read_all, path)
    else:
        read_all(path)


@pytest.mark.parametrize("size", [1, 8, 40, 8 * 4096])
def test_what_cannot_be_compressed_fits_the_largest_file(size):
    """The content, a 256th of it and 64 bytes."""
    record = StoredTensor(shape=(size,), all_ones=False)
    content = len(tensors.header(record)) + -(-size // 8)
    assert tensors.largest_file_bytes(record) == content + content // 256 + 64


def test_frames_of_every_level_are_read(tmp_path):
    path = small_trace(tmp_path / "t")
    shape, data, _ = first_tensor(path)
    content = content_of(shape, data)
    for level in range(-7, 23):
        frame = zstd.compress(content, level)
        replace_tensor(path, content, frame=frame)
        assert len(read_all(path)) == 3


def large_trace(path, elements, make_frame):
    """A trace of one large tensor, in a file that `make_frame` gives for its content's size."""
    small_trace(path)

    rows = elements // 1024
    frames = {}  # by name: those of all ones are as they should be
    for shape in ([rows, 1], [1, 1024]):
        content = content_of(shape, b"", "ones")
        frames[hashlib.sha256(content).hexdigest()] = (shape, "ones", zstd.compress(content))
    output_grad, weight = frames
    content_bytes = 8 + len(header_of([rows, 1024], elements // 8)) + elements // 8
    frames["0" * 64] = ([rows, 1024], "bits", make_frame(content_bytes))

    def change(members):
        members["tensors"] = {name: {"shape": shape, "fill": fill} for name, (shape, fill, _) in frames.items()}
        operands = {"input": "0" * 64, "weight": weight, "output_grad": output_grad}
        layer = {**members["layers"][2], "weight_shape": [1, 1024], "needs_input_grad": False}
        layer |= {"input_shape": [rows, 1024], "output_shape": [rows, 1]}
        layer["passes"] = {
            pass_name: {role: {"tensor": operands[role], "sparsity": None} for role in roles} | {"result_mask": None}
            for pass_name, roles in (("forward", ("input", "weight")), ("weight_grad", ("output_grad", "input")))
        }
        members |= {"layers": [layer], "graph": []}

    for name, (_, _, frame) in frames.items():
        (path / "tensors" / f"{name}.st.zst").write_bytes(frame)
    edit_manifest(path, change)
    return path


def test_a_bomb_is_not_expanded(tmp_path):
    """1 GiB of zeros in 32 KB, for a tensor of 1 MiB."""
    bomb = zstd.compress(bytes(1 << 30), 3)
    path = large_trace(tmp_path / "t", 8 << 20, lambda _: bomb)
    assert len(bomb) < 40_000
    _, idle_bytes, _ = cost_of_reading(tmp_path)
    message, peak_bytes, _ = cost_of_reading(path)
    assert "got more content than 1048" in message
    assert peak_bytes - idle_bytes < 16 << 20


def test_a_small_file_cannot_claim_a_large_tensor(tmp_path):
    """The least that zstd could need for 128 MiB is more than the file has: nothing is allocated."""
    path = large_trace(tmp_path / "t", 1 << 30, lambda _: zstd.compress(bytes(1000)))
    message = refusal(load_trace, path)
    assert "expected 4106 to" in message or "expected 4110 to" in message


def test_the_largest_tensor_takes_its_own_size(tmp_path):
    """2^30 zeros: valid but for the SHA-256, which is compared after everything was expanded."""
    path = large_trace(tmp_path / "t", 1 << 30, lambda size: zstd.compress(bytes(size), 3))
    _, idle_bytes, _ = cost_of_reading(tmp_path)
    message, peak_bytes, seconds = cost_of_reading(path)
    assert "content: got SHA-256" in message
    assert peak_bytes - idle_bytes < (128 + 16) << 20
    assert seconds < 10


def test_a_large_window_is_refused(tmp_path):
    """A frame may ask its reader for a buffer of 128 MiB, whatever it holds."""
    options = {zstd.CompressionParameter.compression_level: 1, zstd.CompressionParameter.window_log: 27}

    def frame(size):
        compressor = zstd.ZstdCompressor(options=options)  # streamed: a frame that does not state its size
        return compressor.compress(bytes(size)) + compressor.flush()

    path = large_trace(tmp_path / "t", 1 << 28, frame)
    assert "Frame requires too much memory" in refusal(read_all, path)


def damage_files():
    def removed(path, file):
        file.unlink()

    def directory(path, file):
        file.unlink()
        file.mkdir()

    def link_outside(path, file):
        outside = path.parent / "outside"
        file.rename(outside)
        file.symlink_to(outside)

    def link_inside(path, file):
        file.rename(path / "other")
        file.symlink_to(path / "other")

    def pipe(path, file):
        file.unlink()
        os.mkfifo(file)

    def no_tensors(path, file):
        (path / "tensors").rename(path / "elsewhere")

    def linked_tensors(path, file):
        (path / "tensors").rename(path.parent / "elsewhere")
        (path / "tensors").symlink_to(path.parent / "elsewhere")

    def file_tensors(path, file):
        no_tensors(path, file)
        (path / "tensors").write_text("")

    return {
        "a missing file": (removed, "got nothing there, expected a tensor file"),
        "a directory": (directory, "got a directory, expected a tensor file"),
        "a link that leaves the trace": (link_outside, "got a symbolic link, expected a tensor file"),
        "a link within the trace": (link_inside, "got a symbolic link, expected a tensor file"),
        "a pipe": (pipe, "got something else, expected a tensor file"),
        "no tensors": (no_tensors, "tensors: got nothing there, expected the directory of the trace's tensors"),
        "tensors elsewhere": (linked_tensors, "tensors: got a symbolic link, expected the directory"),
        "tensors that are a file": (file_tensors, "tensors: got a file, expected the directory"),
    }


@pytest.mark.parametrize("case", damage_files())
def test_a_file_that_is_not_one_is_refused_when_opened(tmp_path, case):
    damage, expected = damage_files()[case]
    path = small_trace(tmp_path / "t")
    damage(path, first_tensor(path)[2])
    message = refusal(load_trace, path)  # before any layer is read
    assert message.startswith(str(path / "tensors"))
    assert expected in message


def test_a_manifest_that_is_not_a_file(tmp_path):
    path = small_trace(tmp_path / "t")
    manifest = path / "manifest.json"
    manifest.rename(tmp_path / "m")
    assert "manifest.json: got nothing there, expected the manifest" in refusal(load_trace, path)
    manifest.symlink_to(tmp_path / "m")
    assert "manifest.json: got a symbolic link, expected the manifest" in refusal(load_trace, path)
    manifest.unlink()
    manifest.mkdir()
    assert "manifest.json: got a directory, expected the manifest" in refusal(load_trace, path)


def test_a_path_that_is_not_a_trace(tmp_path):
    assert "got nothing there, expected a trace" in refusal(load_trace, tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "got a file, expected a trace: a directory with a manifest.json" in refusal(load_trace, tmp_path / "file")
    assert "got an error (Not a directory), expected a trace" in refusal(load_trace, tmp_path / "file" / "x")
    assert "got an error (File name too long), expected a trace" in refusal(load_trace, tmp_path / ("x" * 999))


def test_a_trace_that_changes_while_it_is_read(tmp_path):
    path = small_trace(tmp_path / "t")
    trace = load_trace(path)
    trace.layer(0)
    file = first_tensor(path)[2]
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert "truncated" in refusal(trace.layer, 0)
    file.unlink()
    assert "got nothing there" in refusal(trace.layer, 0)
    file.symlink_to("/dev/zero")
    assert "got a symbolic link" in refusal(trace.layer, 0)
    file.unlink()
    file.write_bytes(content)
    trace.layer(0)


def test_a_pipe_that_takes_a_file_s_place_does_not_block(tmp_path):
    path = small_trace(tmp_path / "t")
    trace = load_trace(path)
    file = first_tensor(path)[2]
    file.unlink()
    os.mkfifo(file)
    thread = threading.Thread(target=refusal, args=(trace.layer, 0), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def one_layer(path):
    return write_trace(path, small_layers()[:1])


def read_or_refuse(path):
    try:
        return read_all(path)
    except TraceError as error:
        assert str(error).isprintable()
        return None


def test_every_flipped_bit_is_found(tmp_path):
    """A flip is refused, or in a zstd frame may leave the content as it was; never is another trace read."""
    path = one_layer(tmp_path / "t")
    expected = read_all(path)
    refused = unharmed = 0
    for file in (path / "manifest.json", *sorted((path / "tensors").iterdir())):
        content = file.read_bytes()
        for bit in range(0, 8 * len(content), 3 if len(content) < 300 else 17):
            byte, flip = bit // 8, 1 << bit % 8
            file.write_bytes(content[:byte] + bytes([content[byte] ^ flip]) + content[byte + 1 :])
            got = read_or_refuse(path)
            assert got is None or (got == expected and file.suffix == ".zst"), f"bit {bit} of {file.name}"
            refused += got is None
            unharmed += got is not None
        file.write_bytes(content)
    assert refused > 500
    assert unharmed < refused / 50


def test_every_truncation_is_found(tmp_path):
    path = one_layer(tmp_path / "t")
    for file in (path / "manifest.json", *sorted((path / "tensors").iterdir())):
        content = file.read_bytes()
        for size in range(0, len(content), 1 if len(content) < 300 else 7):
            file.write_bytes(content[:size])
            refusal(read_all, path)
        file.write_bytes(content)
    assert len(read_all(path)) == 1


@given(st.binary(max_size=300), st.sampled_from(["file", "content", "after the header"]))
def test_any_bytes_are_a_tensor_or_refused_with_one_line(data, where):
    """Bytes as the file, as what it expands to, and as packed bits: read as what they are, or refused."""
    record = StoredTensor(shape=(3, 5, 7), all_ones=False)
    content = content_of([3, 5, 7], data) if where == "after the header" else data
    frame = data if where == "file" else zstd.compress(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.write_bytes(frame)
        try:
            bits = tensors.read(path, hashlib.sha256(content).hexdigest(), record)
        except TraceError as error:
            assert str(error).isprintable()
        else:
            assert len(data) == 14
            assert bits.packed.tobytes() == data


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_too_little_memory_is_one_line(tmp_path):
    path = large_trace(tmp_path / "t", 1 << 30, lambda size: zstd.compress(bytes(size), 3))
    script = """
import resource, sys
from swatsim.errors import TraceError
from swatsim.trace import load_trace, tensors
from swatsim.trace.records import StoredTensor
trace = load_trace(sys.argv[1])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    trace.layer(0)
except TraceError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert "got too little memory, expected room for 1342178" in done.stdout
