"""A state_dict that PyTorch pruned and saved: its zeros are those that PyTorch multiplies."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a state_dict needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from refused_imports import refused_import  # noqa: E402
from test_memory_of_inputs import directory_of  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

import swatsim  # noqa: E402
from swatsim.apart import may_fork  # noqa: E402
from swatsim.confined import Limits  # noqa: E402
from swatsim.sources import Request, import_trace, state_dict  # noqa: E402
from swatsim.torch.networks import build  # noqa: E402


def refused(path, request=None):
    return refused_import(path, request or Request(positions=1))


def pruned_mlp():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Embedding(9, 12), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 4))
    prune.l1_unstructured(model[1], "weight", amount=0.5)
    prune.ln_structured(model[3], "weight", amount=2, n=1, dim=1)
    prune.random_unstructured(model[3], "bias", amount=1)
    with torch.no_grad():
        model[1].weight_orig[prune_kept(model[1])] = 0  # a zero of the weight's own, not of the mask
    model(torch.zeros(1, 2, dtype=torch.int64))  # the hook that makes weight of weight_orig and weight_mask
    return model


def prune_kept(layer):
    place = torch.nonzero(layer.weight_mask)[0]
    return place[0], place[1]


def weights(trace):
    return {layer.spec.name: layer.passes["forward"].operands["weight"].bits.to_bool() for layer in trace}


@pytest.mark.parametrize("inside", [None, "state_dict", "model"])
def test_what_pytorch_multiplies(tmp_path, inside):
    model = pruned_mlp()
    state = model.state_dict()
    torch.save(state if inside is None else {"epoch": 3, inside: state}, tmp_path / "model.pt")
    trace = import_trace(tmp_path / "model.pt", Request(positions=6), name="mine")
    found = weights(trace)
    assert list(found) == ["1", "3"]  # the embedding has no mask: nothing says that it is a linear layer
    for name, present in found.items():
        np.testing.assert_array_equal(present, model[int(name)].weight.detach().numpy() != 0)
    report = swatsim.simulate(swatsim.load_architecture("bit-tactical"), trace, workers=1)
    (row,) = [row for row in report.records if row.layer == "1" and row.pass_name == "forward"]
    assert row.effectual_macs == int((model[1].weight != 0).sum()) * 6


def test_a_pruned_network_and_its_shapes(tmp_path):
    torch.manual_seed(6)
    model = build("resnet18-cifar")
    pruned = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)][1:6]
    for name in pruned:
        prune.l1_unstructured(model.get_submodule(name), "weight", amount=0.9)
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "model.pth")
    trace = import_trace(tmp_path / "model.pth", Request(network="resnet18-cifar", images=2), name="mine")
    specs = swatsim.networks.network_shapes("resnet18-cifar", images=2).layers
    assert trace.specs == specs
    for name, present in weights(trace).items():
        np.testing.assert_array_equal(present, model.get_submodule(name).weight.detach().numpy() != 0)


def test_a_state_dict_of_plain_weights_needs_a_network(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "model.pt")
    expected = "got weights without masks, expected --network NAME, or masks such as torch.nn.utils.prune makes"
    assert expected in refused(tmp_path / "model.pt")
    assert expected in refused(tmp_path / "model.pt", Request())


class Bomb:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.mkdir, (self.trace,))


def test_no_code_is_run(tmp_path):
    bomb = Bomb(str(tmp_path / "executed"))
    torch.save({"fc.weight_mask": bomb}, tmp_path / "model.pt")
    assert "cannot be read with weights_only" in refused(tmp_path / "model.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(bomb))
    assert "expected a state_dict, saved with torch.save" in refused(tmp_path / "plain.pt")
    assert not (tmp_path / "executed").exists()


def test_files_of_other_contents(tmp_path):
    path = tmp_path / "model.pt"
    for value in ([1, 2], {"a": 1}, torch.ones(3), {}):
        torch.save(value, path)
        assert "without tensors" in refused(path)
    path.write_bytes(b"nothing of the kind")
    assert "got another file" in refused(path)
    path.write_bytes(b"")
    assert "got another file" in refused(path)
    torch.save({"fc.weight_mask": torch.eye(8)}, path)
    path.write_bytes(path.read_bytes()[:-60])
    assert "got another file" in refused(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1 << 20))
    assert "got a compressed part" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"1")
    assert "cannot be read with weights_only" in refused(path)


def test_a_directory_of_many_entries_is_not_read(tmp_path):
    path = directory_of(tmp_path / "m.pt", 160_001)
    assert "m.pt: got 160001 entries, expected at most 160000" in refused(path)


def test_tensors_larger_than_their_bytes(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"fc.weight_mask": torch.ones(1).expand(1 << 20, 1 << 20)}, path)
    assert path.stat().st_size < 10_000
    assert "fc: got shape [1048576, 1048576], expected" in refused(path)
    torch.save({"fc.weight_mask": torch.eye(4).to_sparse()}, path)
    assert "expected" in refused(path)
    torch.save({"fc.weight_mask": torch.ones(4, 4, device="meta")}, path)
    assert "expected a plain one with values" in refused(path)


def test_tensors_of_more_elements_than_are_stored(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"fc.weight_mask": torch.zeros(1).expand(1 << 15, 1 << 15)}, path)
    expected = (
        "fc.weight_mask: got 1073741824 elements of which the file has 1, as where a tensor was expanded, expected"
    )
    assert expected in refused(path)
    torch.save({"fc.weight_mask": torch.zeros(9).as_strided((4, 4), (1, 1))}, path)
    assert "got 16 elements of which the file has 9" in refused(path)


def test_views_of_what_is_stored(tmp_path):
    whole = (torch.rand(12, 10) < 0.5).to(torch.int8)
    views = {"turned": whole.t(), "part": whole[2:7, 1::2], "tied": whole, "backwards": whole.flip(0)}
    torch.save({f"{name}.weight_mask": view for name, view in views.items()}, tmp_path / "model.pt")
    found = weights(import_trace(tmp_path / "model.pt", Request(positions=1), name="t"))
    assert found.keys() == views.keys()
    for name, present in found.items():
        np.testing.assert_array_equal(present, views[name].numpy() != 0)


@pytest.mark.parametrize("name", ["float4_e2m1fn_x2", "bits8", "bits1x8"])
def test_types_that_torch_cannot_compare(tmp_path, name):
    dtype = getattr(torch, name, None)
    if dtype is None:
        pytest.skip("a type that this torch does not have")
    torch.save({"fc.weight_mask": torch.zeros(2, 2, dtype=torch.uint8).view(dtype)}, tmp_path / "model.pt")
    message = refused(tmp_path / "model.pt")
    assert f"fc.weight_mask: got a tensor of torch.{name} (" in message
    assert message.endswith("), expected a plain one with values")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_nested_tensors(tmp_path):
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    torch.save({"fc.weight_mask": torch.eye(4), "other": nested}, tmp_path / "model.pt")
    assert '"other": got a nested tensor, expected a plain one with values' in refused(tmp_path / "model.pt")


@pytest.fixture
def confining(monkeypatch, forking):
    """Little time."""
    monkeypatch.setattr(state_dict, "_LIMITS", Limits(memory_bytes=512 << 20, seconds=1))


def pickled(path, code):
    """A state_dict's archive with this in it, for the unpickler."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data.pkl": code, "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"a/{name}", content)


@pytest.mark.usefixtures("confining")
def test_a_key_that_doubles(tmp_path):
    """A tuple of itself twice, 60 times: its hash has 2^60 steps."""
    path = tmp_path / "model.pt"
    doubled = b"".join(b"q" + bytes([step]) + b"h" + bytes([step]) + b"\x86" for step in range(60))
    pickled(path, b"\x80\x02}K\x01" + doubled + b"K\x01s.")
    assert f"{path}: got what takes more than 1 s to read, expected a state_dict" in refused(path)


@pytest.mark.usefixtures("confining")
def test_a_key_that_is_deep(tmp_path, monkeypatch):
    """The hash of a tuple in a tuple, 300,000 times, is no error of Python's but the end of its stack."""
    monkeypatch.setattr(state_dict, "_LIMITS", Limits(memory_bytes=2 << 30, seconds=30))
    path = tmp_path / "model.pt"
    pickled(path, b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.")
    assert f"{path}: got what ends the process that reads it (SIGSEGV), expected a state_dict" in refused(path)


@pytest.mark.usefixtures("confining")
def test_a_buffer_larger_than_memory(tmp_path):
    pickled(tmp_path / "model.pt", b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x0c\x85R.")
    assert "got what takes more than 512 MiB to read, expected a state_dict" in refused(tmp_path / "model.pt")


@pytest.mark.usefixtures("confining")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_torch_had_threads(tmp_path):
    """Threads are not forked: a process that waited for them would not end."""
    mask = (torch.rand(1500, 1500) < 0.5).float()
    torch.save({"fc.weight_mask": mask}, tmp_path / "model.pt")
    torch.set_num_threads(2)
    try:
        (mask @ mask).sum()
        assert may_fork()
        found = weights(import_trace(tmp_path / "model.pt", Request(positions=1), name="t"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(found["fc"], mask.numpy() != 0)


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch):
    torch.save({"fc.weight_mask": torch.eye(4)}, tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'swatsim[torch]'" in refused(tmp_path / "model.pt")
