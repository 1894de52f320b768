"""Every registered scheme trains a network, is captured and simulated, and does in each pass what it declares."""

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import swatsim  # noqa: E402
from swatsim.bits import kept_count  # noqa: E402
from swatsim.passes import OPERANDS  # noqa: E402
from swatsim.schemes import SCHEMES, scheme_named, scheme_names  # noqa: E402
from swatsim.schemes.scheme import ACTIVE_WEIGHTS, LIVE_FILTERS, PREDICTED_OUTPUTS  # noqa: E402
from swatsim.torch import capture, sparsify  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402

STEPS = 5
MACHINE = swatsim.load_architecture("dadiannao")
NAMES = [*(name for name in scheme_names() if name != "dense"), "cases:-/g/g", "cases:aw/wg/ag"]


def network():
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10),
    )  # fmt: skip


def train_step(model, optimizer, step):
    source = torch.Generator().manual_seed(step)
    images, labels = torch.randn(4, 3, 8, 8, generator=source), torch.arange(4)
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def settings_of(name):
    """Selections at every step, and the length of the run where the scheme asks for it."""
    known = {field.name for field in fields(SCHEMES[name.partition(":")[0]])}
    return {"period": 1} | ({"total_steps": STEPS} if "total_steps" in known else {})


def natural_operands(model):
    """Filled in the next step, by plain hooks: what each layer would multiply without a scheme."""
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):

            def hook(module, args, output, name=name):
                seen[name] = {"input": args[0].numpy(force=True) != 0, "weight": module.weight.numpy(force=True) != 0}
                output.register_hook(lambda grad: seen[name].update(output_grad=grad.numpy() != 0))

            module.register_forward_hook(hook)
    return seen


@pytest.fixture(scope="module", params=NAMES)
def captured(request, tmp_path_factory):
    """A scheme, the names of its layers, a captured trace and the natural operands of the same step."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheme = scheme_named(request.param, **settings_of(request.param))
    trained = set(sparsify(model, optimizer, scheme=scheme).modules)
    losses = [train_step(model, optimizer, step) for step in range(STEPS)]
    assert np.isfinite(losses).all()
    natural = natural_operands(model)
    path = tmp_path_factory.mktemp("schemes") / "trace"
    with capture(model, path):
        train_step(model, optimizer, STEPS)
    return scheme, trained, load_trace(path), natural


def test_a_trace_names_its_scheme(captured):
    scheme, trained, trace, natural = captured
    assert trace.manifest.scheme == scheme.label
    assert scheme_named(trace.manifest.scheme, **settings_of(scheme.label)) == scheme
    assert trace.manifest.sparsity == scheme.sparsity
    assert {layer.spec.name for layer in trace} == set(natural) >= trained


def test_operands_are_those_that_the_scheme_declares(captured):
    scheme, trained, trace, natural = captured
    for layer in trace:
        name = layer.spec.name
        for pass_name, passed in layer.passes.items():
            declared = scheme.masks(pass_name).operands if name in trained else ()
            for role in OPERANDS[pass_name]:
                where = f"{name} {pass_name} {role}"
                operand, found = passed.operands[role], passed.operands[role].bits.to_bool()
                free = natural[name][role]
                if role == "output_grad" and layer.passes["forward"].result_mask is not None:
                    free = free & layer.passes["forward"].result_mask.to_bool()
                if role not in declared:
                    np.testing.assert_array_equal(found, free, where)
                    assert operand.sparsity is None, where
                    continue
                assert not (found & ~free).any(), where
                if operand.sparsity is not None and scheme.masks("forward").result != PREDICTED_OUTPUTS:
                    # Rounded up for every image where a scheme selects image by image.
                    assert found.sum() <= kept_count(operand.sparsity, found.size) + len(found), where
    if scheme.sparsity is not None:
        assert any(
            operand.sparsity
            for layer in trace
            for passed in layer.passes.values()
            for operand in passed.operands.values()
        )


def test_result_masks_are_those_that_the_scheme_declares(captured):
    scheme, trained, trace, _ = captured
    kinds = set()
    for layer in trace:
        for pass_name, passed in layer.passes.items():
            declared = scheme.masks(pass_name).result if layer.spec.name in trained else None
            if passed.result_mask is None:
                continue
            assert declared is not None, (layer.spec.name, pass_name)
            assert not (pass_name == "weight_grad" and scheme.is_dense_step(STEPS))
            kinds.add(declared)
            mask = passed.result_mask.to_bool()
            assert not mask.all()
            if declared == ACTIVE_WEIGHTS:  # a weight that has just grown is active, but 0 still
                assert not (layer.passes["forward"].operands["weight"].bits.to_bool() & ~mask).any()
            elif declared == LIVE_FILTERS:
                filters = mask.swapaxes(0, 1 if mask.ndim > 2 else -1).reshape(layer.spec.weight_shape[0], -1)
                assert (filters.any(1) == filters.all(1)).all()
            else:
                assert not (layer.passes["weight_grad"].operands["output_grad"].bits.to_bool() & ~mask).any()
                assert mask[0].sum() == kept_count(scheme.sparsity, mask[0].size)
    declared = {scheme.masks(pass_name).result for pass_name in OPERANDS} - {None}
    assert kinds == (set() if scheme.is_dense_step(STEPS) else declared)


def test_the_trace_is_simulated(captured):
    """Ideal, actual and dense cycles are in order, and a scheme with a target leaves work out."""
    scheme, _, trace, _ = captured
    report = swatsim.simulate(MACHINE, trace, workers=1)
    rows = {(row.layer, row.pass_name): row for row in report.layer_records}
    assert rows.keys() >= {(layer.spec.name, pass_name) for layer in trace for pass_name in layer.passes}
    for layer in trace:
        for pass_name in layer.passes:
            row = rows[layer.spec.name, pass_name]
            assert 0 < row.effectual_macs <= row.macs
            assert 0 < row.ideal_cycles <= row.compute_cycles <= row.dense_compute_cycles
    if scheme.sparsity is not None:
        assert sum(row.effectual_macs for row in rows.values()) < 0.9 * sum(row.macs for row in rows.values())
