"""What one forward call of a layer, and its backward, multiplied."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from torch import Tensor, nn

from swatsim.bits import BitTensor
from swatsim.errors import CaptureError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import OPERANDS, RESULTS
from swatsim.schemes import LayerRule
from swatsim.torch.geometry import kind_of, padding_of, pair
from swatsim.torch.graph import LayerEnds
from swatsim.torch.packing import absent, pack


@dataclass(slots=True, kw_only=True)
class LayerCall:
    """One call of a layer; filled as the step goes, in bits only."""

    name: str
    module: nn.Module
    ends: LayerEnds | None = None
    learns: bool = True  # whether the weight's gradient is asked for
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
            self.result_masks[pass_name] = pack(self._stripped(RESULTS[pass_name], result_mask))

    def record_backward(self, output_grad: Tensor) -> None:
        """Keep the operands of a dense layer's backward passes: the forward pass's, and this."""
        forward, gradient = self.passes["forward"], Operand(bits=pack(output_grad))
        if self.learns:
            self.passes["weight_grad"] = {"output_grad": gradient, "input": forward["input"]}
        if self.needs_input_grad:
            self.passes["input_grad"] = {"output_grad": gradient, "weight": forward["weight"]}

    def _stripped(self, role: str, tensor: Tensor) -> Tensor:
        if role != "input" or isinstance(self.module, nn.Linear):
            return tensor
        return padding_of(self.module).strip_zeros(tensor)

    def _bits(self, role: str, tensor: Tensor) -> BitTensor:
        bits = pack(self._stripped(role, tensor))
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
        """The finished layer. Only its forward pass is computed where its output does not reach the loss.

        Raises CaptureError where backward did not compute what a training step computes.
        """
        reached = self.output_grads > 0
        needs_input_grad = reached and self.needs_input_grad
        wanted = [*(["weight_grad"] if reached and self.learns else []), *(["input_grad"] if needs_input_grad else [])]
        missing = [pass_name for pass_name in wanted if pass_name not in self.passes]
        if missing:
            raise CaptureError(f"{self.name}: backward computed no {missing[0]}, expected it in a training step")
        passes = {
            name: PassOperands(operands=operands, result_mask=self.result_masks.get(name))
            for name, operands in self.passes.items()
        }
        spec = self._spec(needs_input_grad=needs_input_grad)
        return Layer(spec=spec, passes={"weight_grad": self._unneeded_weight_grad(spec), **passes})

    def _unneeded_weight_grad(self, spec: LayerSpec) -> PassOperands:
        """A trace holds operands of this pass in any case, and says that nothing of its result is needed."""
        gradient = self.passes.get("input_grad", {}).get("output_grad", Operand(bits=absent(spec.output_shape)))
        operands = {"output_grad": gradient, "input": self.passes["forward"]["input"]}
        return PassOperands(operands=operands, result_mask=absent(spec.weight_shape))

    def _spec(self, *, needs_input_grad: bool) -> LayerSpec:
        module: Any = self.module
        kind = kind_of(module)
        linear = kind == "linear"
        return LayerSpec(
            name=self.name,
            kind=kind,
            input_shape=self.passes["forward"]["input"].bits.shape,
            weight_shape=self.passes["forward"]["weight"].bits.shape,
            output_shape=cast(LayerEnds, self.ends).output_shape,
            stride=(1, 1) if linear else pair(module.stride),
            padding=(0, 0, 0, 0) if linear else padding_of(module).zeros,
            dilation=(1, 1) if linear else pair(module.dilation),
            groups=1 if linear else module.groups,
            needs_input_grad=needs_input_grad,
        )
