"""Bits of a tensor, packed where the tensor lies: only they leave the device."""

import math

import numpy as np
import torch
from torch import Tensor

from swatsim.bits import BitTensor


def pack(values: Tensor) -> BitTensor:
    """Which elements are not zero (NaN counts as present), in C order."""
    present = values.detach() != 0
    shape = tuple(present.shape)
    if bool(present.all()):
        return BitTensor(shape=shape, packed=None)
    flat = present.flatten()  # a copy in C order, whatever the memory format
    on_cpu = flat.device.type == "cpu"
    packed = np.packbits(flat.numpy(), bitorder="little") if on_cpu else pack_on_device(flat).cpu().numpy()
    packed.setflags(write=False)
    return BitTensor(shape=shape, packed=packed)


def absent(shape: tuple[int, ...]) -> BitTensor:
    """A tensor of which no element is present."""
    packed = np.zeros(-(-math.prod(shape) // 8), dtype=np.uint8)
    packed.setflags(write=False)
    return BitTensor(shape=shape, packed=packed)


def pack_on_device(present: Tensor) -> Tensor:
    """Bytes of a flat boolean tensor on any device, the first element in the lowest bit."""
    padded = torch.nn.functional.pad(present.view(torch.uint8), (0, -present.numel() % 8)).view(-1, 8)
    weights = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=present.device)
    return (padded * weights).sum(1, dtype=torch.uint8)
