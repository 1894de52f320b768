"""The names of the three passes of a training step, and of the tensors that each multiplies and makes."""

PASSES = ("forward", "input_grad", "weight_grad")
# The two operands of each pass, the one on the machine's rows by default not always first.
OPERANDS: dict[str, tuple[str, str]] = {
    "forward": ("input", "weight"),
    "input_grad": ("output_grad", "weight"),
    "weight_grad": ("output_grad", "input"),
}
# The result, by the layer's tensor whose shape it has.
RESULTS = {"forward": "output", "input_grad": "input", "weight_grad": "weight"}
