"""What training sees of a picture: a random part of it in the size that the network takes, mirrored or recoloured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from edgenas.data.base import AUGMENT_STREAM, Augment, Step
from edgenas.data.storage.files import torchvision_module
from edgenas.data.storage.pictures import Pictures
from edgenas.data.view import PAD, Pixels, View, padded

RATIO = 4 / 3  # most that a part's shape differs from the whole's (Szegedy et al., 2014, arXiv:1409.4842)
TRIES = 10  # for a part that lies inside; as torchvision's RandomResizedCrop
# RandAugment's strength of 0 to 30, where its authors take 9 for networks much larger than those that fit a device.
MAGNITUDE = 6

Key = tuple[int, int, int, int, int]  # row, and seed, epoch, step and position in the batch


def keys(step: Step) -> list[Key]:
    """Return what the images of one step follow from.

    Args:
        step: with augmentation. A row that comes twice in an epoch is augmented differently by its place.
    """
    assert step.key is not None
    places = range(len(step.rows))[step.part]
    return [(int(step.rows[place]), *step.key, place) for place in places]


class RandomViews(Dataset[Any]):
    """Random views (size, size, 3) uint8 by key; pickled to workers, which read the pictures from the cache."""

    def __init__(self, pictures: Pictures, augment: Augment, view: View, size: int) -> None:
        """Make views of `size` pixels."""
        self.pictures, self.augment, self.view, self.size = pictures, augment, view, size
        self.further = further_changes(augment)

    def __getitems__(self, batch: list[Key]) -> list[Tensor]:
        """Return the views of a batch."""
        made = [self._one(key) for key in batch]
        self.pictures.pixels.release()
        return made

    def _one(self, key: Key) -> Tensor:
        row, *words = key
        rng = np.random.default_rng((AUGMENT_STREAM, *words))
        view = random_part(self.pictures.read(row), self.view, self.augment, self.size, rng)
        if self.further is None:
            return view
        # v2 draws from the global CPU generator; that of CUDA must not notice, so no torch.manual_seed.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63)))
            return self.further(view.permute(2, 0, 1)).permute(1, 2, 0).contiguous()


def random_part(pixels: Pixels, view: View, augment: Augment, size: int, rng: Generator) -> Tensor:
    """Return a random part of a picture as a square (size, size, 3) uint8, mirrored in half of all cases.

    Args:
        pixels: (H, W, 3), upright.
        view: how pictures of the set become squares: a part of a picture that is squashed is squashed alike.
        augment: `scale` s gives parts of (1 - s)^2 to 1 of the area, 0 what evaluation sees; and whether to mirror.
        size: side of the square, in pixels.
        rng: of the draw.
    """
    from PIL import Image

    if not augment.scale:
        square = torch.from_numpy(np.array(view.square(Image.fromarray(pixels), size)))
    else:
        if view.fit == "pad":  # no larger than the smallest part needs: a long strip would become a huge square
            side = min(max(pixels.shape[:2]), math.ceil(size / (1 - augment.scale)))
            pixels = np.asarray(padded(Image.fromarray(pixels), side))
        height, width, _ = pixels.shape
        # The frame is what the shape of a part refers to: a square where the picture is squashed into one.
        frame = (1.0, 1.0) if view.fit == "squash" else (float(width), float(height))
        left, top, w, h = _random_box(*frame, (1 - augment.scale) ** 2, rng)
        columns = _whole(left / frame[0], w / frame[0], width)
        rows = _whole(top / frame[1], h / frame[1], height)
        # torch takes a third of Pillow's time for this, and a copy of the part is one that may be written to.
        part = torch.from_numpy(pixels[rows, columns].copy()).permute(2, 0, 1)[None]
        square = F.interpolate(part, (size, size), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    mirrored = augment.flip and rng.random() < 0.5
    return (square.flip(1) if mirrored else square).contiguous()


def _whole(start: float, length: float, pixels: int) -> slice:
    """Return the pixels of a part of a line, at least one.

    Args:
        start, length: shares of the line.
        pixels: of the line.
    """
    first = min(round(start * pixels), pixels - 1)
    return slice(first, max(first + 1, min(pixels, first + round(length * pixels))))


def _random_box(width: float, height: float, least: float, rng: Generator) -> tuple[float, float, float, float]:
    """Return left, top, width and height of a part with a random area, shape and place.

    Args:
        width, height: of the whole.
        least: share of the area; the most is all of it.
        rng: of the draw.
    """
    for _ in range(TRIES):
        area = width * height * rng.uniform(least, 1)
        ratio = math.exp(rng.uniform(-math.log(RATIO), math.log(RATIO)))
        w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if w <= width and h <= height:
            return rng.uniform(0, width - w), rng.uniform(0, height - h), w, h
    # A long strip has no such part: the centre is taken, as nearly in shape as it allows.
    w, h = min(width, height * RATIO), min(height, width * RATIO)
    return (width - w) / 2, (height - h) / 2, w, h


def further_changes(augment: Augment) -> Callable[[Tensor], Tensor] | None:
    """Return the declared changes beside part and mirroring, of pictures (3, H, W) uint8; None without any."""
    if not (augment.rand or augment.rotate or augment.shift or augment.erase):
        return None
    v2 = torchvision_module("transforms.v2")
    bilinear = v2.InterpolationMode.BILINEAR
    # Pillow takes half of torch's time for these.
    steps = [v2.ToPILImage()]
    if augment.rand:
        steps.append(v2.RandAugment(augment.rand, MAGNITUDE, interpolation=bilinear, fill=PAD))
    if augment.rotate or augment.shift:
        steps.append(v2.RandomAffine(augment.rotate, (augment.shift, augment.shift), interpolation=bilinear))
    steps.append(v2.PILToTensor())
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase, value=PAD))
    changes: Callable[[Tensor], Tensor] = v2.Compose(steps)
    return changes
