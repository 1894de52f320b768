"""Schemes that choose operands pass by pass, as their papers have them: backpropagation of `plain_training.network`
written out, without autograd and without anything of swatsim. A test's own subclass of `Definition` is its scheme.
"""

import copy
import math
from fractions import Fraction

import numpy as np
import torch
from plain_training import LAYERS, Plain, batch, network, sgd, train_step
from torch import nn
from torch.nn import functional

from swatsim.torch import capture, sparsify
from swatsim.trace import load_trace

GEOMETRY = {"first": {"padding": 1}, "middle": {"padding": 1, "stride": 2, "groups": 2}}


def largest(values, count):
    """Which are at least the `count`-th largest, found by sorting."""
    return values >= values.flatten().sort(descending=True).values[count - 1]


def top(values, sparsity):
    """SWAT's top-K: ceil((1-s)·numel) magnitudes, ties kept."""
    count = math.ceil((1 - Fraction(str(sparsity))) * values.numel())
    return values * largest(values.abs(), count)


def product(layer, input, weight):
    """The layer's forward pass without its bias."""
    return functional.conv2d(input, weight, **GEOMETRY[layer]) if layer in GEOMETRY else input @ weight.T


class Definition(Plain):
    """Dense training; a scheme overrides what it changes. Overridden methods are called once a step, in this order."""

    step = 0

    def activation(self, layer, input):
        """What the layer reads instead of its input, and what the gradient of that is multiplied with."""
        return input, 1

    def operand(self, layer, pass_name, role, values):
        """What a pass multiplies."""
        return values

    def outputs(self, layer, input, weight):
        """Which outputs are computed; None: all."""

    def needed(self, layer):
        """Which weight gradients are computed; None: all."""

    def pull(self, layer, input):
        """What a penalty adds to the gradient of what the layer reads."""
        return 0

    def after_update(self):
        """The optimiser has made step number `step` (from 1)."""

    def run(self, images, labels):
        """Output, gradients by name ("images" too), and every pass's operands and result mask by layer and pass."""
        output, reads = self._forward(images)
        gradients = self._backward(output.softmax(1) - functional.one_hot(labels, 5), reads)
        return output, gradients

    def _operands(self, layer, pass_name, **tensors):
        chosen = {role: self.operand(layer, pass_name, role, values) for role, values in tensors.items()}
        self.passes[layer, pass_name] = chosen
        return chosen

    def _forward(self, hidden):
        self.passes, self.results = {}, {}
        reads = {}
        for layer in LAYERS:
            if layer == "last":
                hidden = hidden.flatten(1)
            used, slope = self.activation(layer, hidden)
            chosen = self._operands(layer, "forward", input=used, weight=self.weight(layer))
            mask = self.outputs(layer, chosen["input"], chosen["weight"])
            bias = self.values[layer + ".bias"]
            output = product(layer, chosen["input"], chosen["weight"])
            output = output + (bias[:, None, None] if output.dim() == 4 else bias)
            if mask is not None:
                output = output * mask
                self.results[layer, "forward"] = mask.expand(output.shape)
            reads[layer] = (used, slope, mask, output)
            hidden = output.relu()
        return output, reads

    def _backward(self, gradient, reads):
        gradient = gradient / len(gradient)
        gradients = {}
        for layer in reversed(LAYERS):
            used, slope, mask, output = reads[layer]
            gradient = gradient.view(output.shape)
            if layer != "last":
                gradient = gradient * (output > 0)
            if mask is not None:
                gradient = gradient * mask
            gradients[layer + ".bias"] = gradient.sum((0, 2, 3) if output.dim() == 4 else 0)
            chosen = self._operands(layer, "weight_grad", output_grad=gradient, input=used)
            gradients[layer + ".weight"] = self._weight_grad(layer, **chosen)
            chosen = self._operands(layer, "input_grad", output_grad=gradient, weight=self.weight(layer))
            gradient = (_input_grad(layer, used.shape, **chosen) + self.pull(layer, used)) * slope
        return gradients | {"images": gradient}

    def _weight_grad(self, layer, output_grad, input):
        if layer == "last":
            found = output_grad.T @ input
        else:
            shape = self.weight(layer).shape
            found = nn.grad.conv2d_weight(input, shape, output_grad, **GEOMETRY[layer])
        needed = self.needed(layer)
        if needed is None:
            return found
        self.results[layer, "weight_grad"] = needed
        return found * needed

    def train_step(self):
        """Gradients of the step's batch, then v ← μ·v + g + λ·w, w ← w - η·v."""
        _, gradients = self.run(*batch(self.step))
        del gradients["images"]
        self.update(gradients)
        self.step += 1
        self.after_update()


def _input_grad(layer, shape, output_grad, weight):
    if layer == "last":
        return output_grad @ weight
    return nn.grad.conv2d_input(shape, weight, output_grad, **GEOMETRY[layer])


def start(definition, scheme, **settings):
    """A sparse model, its optimiser and sparsifier, and its definition."""
    model = network()
    optimizer = sgd(model)
    sparsifier = sparsify(model, optimizer, scheme=scheme, **settings)
    return model, optimizer, sparsifier, definition(model)


def assert_gradients(model, defined):
    """The next step's output and all its gradients, that of the images too, are the definition's."""
    images, labels = batch(defined.step)
    images.requires_grad_()
    model.zero_grad()
    output = model(images)
    functional.cross_entropy(output, labels).backward()
    wanted, gradients = defined.run(images.detach(), labels)
    torch.testing.assert_close(output.detach(), wanted, rtol=1e-10, atol=1e-12)
    found = {name: parameter.grad for name, parameter in model.named_parameters()} | {"images": images.grad}
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-10, atol=1e-12, msg=lambda text, n=name: f"{n}: {text}"
        )


def assert_trains_as(definition, scheme, steps, **settings):
    """Weights after every step, then all gradients."""
    model, optimizer, _, defined = start(definition, scheme, **settings)
    for step in range(steps):
        train_step(model, optimizer, step)
        defined.train_step()
        defined.assert_equal(model, step)
    assert_gradients(model, defined)
    return model, defined


def assert_captured(definition, scheme, steps, path, **settings):
    """After some steps, a captured one holds the definition's operands and result masks. Returns its layers by name."""
    model, optimizer, _, defined = start(definition, scheme, **settings)
    for step in range(steps):
        train_step(model, optimizer, step)
        defined.train_step()
    with capture(model, path):
        train_step(model, optimizer, steps)
    defined.train_step()
    layers = {layer.spec.name: layer for layer in load_trace(path)}
    for name, layer in layers.items():
        for pass_name, given in layer.passes.items():
            where = f"{name} {pass_name}"
            for role, operand in given.operands.items():
                wanted = defined.passes[name, pass_name][role].numpy() != 0
                np.testing.assert_array_equal(operand.bits.to_bool(), wanted, f"{where} {role}")
            needed = defined.results.get((name, pass_name))
            assert (given.result_mask is None) == (needed is None or bool(needed.all())), where
            if given.result_mask is not None:
                np.testing.assert_array_equal(given.result_mask.to_bool(), needed.numpy(), where)
    return layers


def assert_resumes(scheme, steps, **settings):
    """A model that is loaded in the middle goes on as the first does, to the bit."""
    model, optimizer, sparsifier, _ = start(Definition, scheme, **settings)
    for step in range(steps):
        train_step(model, optimizer, step)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), sparsifier.state_dict()))
    resumed = network(seed=99)
    again = sgd(resumed)
    other = sparsify(resumed, again, scheme=scheme, seed=5, **settings)
    for target, state in zip((resumed, again, other), saved, strict=True):
        target.load_state_dict(state)
    for step in range(steps, 2 * steps):
        train_step(model, optimizer, step)
        train_step(resumed, again, step)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def assert_removed(scheme, **settings):
    """`remove` leaves plain modules with the trained weights, that train as any."""
    model, optimizer, sparsifier, _ = start(Definition, scheme, **settings)
    for step in range(3):
        train_step(model, optimizer, step)
    sparsifier.remove()
    plain = Definition(model)
    plain.step = 3
    assert [type(model.get_submodule(layer)) for layer in LAYERS] == [nn.Conv2d, nn.Conv2d, nn.Linear]
    assert model.state_dict().keys() == network().state_dict().keys()
    assert not any(module._forward_hooks for module in model.modules())
    assert_gradients(model, plain)
