"""How far a weight mask is from a Bernoulli one: the clustering of its non-zeros over filters."""

import numpy as np
import torch


def filter_clustering(mask: np.ndarray) -> float:
    """Coefficient of variation of the non-zeros per filter, divided by that of a random mask with as many non-zeros.

    A random mask's counts are hypergeometric, so 1.0 means: no more clustered than chance. NaN where nothing varies.
    """
    filters, each = mask.shape[0], mask[0].size
    counts = mask.reshape(filters, each).sum(axis=1)
    kept, total = int(counts.sum()), mask.size
    if filters < 2 or kept in (0, total):
        return float("nan")
    density = kept / total
    variance = each * density * (1 - density) * (total - each) / (total - 1)
    # Both about the same mean, which the mask's total fixes.
    return float(np.sqrt(counts.var() / variance))


def top_k_mask(weight: torch.Tensor, density: float) -> np.ndarray:
    """The largest magnitudes of a dense weight."""
    magnitudes = weight.detach().abs().float().numpy()
    rank = magnitudes.size - int(np.ceil(density * magnitudes.size - 1e-9))
    return magnitudes >= np.partition(magnitudes.ravel(), rank)[rank]


def model_clustering(model: torch.nn.Module, sparsity: float) -> dict[str, float]:
    """Per layer but the first convolution: the clustering of its top-K weights."""
    layers = {
        name: module for name, module in model.named_modules() if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
    }
    first = next(name for name, module in layers.items() if isinstance(module, torch.nn.Conv2d))
    return {
        name: filter_clustering(top_k_mask(module.weight, 1 - sparsity))
        for name, module in layers.items()
        if name != first
    }
