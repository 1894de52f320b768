"""Top-K by magnitude, kept as a threshold so that a selection can be reused."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from swatsim.errors import SwatsimError


def exact_sparsity(sparsity: float | Fraction | Decimal | str) -> Fraction:
    """The sparsity as the number that was written: 0.8 is 4/5, not the float next to it.

    Raises
    ------
    SwatsimError : it is not in [0, 1).
    """
    try:
        exact = sparsity if isinstance(sparsity, Fraction) else Fraction(str(sparsity))
    except ValueError:
        raise SwatsimError(f"sparsity: got {sparsity!r}, expected a number from 0 to below 1") from None
    if not 0 <= exact < 1:
        raise SwatsimError(f"sparsity: got {sparsity}, expected a number from 0 to below 1")
    return exact


def kept_count(sparsity: Fraction, elements: int) -> int:
    """K = ceil((1 - s) * elements)."""
    return math.ceil((1 - sparsity) * elements)


def top_k_threshold(values: Tensor, sparsity: Fraction) -> float:
    """The K-th largest magnitude: exactly a value of the tensor, 0.0 for an empty one."""
    if values.numel() == 0:
        return 0.0
    rank = values.numel() - kept_count(sparsity, values.numel())  # from the smallest, 0-based
    magnitudes = values.detach().abs().flatten()
    if magnitudes.device.type != "cpu":
        # Not kthvalue, which has no deterministic form there.
        return float(magnitudes.topk(values.numel() - rank, sorted=False).values.min())
    # numpy selects with AVX: 88 ms for 6.4 million values, where torch.kthvalue takes 380 ms.
    if magnitudes.dtype not in (torch.float32, torch.float64):
        magnitudes = magnitudes.float()
    return float(np.partition(magnitudes.numpy(), rank)[rank])


def keep_from(values: Tensor, threshold: float) -> Tensor:
    """The values whose magnitude is at least the threshold, 0 elsewhere: ties stay, NaN stays."""
    limit = torch.tensor(threshold, dtype=values.dtype)
    below = torch.nextafter(limit, torch.tensor(-1.0, dtype=values.dtype))
    # hardshrink keeps |x| > below, which is |x| >= threshold, in one pass over memory.
    return torch.nn.functional.hardshrink(values, below.item())
