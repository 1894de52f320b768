"""A small network, and the same one trained by hand: plain autograd and momentum SGD written out, nothing of swatsim.

The oracle of the schemes' dynamics: `Plain.gradients` differentiates with respect to the weights that are *used*, and
each test's own lines turn that into the paper's update.
"""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

LAYERS = ("first", "middle", "last")
RATE, MOMENTUM, DECAY = 0.05, 0.9, 1e-3


def network(seed=7):
    """Padded, then grouped and strided convolution, then linear; float64."""
    torch.manual_seed(seed)
    layers = OrderedDict(
        first=nn.Conv2d(3, 6, 3, padding=1),
        relu1=nn.ReLU(),
        middle=nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        last=nn.Linear(8 * 9, 5),
    )
    return nn.Sequential(layers).double()


def batch(step):
    """Images and labels of a step: each has its own."""
    source = torch.Generator().manual_seed(1000 + step)
    return torch.randn(4, 3, 6, 6, generator=source, dtype=torch.float64), torch.tensor([0, 1, 2, 3])


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)


def train_step(model, optimizer, step):
    """What a user writes."""
    images, labels = batch(step)
    optimizer.zero_grad()
    functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


class Plain:
    """The network of `network` as tensors, with the momentum of each."""

    def __init__(self, model):
        self.values = {
            name: tensor.detach().clone() for name, tensor in model.named_parameters() if "swatsim" not in name
        }
        self.velocity = {}

    def weight(self, layer):
        return self.values[layer + ".weight"]

    def gradients(self, used, step):
        """Gradients by name, those of weights with respect to the used ones (layer -> tensor; others are dense)."""
        leaves = {name: value.clone().requires_grad_() for name, value in self.values.items()}
        leaves |= {layer + ".weight": tensor.detach().clone().requires_grad_() for layer, tensor in used.items()}
        images, labels = batch(step)
        hidden = functional.conv2d(images, leaves["first.weight"], leaves["first.bias"], padding=1).relu()
        hidden = functional.conv2d(
            hidden, leaves["middle.weight"], leaves["middle.bias"], stride=2, padding=1, groups=2
        )
        output = functional.linear(hidden.relu().flatten(1), leaves["last.weight"], leaves["last.bias"])
        functional.cross_entropy(output, labels).backward()
        return {name: leaf.grad for name, leaf in leaves.items()}

    def update(self, gradients, decay=DECAY, masks=None):
        """v ← μ·v + g + λ·w, w ← w - η·v; `masks` (by layer) leave only some weights a gradient."""
        for name, whole in gradients.items():
            weight_of = name.removesuffix(".weight") if name.endswith(".weight") else None
            gradient = whole * (masks or {}).get(weight_of, 1)
            self.velocity[name] = MOMENTUM * self.velocity.get(name, 0) + gradient + decay * self.values[name]
            self.values[name] = self.values[name] - RATE * self.velocity[name]

    def assert_equal(self, model, where):
        parameters = dict(model.named_parameters())
        for name, value in self.values.items():
            torch.testing.assert_close(
                parameters[name].detach(),
                value,
                rtol=1e-12,
                atol=1e-13,
                msg=lambda text, name=name: f"{where} {name}: {text}",
            )


def mask_of(model, layer):
    """The mask that a module keeps, as the state_dict shows it."""
    return model.state_dict()[f"{layer}.swatsim_mask"].clone()


def smallest(values, allowed, count):
    """The positions of the `count` smallest allowed values, by a plain sort."""
    flat = values.flatten().tolist()
    order = sorted((index for index, ok in enumerate(allowed.flatten().tolist()) if ok), key=lambda index: flat[index])
    return order[:count]


def without(mask, positions):
    """The mask less some positions."""
    flat = mask.flatten().clone()
    flat[positions] = False
    return flat.view(mask.shape)


def with_(mask, positions):
    """The mask and some positions."""
    flat = mask.flatten().clone()
    flat[positions] = True
    return flat.view(mask.shape)


def half_cosine(first, step, steps):
    return first * 0.5 * (1.0 + math.cos(step * math.pi / steps))
