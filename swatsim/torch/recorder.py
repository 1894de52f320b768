"""The hand-over between a sparse layer and a capture: what is multiplied, where it is multiplied."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from swatsim.schemes import LayerRule


class Recorder(Protocol):
    """Receives the operands of every pass that a sparse layer executes."""

    def open_call(self, module: nn.Module) -> object:
        """A key for one forward call of this module; its backward reports under the same key."""

    def operands(
        self,
        call: object,
        pass_name: str,
        rule: LayerRule,
        tensors: Mapping[str, Tensor],
        result_mask: Tensor | None = None,
    ) -> None:
        """These tensors, by role, are about to be multiplied in this pass; which entries of the result are needed."""


class _Active:
    recorder: Recorder | None = None


ACTIVE = _Active()
