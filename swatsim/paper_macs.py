"""The SWAT paper's count of multiplications: from shapes and budgets alone, without anybody's zeros.

Forward and weight_grad count C·K·R·S·P·Q, input_grad C·K·R·S·H·W (its dilation's zeros too, and the first
convolution's too); each pass times (1 - s) for each of its operands that is selected at s. Batch norm, ReLU and
selections are not counted. The rule is not in the paper: it is the one that gives its figures (docs/validation.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from swatsim.layer import LayerSpec
from swatsim.passes import PASSES, REVERSED

if TYPE_CHECKING:  # every simulation counts, and schemes take their time to load
    from swatsim.schemes import Scheme


def dense_paper_macs(spec: LayerSpec, pass_name: str) -> int:
    """The count of a pass in which nothing is dropped, needed or not."""
    # The paper has no transposed convolution: its rule is kept for the convolution that this one reverses.
    counted = REVERSED[pass_name] if spec.transposed else pass_name
    convolution = spec.convolution
    return convolution.dilated_input_grad_macs if counted == "input_grad" else convolution.macs


def paper_macs(dense_macs: int, sparsities: Iterable[Fraction | None]) -> int:
    """What is left of a pass whose operands are selected at these sparsities (None: not selected)."""
    count = Fraction(dense_macs)
    for sparsity in sparsities:
        count *= 1 - (sparsity or 0)
    return round(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A network's multiplications under a scheme, and densely, of one training step."""

    macs: Mapping[str, int]  # by pass
    dense: Mapping[str, int]

    @property
    def training_reduction(self) -> float:
        """The part of a training step's multiplications that is saved."""
        return 1 - sum(self.macs.values()) / sum(self.dense.values())

    @property
    def inference_reduction(self) -> float:
        """The part of the forward pass's."""
        return 1 - self.macs["forward"] / self.dense["forward"]


def scheme_counts(specs: Sequence[LayerSpec], scheme: Scheme, budgets: Mapping[str, Fraction]) -> Counts:
    """The count of a network under a scheme, at the sparsities of its layers (`Scheme.layer_budgets`)."""
    macs, dense = dict.fromkeys(PASSES, 0), dict.fromkeys(PASSES, 0)
    for spec in specs:
        for pass_name in PASSES:
            count = dense_paper_macs(spec, pass_name)
            dense[pass_name] += count
            macs[pass_name] += paper_macs(count, [budgets[spec.name]] * len(scheme.masks(pass_name).operands))
    return Counts(macs=macs, dense=dense)
