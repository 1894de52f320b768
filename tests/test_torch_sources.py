"""A state_dict that PyTorch pruned and saved: its zeros are those that PyTorch multiplies."""

from __future__ import annotations

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
from swatsim.sources import Request, import_trace  # noqa: E402
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
    def __reduce__(self):
        return (print, ("executed",))


def test_no_code_is_run(tmp_path, capsys):
    torch.save({"fc.weight_mask": Bomb()}, tmp_path / "model.pt")
    assert "cannot be read with weights_only" in refused(tmp_path / "model.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    assert "expected a state_dict, saved with torch.save" in refused(tmp_path / "plain.pt")
    assert capsys.readouterr().out == ""


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


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch):
    torch.save({"fc.weight_mask": torch.eye(4)}, tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'swatsim[torch]'" in refused(tmp_path / "model.pt")
