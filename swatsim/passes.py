"""The names of the three passes of a training step, of the tensors that each multiplies and makes, and of calls."""

import re

PASSES = ("forward", "input_grad", "weight_grad")
# The two operands of each pass, the one on the machine's rows by default not always first.
OPERANDS: dict[str, tuple[str, str]] = {
    "forward": ("input", "weight"),
    "input_grad": ("output_grad", "weight"),
    "weight_grad": ("output_grad", "input"),
}
# All of these.
ROLES = ("input", "weight", "output_grad")
# A transposed convolution makes each pass as the convolution that it reverses makes this one.
REVERSED = {"forward": "input_grad", "input_grad": "forward", "weight_grad": "weight_grad"}
# The result, by the layer's tensor whose shape it has.
RESULTS = {"forward": "output", "input_grad": "input", "weight_grad": "weight"}
# What a training step does between and after its convolutions: streams of bytes, on rows of their own.
STREAMING = ("select", "reorder", "elementwise_forward", "elementwise_backward", "update")
_LATER_CALL = re.compile(r"(?s)(.+):([2-9]|[1-9][0-9]+)")


def call_name(layer: str, number: int) -> str:
    """The name of a layer's first, second … call in a step: `conv`, `conv:2` …; all of them share its weight."""
    return layer if number == 1 else f"{layer}:{number}"


def called_layer(name: str) -> str:
    """The layer whose later call has this name; any other name itself."""
    found = _LATER_CALL.fullmatch(name)
    return found[1] if found else name
