"""Small sets: one uint8 tensor of all pixels on the training device, which augments a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgenas.data.base import AUGMENT_STREAM, Augment, Data, Pixels, Rows, Split, Step, preprocess
from edgenas.data.found import Found, LeftOut
from edgenas.data.storage.splits import Splits
from edgenas.errors import DataError

_CHUNK = 4096  # images per step of the statistics, which so need no second copy of the set


@dataclass(frozen=True, eq=False)
class TensorStore:
    """Pixels (N, C, H, W) uint8, which all splits share."""

    pixels: Tensor = field(repr=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment

    @property
    def device(self) -> torch.device:
        """The device that holds the pixels and makes batches."""
        return self.pixels.device

    def images(self, rows: Rows) -> Pixels:
        """Return the stored images (n, C, H, W)."""
        array: Pixels = self.pixels[torch.from_numpy(rows).to(self.device)].cpu().numpy()
        return array

    def stream(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        """Yield batches that are gathered, augmented and preprocessed on the device."""
        for step in steps:
            x = self.pixels[torch.from_numpy(step.rows[step.part]).to(self.device)]
            if step.key is None:
                yield preprocess(x, size, self.mean, self.std)
                continue
            draws = Draws.of(step.key, len(step.rows), step.part, self.device)
            moved = (
                _warp(x, self.augment, draws)
                if self.augment.scale or self.augment.rotate
                else _shift(x, self.augment, draws)
            )
            ready = preprocess(moved, size, self.mean, self.std)
            yield _erase(ready, self.augment.erase, draws) if self.augment.erase else ready


@dataclass(frozen=True)
class Draws:
    """Uniform numbers in 0..1, one (B,) tensor per degree of freedom; the same on every device."""

    y: Tensor
    x: Tensor
    flip: Tensor
    scale: Tensor
    angle: Tensor
    erase: Tensor
    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    @classmethod
    def of(cls, key: tuple[int, int, int], batch: int, part: slice, device: torch.device) -> Draws:
        """Draw what a part of one step needs, also for changes that are off, so that streams stay equal.

        Args:
            key: (seed, epoch, step).
            batch: images of the whole batch.
            part: images that are made.
            device: where the numbers go.
        """
        rng = np.random.default_rng((AUGMENT_STREAM, *key))
        return cls(*torch.from_numpy(rng.random((10, batch), dtype=np.float32)[:, part]).to(device))


def data_from_pixels(
    name: str,
    classes: tuple[str, ...],
    pixels: Pixels,
    labels: Rows,
    splits: Splits,
    *,
    augment: Augment,
    device: str,
    left_out: Sequence[LeftOut] = (),
) -> Data:
    """Return a data set in memory; its mean and std are those of the training split.

    Args:
        name: of the data set.
        classes: a name per class.
        pixels: (N, C, H, W).
        labels: (N,).
        splits: rows of each split.
        augment: the changes that do not change a label.
        device: where the pixels are kept.
        left_out: images that are not among the pixels.

    Raises:
        DataError: all training images have one value in a channel.
    """
    mean, std = statistics(pixels, splits.train)
    if min(std) == 0:
        raise DataError(
            f"{name}: channel {std.index(0)} has one value in all training images; check how they were stored"
        )
    store = TensorStore(torch.from_numpy(pixels).to(device), mean, std, augment)
    target = torch.from_numpy(labels)
    train, validation, test = (
        Split(store, rows, target[torch.from_numpy(rows)]) for rows in (splits.train, splits.validation, splits.test)
    )
    _, channels, height, width = pixels.shape
    return Data(
        *(name, classes, (channels, height, width), mean, std, augment, train, validation, test),
        found=Found((*left_out, *splits.copies), splits.drawn),
    )


def statistics(pixels: Pixels, rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel over these rows, of values in 0..1; integer sums are exact.

    Args:
        pixels: (N, C, H, W).
        rows: of the images to count.
    """
    total = np.zeros(pixels.shape[1], dtype=np.int64)
    squares = np.zeros_like(total)
    for first in range(0, len(rows), _CHUNK):
        chunk = pixels[rows[first : first + _CHUNK]]
        total += chunk.sum(axis=(0, 2, 3), dtype=np.int64)
        # 255 squared fits into 16 bits, and no wider copy of the chunk is made.
        squares += np.square(chunk, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.int64)
    count = len(rows) * pixels.shape[2] * pixels.shape[3]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def _shift(x: Tensor, augment: Augment, draws: Draws) -> Tensor:
    """Shift by whole pixels over black and mirror, by one gather: five times cheaper than sampling a grid."""
    batch, channels, height, width = x.shape
    dy, dx = round(augment.shift * height), round(augment.shift * width)
    padded = F.pad(x, (dx, dx, dy, dy))
    rows = torch.arange(height, device=x.device) + _whole(draws.y, 2 * dy)[:, None]
    columns = torch.arange(width, device=x.device).expand(batch, -1)
    if augment.flip:
        columns = torch.where(draws.flip[:, None] < 0.5, width - 1 - columns, columns)
    columns = columns + _whole(draws.x, 2 * dx)[:, None]
    index = (rows[:, :, None] * (width + 2 * dx) + columns[:, None, :]).view(batch, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(x.shape)


def _warp(x: Tensor, augment: Augment, draws: Draws) -> Tensor:
    """Shift, scale, rotate and mirror in one bilinear sampling over black; the result is float32, 0..255."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(augment.rotate * (2 * draws.angle - 1))
    scale = 1 + augment.scale * (2 * draws.scale - 1)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    sign = torch.where(draws.flip < 0.5, -1.0, 1.0) if augment.flip else torch.ones_like(cos)
    # Shifts are shares of the side, and normalised coordinates run over two units; the ratio keeps rotations rigid.
    row_x = torch.stack([cos * sign, -sin * (height / width), 2 * augment.shift * (2 * draws.x - 1)], dim=1)
    row_y = torch.stack([sin * sign * (width / height), cos, 2 * augment.shift * (2 * draws.y - 1)], dim=1)
    grid = F.affine_grid(torch.stack([row_x, row_y], dim=1), list(x.shape), align_corners=False)
    return F.grid_sample(x.float(), grid, align_corners=False)


def _erase(x: Tensor, probability: float, draws: Draws) -> Tensor:
    """Set a rectangle of 0.2 to 0.5 of each side to the mean (Zhong et al., 2017, arXiv:1708.04896)."""
    size = x.shape[-1]
    # The image is normalised already, so 0 is the mean.
    line = torch.arange(size, device=x.device)

    def span(start: Tensor, length: Tensor) -> Tensor:
        sides = (0.2 + 0.3 * length) * size
        first = start * (size - sides)
        return (line >= first[:, None]) & (line < (first + sides)[:, None])

    hit = (draws.erase < probability)[:, None] & span(draws.top, draws.height)
    return x.masked_fill((hit[:, :, None] & span(draws.left, draws.width)[:, None, :])[:, None], 0)


def _whole(uniform: Tensor, most: int) -> Tensor:
    """Map 0..1 to the integers 0..most."""
    # In float32 the product may round up to most + 1.
    return (uniform * (most + 1)).long().clamp_(max=most)
