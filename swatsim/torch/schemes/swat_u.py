"""SWAT-U: the same sparsity in every layer, the first convolution dense.

Source: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020, §3.
"""

from fractions import Fraction

from torch import Tensor, nn

from swatsim.torch.schemes.rule import LayerRule, Scheme, register
from swatsim.torch.selection import keep_from, top_k_threshold


class SwatRule(LayerRule):
    """Top-K weights in forward and input_grad, top-K activations in weight_grad, dense g."""

    def __init__(self, *, sparsity: Fraction, period: int) -> None:
        self.period = period
        self.sparsity = {
            ("forward", "weight"): sparsity,
            ("input_grad", "weight"): sparsity,
            ("weight_grad", "input"): sparsity,
        }
        self._budget = sparsity
        self._weight_selection: tuple[int, float] | None = None  # step, threshold
        self._input_selection: tuple[int, float] | None = None

    def forward_weight(self, weight: Tensor, step: int) -> Tensor:
        """Top-K of the weight."""
        previous = self._weight_selection
        # Weights change only between steps: a second call in a step needs no second selection.
        if previous is None or step - previous[0] >= self.period:
            previous = (step, top_k_threshold(weight, self._budget))
            self._weight_selection = previous
        return keep_from(weight, previous[1])

    def input_threshold(self, input: Tensor, step: int) -> float | None:
        """The magnitude of the activation's K-th value, over the whole batch."""
        previous = self._input_selection
        # Every batch of a selecting step is selected by itself: gradients may be accumulated.
        if previous is None or step == previous[0] or step - previous[0] >= self.period:
            previous = (step, top_k_threshold(input, self._budget))
            self._input_selection = previous
        return previous[1]

    def forget(self) -> None:
        """Select anew at the next call."""
        self._weight_selection = self._input_selection = None


@register("swat-u")
class SwatUniform(Scheme):
    """The same budget for every layer but the first convolution, which stays dense."""

    def rule(self, name: str, module: nn.Module, *, is_first_convolution: bool) -> LayerRule | None:
        """SWAT's rule, or none for the first convolution."""
        return None if is_first_convolution else SwatRule(sparsity=self.sparsity, period=self.period)
