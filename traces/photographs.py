"""Photographs that packages ship, as a classification task: a crop belongs to the photograph it was cut from.

Install with:
    apt-get install opencv-doc mate-backgrounds plasma-workspace-wallpapers
    pip install pillow scikit-image scikit-learn
    pip install --no-deps foolbox
Nothing is downloaded here and no image is kept in this repository. Where these packages cannot be installed:
    python traces/photographs.py FOLDER
writes there what they have, for `train.py --photographs FOLDER` on another machine.
"""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PYTHON_PACKAGES = {"skimage": "data", "sklearn": "datasets/images", "foolbox": "data"}
DEBIAN_PACKAGES = ("opencv-doc", "mate-backgrounds", "plasma-workspace-wallpapers")
SUFFIXES = {".jpg", ".jpeg", ".png"}
SHORTEST_SIDE = 200  # smaller pictures are icons, charts and digits
SAME_PICTURE = 0.8  # correlation of two thumbnails: burst shots, stereo pairs, rescaled copies
TRAIN_FRACTION = 0.75  # crops for training come from the left of a photograph, held-out ones from the rest
NAMES = "names.txt"
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def files() -> list[Path]:
    """Every picture file of the packages, in a fixed order; an absent package is an error."""
    found: list[Path] = []
    for package, folder in PYTHON_PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"photographs: package {package} is not installed; see {Path(__file__).name}")
        found += sorted((Path(spec.origin).parent / folder).rglob("*"))
    for package in DEBIAN_PACKAGES:
        listing = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
        if listing.returncode:
            raise SystemExit(f"photographs: package {package} is not installed; see {Path(__file__).name}")
        found += sorted(Path(line) for line in listing.stdout.splitlines())
    return [
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not path.is_symlink()
        and "html" not in path.parts  # opencv-doc's manual: screenshots and diagrams
        and path.stem != "screenshot"  # a wallpaper's own thumbnail
    ]


def thumbnail(picture: Image.Image) -> np.ndarray:
    """16 x 16 grey levels with mean 0 and norm 1; all zero for a blank picture."""
    grey = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), dtype=np.float32)
    grey = grey - grey.mean()
    norm = float(np.linalg.norm(grey))
    return (grey / norm if norm > 16 else grey * 0).ravel()


def flat_fraction(picture: Image.Image) -> float:
    """The fraction of pixels equal to their right neighbour: high in drawings and screenshots."""
    values = np.asarray(picture)
    return float((values[:, 1:] == values[:, :-1]).all(axis=2).mean())


def photographs() -> dict[str, Image.Image]:
    """Colour photographs by file name, no two alike, scaled to a shortest side of 512 at most."""
    kept: dict[str, Image.Image] = {}
    seen: list[np.ndarray] = []
    for path in files():
        with Image.open(path) as opened:
            if opened.mode not in ("RGB", "RGBA", "P", "CMYK") or min(opened.size) < SHORTEST_SIDE:
                continue
            scale = min(1.0, 512 / min(opened.size))
            opened.draft("RGB", (int(opened.width * scale), int(opened.height * scale)))
            scale = min(1.0, 512 / min(opened.size))  # the draft may be smaller already
            size = (round(opened.width * scale), round(opened.height * scale))
            picture = opened.convert("RGB").resize(size, Image.Resampling.BOX)
        small = thumbnail(picture)
        colours = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), dtype=np.float32)
        if not small.any() or np.ptp(colours, axis=2).mean() < 4 or flat_fraction(picture) > 0.4:
            continue  # blank, grey, or drawn
        if any(abs(float(small @ other)) > SAME_PICTURE for other in seen):
            continue
        seen.append(small)
        kept[str(path)] = picture
    return kept


def save(folder: Path) -> None:
    """Write them as JPEG of quality 93, and their names."""
    folder.mkdir(parents=True)
    found = photographs()
    for number, picture in enumerate(found.values()):
        picture.save(folder / f"{number:03}.jpg", quality=93)
    (folder / NAMES).write_text("".join(f"{name}\n" for name in found))


def saved(folder: Path) -> dict[str, Image.Image]:
    """What `save` has written."""
    names = (folder / NAMES).read_text().splitlines()
    return {name: Image.open(folder / f"{number:03}.jpg").convert("RGB") for number, name in enumerate(names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Crops by photograph, reproducible from (seed, step)."""

    levels: tuple[tuple[Image.Image, ...], ...]  # [scale][class]: shortest side 512, 256, 128
    names: tuple[str, ...]  # [class]: where the picture was found

    @classmethod
    def load(cls, folder: Path | None = None) -> "Photographs":
        """Those of the packages, or those that `save` has written into a folder."""
        found = photographs() if folder is None else saved(folder)
        full = tuple(found.values())
        halves = tuple(picture.reduce(2) for picture in full)
        return cls(levels=(full, halves, tuple(picture.reduce(2) for picture in halves)), names=tuple(found))

    @property
    def classes(self) -> int:
        """One per photograph."""
        return len(self.levels[0])

    @property
    def description(self) -> str:
        """What the README says of the data."""
        return (
            f"{self.classes} pictures (photographs, a few paintings and drawn wallpapers) that packages ship, one "
            "class each: random-resized crops, mirrored and with their colours changed, from the left three quarters "
            "for training; plain crops from the rest are held out"
        )

    def batch(
        self, size: int, pixels: int, *, random: np.random.Generator, held_out: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` square crops [image, 3, pixels, pixels] and their classes."""
        labels = random.integers(self.classes, size=size)
        crops = np.stack([self._crop(int(label), pixels, random, held_out) for label in labels])
        return torch.from_numpy(crops.transpose(0, 3, 1, 2)).contiguous(), torch.from_numpy(labels)

    def captured(self, size: int, pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch that traces are captured on: the same large training crops of ImageNet photographs for all.

        A random crop is often a blurred background, whose activations hardly vary.
        """
        random = np.random.default_rng(1)
        imagenet = [label for label, name in enumerate(self.names) if "foolbox" in name]
        labels = random.choice(imagenet, size=size, replace=False)
        crops = np.stack([self._crop(int(label), pixels, random, False, least_area=0.8) for label in labels])
        return torch.from_numpy(crops.transpose(0, 3, 1, 2)).contiguous(), torch.from_numpy(labels)

    def _crop(
        self, label: int, pixels: int, random: np.random.Generator, held_out: bool, least_area: float = 0.08
    ) -> np.ndarray:
        width, height = self.levels[0][label].size
        left, right = (round(width * TRAIN_FRACTION), width) if held_out else (0, round(width * TRAIN_FRACTION))
        # A random-resized crop: area 8 to 100 % of the largest square, side ratio 3/4 to 4/3.
        side = min(right - left, height) * np.sqrt(random.uniform(least_area, 1.0))
        ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)) / 2)
        wide, tall = min(side * ratio, right - left), min(side / ratio, height)
        x, y = random.uniform(left, right - wide), random.uniform(0, height - tall)
        level = max(0, min(2, int(np.log2(max(side / pixels, 1)))))
        source = self.levels[level][label]
        scale = source.width / width
        box = (x * scale, y * scale, min((x + wide) * scale, source.width), min((y + tall) * scale, source.height))
        values = np.asarray(source.resize((pixels, pixels), Image.Resampling.BILINEAR, box=box), dtype=np.float32) / 255
        if not held_out:
            values = jitter(values, random)
        return (values - MEAN) / DEVIATION


def jitter(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirror, brightness, contrast, and a strong change of each colour: colour alone must not tell the photograph."""
    if random.random() < 0.5:
        values = values[:, ::-1]
    gain = random.uniform(0.6, 1.4) * random.uniform(0.75, 1.25, size=3).astype(np.float32)
    middle = values.mean(axis=(0, 1))
    values = (values - middle) * np.float32(random.uniform(0.6, 1.4)) + middle * gain
    if random.random() < 0.2:
        values = np.broadcast_to(values.mean(axis=2, keepdims=True), values.shape)
    return np.clip(values, 0, 1).astype(np.float32)


if __name__ == "__main__":
    save(Path(sys.argv[1]))
