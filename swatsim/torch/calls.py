"""What one forward call of a layer, and its backward, multiplied."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, nn

from swatsim.bits import BitTensor
from swatsim.errors import CaptureError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import OPERANDS
from swatsim.schemes import LayerRule
from swatsim.torch.geometry import kind_of, padding_of, pair
from swatsim.torch.graph import LayerEnds
from swatsim.torch.packing import pack


@dataclass(slots=True, kw_only=True)
class LayerCall:
    """One call of a layer; filled as the step goes, in bits only."""

    name: str
    module: nn.Module
    ends: LayerEnds | None = None
    needs_input_grad: bool = False
    passes: dict[str, dict[str, Operand]] = field(default_factory=dict)
    result_masks: dict[str, BitTensor] = field(default_factory=dict)  # absent: the whole result is needed
    output_grads: int = 0  # how often backward reached it

    def record(
        self, pass_name: str, tensors: dict[str, Tensor], rule: LayerRule | None, result_mask: Tensor | None = None
    ) -> None:
        """Keep a pass's operands. Equal tensors are packed once where the same object is met twice."""
        if pass_name in self.passes:
            raise CaptureError(f"{self.name}: {pass_name} was computed twice in the step, expected once")
        operands = {}
        for role, tensor in tensors.items():
            budget: Fraction | None = None if rule is None else rule.sparsity.get((pass_name, role))
            operands[role] = Operand(bits=self._bits(role, tensor), sparsity=budget)
        self.passes[pass_name] = operands
        if result_mask is not None and not bool(result_mask.all()):
            self.result_masks[pass_name] = pack(result_mask)

    def _bits(self, role: str, tensor: Tensor) -> BitTensor:
        if role == "input" and not isinstance(self.module, nn.Linear):
            tensor = padding_of(self.module).strip_zeros(tensor)
        bits = pack(tensor)
        # The weight of forward and input_grad, the output gradient of both backward passes: one object.
        for operands in self.passes.values():
            if role in operands and operands[role].bits == bits:
                return operands[role].bits
        return bits

    def same_operands(self, other: "LayerCall") -> bool:
        """Whether the other call multiplied the same values forward: a recomputation."""
        mine, theirs = self.passes["forward"], other.passes["forward"]
        return all(mine[role].bits == theirs[role].bits for role in OPERANDS["forward"])

    def layer(self) -> Layer:
        """The finished layer.

        Raises CaptureError where backward did not compute what a training step computes.
        """
        if self.output_grads == 0:
            raise CaptureError(f"{self.name}: its output did not reach the loss in backward, expected one backward")
        wanted = ["forward", "weight_grad", *(["input_grad"] if self.needs_input_grad else [])]
        missing = [pass_name for pass_name in wanted if pass_name not in self.passes]
        if missing:
            raise CaptureError(f"{self.name}: backward computed no {missing[0]}, expected it in a training step")
        passes = {
            name: PassOperands(operands=operands, result_mask=self.result_masks.get(name))
            for name, operands in self.passes.items()
        }
        return Layer(spec=self._spec(), passes=passes)

    def _spec(self) -> LayerSpec:
        module: Any = self.module
        kind = kind_of(module)
        linear = kind == "linear"
        return LayerSpec(
            name=self.name,
            kind=kind,
            input_shape=self.passes["forward"]["input"].bits.shape,
            weight_shape=self.passes["forward"]["weight"].bits.shape,
            output_shape=self.passes["weight_grad"]["output_grad"].bits.shape,
            stride=(1, 1) if linear else pair(module.stride),
            padding=(0, 0, 0, 0) if linear else padding_of(module).zeros,
            dilation=(1, 1) if linear else pair(module.dilation),
            groups=1 if linear else module.groups,
            needs_input_grad=self.needs_input_grad,
        )
