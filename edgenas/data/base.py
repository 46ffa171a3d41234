"""What every data source gives: three splits whose batches are pure functions of (seed, epoch, step).

A `Split` is a set of rows of a `Store`; the store knows where pixels live and turns rows into batches. So order,
resuming and subsets are written here once, for tensors on a GPU and for files on a disk alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from edgenas.errors import DataError

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

# First word of a random stream's seed: order, split and augmentation never draw the same numbers.
_ORDER, _SPLIT, AUGMENT_STREAM, _CUTOUT = 1, 2, 3, 4


@dataclass(frozen=True)
class Augment:
    """The label-preserving changes that a data source declares for its own images; zero is off."""

    flip: bool = False  # mirrored left to right, half of the time
    shift: float = 0.0  # at most this share of the side, in both directions
    scale: float = 0.0  # the side times 1 - scale .. 1 + scale
    rotate: float = 0.0  # degrees, at most, both ways
    erase: float = 0.0  # probability that one rectangle is replaced by the mean


@dataclass(frozen=True)
class Step:
    """One batch to make: rows of the store, and the (seed, epoch, step) that its augmentation follows from, if any.

    Only `part` of it is made; each image is augmented as it is in the whole batch.
    """

    rows: Rows
    key: tuple[int, int, int] | None
    part: slice = field(default_factory=lambda: slice(None))


class Store(Protocol):
    """Where the pixels live."""

    def stream(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        """The `part` of one (B, C, size, size) batch per step: float32, normalised, channels last, on the device."""
        ...

    def images(self, rows: Rows) -> Pixels:
        """The stored images (n, C, H, W) before any preprocessing."""
        ...

    @property
    def device(self) -> torch.device:
        """Where batches are delivered."""
        ...


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: `labels` (N,) int64 on the CPU, row i of the split being row `rows[i]` of the store."""

    store: Store = field(repr=False)
    rows: Rows = field(repr=False)
    labels: Tensor = field(repr=False)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def batches(
        self,
        batch_size: int,
        *,
        size: int,
        epoch: int | None = None,
        seed: int = 0,
        augment: bool = False,
        start: int = 0,
        limit: int | None = None,
        part: slice = slice(None),
        cutout: float = 0.0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches x (B, C, size, size) float32, normalised, channels last, and y (B,) int64, on the training device.

        Without `epoch`: the stored order, the last batch may be smaller. With it: a permutation that follows from
        (seed, epoch) alone, and a smaller last batch is dropped unless it is the only one. Step k is augmented by
        (seed, epoch, k) alone, so `start=k` continues an interrupted epoch bit for bit; skipped steps cost nothing.
        At most `limit` batches, counted from `start`. Of each only `part` is made, as it is in the whole batch. With
        `cutout`, augmented images lose a square of this share of their side (arXiv:1708.04552).

        Raises:
            ValueError: `augment` without `epoch`, which would repeat one augmentation for ever.
        """
        if augment and epoch is None:
            raise ValueError("augmented batches need an epoch")
        order = np.arange(len(self)) if epoch is None else _permutation(len(self), seed, epoch)
        count = -(-len(self) // batch_size) if epoch is None else max(1, len(self) // batch_size)
        picks = [(k, order[k * batch_size : (k + 1) * batch_size]) for k in range(start, count)[:limit]]
        steps = [Step(self.rows[pick], (seed, epoch or 0, k) if augment else None, part) for k, pick in picks]
        for (_, pick), step, x in zip(picks, steps, self.store.stream(steps, size), strict=True):
            if augment and cutout:
                x = _cut_out(x, cutout, step)
            yield x, self.labels[torch.from_numpy(pick[part])].to(self.store.device, non_blocking=True)

    def images(self, indices: ArrayLike) -> Pixels:
        """The raw images (n, C, H, W) uint8 that `preprocess` starts from, of these positions in the split."""
        return self.store.images(self.rows[np.asarray(indices, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, cut in three. Normalisation is (x - mean) / std per channel, of x in 0..1."""

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # (C, H, W) as stored; batches come in any size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment
    train: Split
    validation: Split
    held_out: Split = field(repr=False)  # to be had from `test()`, which counts
    skipped: tuple[str, ...] = ()  # images left out, each with its reason
    _reads: list[str] = field(default_factory=list, init=False, repr=False)

    def test(self) -> Split:
        """The test split; every call is counted, because a choice made on it would spoil the final figure."""
        self._reads.append(self.name)
        return self.held_out

    @property
    def test_reads(self) -> int:
        """How often the test split was opened."""
        return len(self._reads)


def cycled(
    split: Split, batch_size: int, size: int, seed: int, step: int, part: slice = slice(None)
) -> Iterator[tuple[Tensor, Tensor]]:
    """A part of augmented batches without end, from `step` on: a function of (seed, step) alone."""
    per_epoch = max(1, len(split) // batch_size)
    options: dict[str, Any] = {"size": size, "seed": seed, "augment": True, "part": part}
    while True:
        epoch, start = divmod(step, per_epoch)
        for batch in split.batches(batch_size, epoch=epoch, start=start, **options):
            yield batch
            step += 1


def subset(split: Split, indices: ArrayLike) -> Split:
    """The given positions of a split, in the given order; no pixels are copied."""
    picked = np.asarray(indices, dtype=np.int64)
    return replace(split, rows=split.rows[picked], labels=split.labels[torch.from_numpy(picked)])


def stratified_split(
    labels: ArrayLike, shares: Sequence[float], seed: int, classes: Sequence[str] | None = None
) -> list[Rows]:
    """Disjoint index arrays, one per share, that together hold every row, each class in proportion and at least once.

    The arrays are shuffled: sources are often sorted by class, and the first rows of a split should be of many.

    Raises:
        DataError: a class has fewer rows than there are splits.
    """
    array = np.asarray(labels)
    rng = np.random.default_rng((_SPLIT, seed))
    parts: list[list[Rows]] = [[] for _ in shares]
    for label in np.unique(array):
        rows = rng.permutation(np.flatnonzero(array == label))
        if len(rows) < len(shares):
            name = classes[label] if classes else int(label)
            raise DataError(
                f"class {name!r} has {len(rows)} images for {len(shares)} splits; add images or drop the class"
            )
        for part, piece in zip(parts, np.split(rows, np.cumsum(_apportion(len(rows), shares))[:-1]), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def preprocess(images: Tensor | Pixels, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B, C, H, W) to float32 (B, C, size, size), channels last.

    Resized (bilinear, antialias) where the size differs, / 255, - mean, / std, in this order. The one definition of a
    network's input: batches, golden inputs and a bundle's manifest all mean this.
    """
    x = torch.as_tensor(images).to(torch.float32, memory_format=torch.channels_last)
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    per_channel: dict[str, Any] = {"dtype": x.dtype, "device": x.device}
    x = (
        (x / 255)
        .sub_(torch.tensor(mean, **per_channel).view(-1, 1, 1))
        .div_(torch.tensor(std, **per_channel).view(-1, 1, 1))
    )
    return x.contiguous(memory_format=torch.channels_last)


def _cut_out(x: Tensor, share: float, step: Step) -> Tensor:
    """A square around a random pixel of each image set to the mean; what lies beyond the border is lost."""
    assert step.key is not None
    side = x.shape[-1]
    draws = np.random.default_rng((_CUTOUT, *step.key)).integers(side, size=(2, len(step.rows)))[:, step.part]
    starts = torch.from_numpy(draws - round(share * side) // 2).to(x.device, non_blocking=True)
    line = torch.arange(side, device=x.device)
    rows, columns = ((line >= start[:, None]) & (line < start[:, None] + round(share * side)) for start in starts)
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _permutation(n: int, seed: int, epoch: int) -> Rows:
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(n)


def _apportion(n: int, shares: Sequence[float]) -> Rows:
    """Whole numbers near n * shares, none below 1, that sum to n (largest remainder)."""
    ideal = n * np.asarray(shares, dtype=np.float64)
    counts = np.maximum(np.floor(ideal).astype(np.int64), 1)
    while counts.sum() < n:
        counts[np.argmax(ideal - counts)] += 1
    while counts.sum() > n:
        counts[np.argmax(np.where(counts > 1, counts - ideal, -np.inf))] -= 1
    return counts
