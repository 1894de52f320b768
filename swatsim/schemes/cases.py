"""SWAT's sensitivity cases: any of weight (w), activation (a) and output gradient (g) sparse, in any pass that has it.

Source: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020, §2: what training bears where. Every
selected operand is its top-K over the whole tensor, at the layer's sparsity and in that pass only; w/w/a is SWAT-U.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from swatsim.errors import SwatsimError
from swatsim.passes import OPERANDS, PASSES
from swatsim.schemes.rule import LayerRule, Trained, Training
from swatsim.schemes.scheme import PassMasks, Scheme, SelectionCost, register
from swatsim.schemes.selection import keep_from
from swatsim.schemes.swat import PAPER, SwatRule

if TYPE_CHECKING:
    from torch import Tensor

ROLES = {"w": "weight", "a": "input", "g": "output_grad"}


class CaseRule(SwatRule):
    """SWAT's selections, each only in the passes that ask for it."""

    def __init__(
        self,
        layer: Trained,
        training: Training,
        *,
        sparsity: Fraction,
        period: int,
        roles: Mapping[str, tuple[str, ...]],
    ) -> None:
        super().__init__(layer, training, sparsity=sparsity, period=period)
        self.roles = roles

    @property
    def sparsity(self) -> Mapping[tuple[str, str], Fraction]:
        """The layer's budget for all that is selected."""
        return {(name, role): self.budget for name, roles in self.roles.items() for role in roles}

    def used_weight(self, weight: Tensor, input: Tensor) -> Tensor:
        """Top-K where forward asks for it."""
        return super().used_weight(weight, input) if "weight" in self.roles["forward"] else weight

    def input_grad_weight(self, weight: Tensor, used: Tensor) -> Tensor:
        """Top-K where input_grad asks for it, whatever forward does."""
        return super().used_weight(weight, used) if "weight" in self.roles["input_grad"] else weight

    def input_threshold(self, pass_name: str, input: Tensor) -> float | None:
        """One selection for both passes that read the activation."""
        return self.batch_threshold("input", input) if "input" in self.roles[pass_name] else None

    def output_grad(self, pass_name: str, output_grad: Tensor) -> Tensor:
        """Top-K over the whole batch, its threshold reused as the activation's is."""
        if "output_grad" not in self.roles[pass_name]:
            return output_grad
        return keep_from(output_grad, self.batch_threshold("output_grad", output_grad))


@register
@dataclass(frozen=True, kw_only=True)
class Cases(Scheme):
    """One case.

    case : the letters of w, a, g that are sparse in forward, input_grad and weight_grad, or -: "w/w/a", "-/g/wg".
    """

    name: ClassVar[str] = "cases"
    paper: ClassVar[str] = PAPER
    # What the cases select of; `masks` has this case's.
    passes: ClassVar[Mapping[str, PassMasks]] = {name: PassMasks(operands=OPERANDS[name]) for name in PASSES}
    selection: ClassVar[tuple[SelectionCost, ...]] = (
        SelectionCost(tensor="weight", readings=Fraction(1), what="top-K, where w is selected"),
        SelectionCost(tensor="input", readings=Fraction(1), what="top-K over the batch, where a is selected"),
        SelectionCost(tensor="output gradient", readings=Fraction(1), what="top-K over the batch, where g is selected"),
    )

    case: str = "w/w/a"

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = self.case.split("/") if isinstance(self.case, str) else []
        if len(parts) != len(PASSES):
            raise SwatsimError(f"case: got {self.case!r}, expected FORWARD/INPUT_GRAD/WEIGHT_GRAD, such as w/w/a")
        for pass_name, letters in zip(PASSES, parts, strict=True):
            _check(pass_name, letters)

    @property
    def label(self) -> str:
        """With the case."""
        return f"{self.name}:{self.case}"

    def masks(self, pass_name: str) -> PassMasks:
        """The operands that the case names."""
        letters = self.case.split("/")[PASSES.index(pass_name)]
        return PassMasks(operands=tuple(ROLES[letter] for letter in letters if letter != "-"))

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """Selections of this case."""
        roles = {name: self.masks(name).operands for name in PASSES}
        return CaseRule(layer, training, sparsity=sparsity, period=self.period, roles=roles)


def _check(pass_name: str, letters: str) -> None:
    able = [letter for letter, role in ROLES.items() if role in OPERANDS[pass_name]]
    if letters == "-":
        return
    for letter in letters:
        if letter in ROLES and letter not in able:
            what = {"w": "weight", "a": "activation", "g": "output gradient"}[letter]
            expected = f"{' or '.join(able)}: it multiplies no {what}"
            raise SwatsimError(f"case: got {letter} in {pass_name}, expected {expected}")
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(able):
        raise SwatsimError(f"case: got {letters!r} for {pass_name}, expected {', '.join(able)}, both, or -")
