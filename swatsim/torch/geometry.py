"""A layer's stride, padding and dilation as torch executes them, and the padding it does beforehand."""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
LAYERS = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear)
KINDS: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.Linear: "linear",
}


def kind_of(module: nn.Module) -> str:
    """The layer kind of a module, subclasses included."""
    return next(kind for base, kind in KINDS.items() if isinstance(module, base))


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Zeros (or copies) around the input: (before, after) of each spatial dimension, first dimension first."""

    mode: str
    sides: tuple[tuple[int, int], ...]

    @property
    def is_explicit(self) -> bool:
        """Whether the convolution's own operator cannot do it: copies, or more zeros after than before."""
        return self.mode != "zeros" or any(before != after for before, after in self.sides)

    @property
    def for_operator(self) -> tuple[int, ...]:
        """What is left to the convolution's own operator."""
        return tuple(0 if self.is_explicit else before for before, _ in self.sides)

    def apply(self, input: Tensor) -> Tensor:
        """The input as the operator reads it."""
        if not self.is_explicit:
            return input
        last_first = [side for pair in reversed(self.sides) for side in pair]
        return nn.functional.pad(input, last_first, mode="constant" if self.mode == "zeros" else self.mode)

    def strip_zeros(self, padded: Tensor) -> Tensor:
        """Undo `apply` where it added zeros: they are padding, not values of the input. Copies are values."""
        if self.mode != "zeros" or not self.is_explicit:
            return padded
        for axis, (before, after) in enumerate(reversed(self.sides), start=1):
            padded = padded.narrow(-axis, before, padded.shape[-axis] - before - after)
        return padded

    @property
    def zeros(self) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) zeros that the convolution meets."""
        pairs = ((0, 0),) * len(self.sides) if self.mode != "zeros" else self.sides
        (top, bottom), (left, right) = ((0, 0), *pairs)[-2:]
        return (top, bottom, left, right)


def padding_of(module: nn.Module) -> Padding:
    """The padding of a convolution; a transposed one's is what it removes from its output."""
    if isinstance(module, CONVOLUTIONS):
        last_first = list(module._reversed_padding_repeated_twice)
        pairs = tuple(zip(last_first[::2], last_first[1::2], strict=True))[::-1]
        return Padding(mode=module.padding_mode, sides=pairs)
    transposed = cast(nn.ConvTranspose2d, module)
    return Padding(mode="zeros", sides=tuple((side, side) for side in cast(tuple[int, ...], transposed.padding)))


def pair(values: tuple[int, ...]) -> tuple[int, int]:
    """(vertical, horizontal), where a one-dimensional layer has no vertical."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def batched(module: nn.Module, tensor: Tensor) -> Tensor:
    """A layer's input, output or gradient with its batch dimension."""
    if isinstance(module, nn.Linear) or tensor.dim() == cast(Tensor, module.weight).dim():
        return tensor
    return tensor[None]


def as_read(module: nn.Module, input: Tensor) -> Tensor:
    """A dense layer's input as its product reads it: with its batch dimension, and padded if by copies."""
    input = batched(module, input)
    return input if isinstance(module, nn.Linear) else padding_of(module).apply(input.detach())
