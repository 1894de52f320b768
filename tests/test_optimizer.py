"""Optimizers: what they keep, by the names that traces give them."""

from __future__ import annotations

import pytest

from swatsim.optimizer import optimizer_state


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        ("sgd", 0), ("SGD", 0), ("sgd, momentum 0.9", 1), ("SGD(lr=0.1, momentum=0.9, nesterov=1)", 1),
        ("SGD(lr=0.1, momentum=0)", 0), ("SGD(lr=0.1, momentum=0.0, nesterov=0)", 0), ("sgd with momentum", 1),
        ("SGD(momentum=1e-1)", 1), ("SGD momentum: 0.9", 1),
        ("adam", 2), ("AdamW(lr=0.001)", 2), ("Adam(amsgrad=1)", 3), ("Adam(amsgrad=0)", 2),
        ("NAdam(momentum_decay=0)", 2),
        ("RMSprop(lr=0.01)", 1), ("RMSprop(lr=0.01, momentum=0.9)", 2), ("RMSprop(centered=1, momentum=0.9)", 3),
        ("Adagrad", 1), ("Lion(lr=0.0001)", 1), ("LARS", 1), ("Adadelta", 2),
    ],
)  # fmt: skip
def test_known(name, tensors):
    assert optimizer_state(name) == (tensors, False)


@pytest.mark.parametrize("name", ["", "  ", "shampoo", "42", "my sgd", "sgdp"])
def test_unknown_counts_as_sgd_with_momentum(name):
    assert optimizer_state(name) == (1, True)
