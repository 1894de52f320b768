"""What an optimizer keeps for each weight, read from how the trace names it."""

from __future__ import annotations

import re
from typing import NamedTuple

# Tensors besides the master weight, by the first word of the optimizer's name; those of SGD depend on its momentum.
_STATES = {
    "adam": 2, "adamw": 2, "nadam": 2, "radam": 2, "adamax": 2, "lamb": 2, "adadelta": 2,
    "rmsprop": 1, "adagrad": 1, "lion": 1, "lars": 1,
}  # fmt: skip
_MOMENTUM = re.compile(r"momentum(?:\s*[=:]?\s*([0-9.]+(?:e[-+]?\d+)?))?")


class OptimizerState(NamedTuple):
    """Tensors of a weight's shape that an optimizer keeps besides the master weight."""

    tensors: int
    assumed: bool  # the optimizer is not known: SGD with momentum is taken


def optimizer_state(optimizer: str) -> OptimizerState:
    """Read `SGD(lr=0.1, momentum=0.9)`, `adamw` or `sgd, momentum 0.9`; "" and unknown names count as that one."""
    text = optimizer.lower()
    name = re.match(r"\W*([a-z]*)", text)
    word = name.group(1) if name else ""
    if word == "sgd":
        return OptimizerState(int(_has_momentum(text)), assumed=False)
    if word not in _STATES:
        return OptimizerState(1, assumed=True)
    extra = 0
    if word == "rmsprop":
        extra = int(_has_momentum(text)) + int("centered=1" in text)
    elif "amsgrad=1" in text:
        extra = 1
    return OptimizerState(_STATES[word] + extra, assumed=False)


def _has_momentum(text: str) -> bool:
    found = _MOMENTUM.search(text)
    return found is not None and (found.group(1) is None or float(found.group(1)) > 0)
