"""The contract of every data source: three splits whose batches are pure functions of (seed, epoch, step).

A `Split` is a set of rows of a `Store`. The store knows where the pixels are and turns rows into batches. So order,
resuming and subsets are written once, here, both for tensors on a GPU and for files on a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from edgenas.data.found import Found
from edgenas.data.storage.order import AUGMENT_STREAM as AUGMENT_STREAM
from edgenas.data.storage.order import CUTOUT_STREAM, balanced, permutation
from edgenas.data.storage.order import Rows as Rows
from edgenas.data.storage.order import stratified_split as stratified_split
from edgenas.data.view import Picture, View
from edgenas.data.view import Pixels as Pixels


@dataclass(frozen=True)
class Augment:
    """The label-preserving changes that a data source declares for its own images; zero switches one off."""

    flip: bool = False  # mirror left to right, with probability 1/2
    shift: float = 0.0  # largest shift in x and in y, as a share of the side
    scale: float = 0.0  # multiply the side by 1 - scale .. 1 + scale
    rotate: float = 0.0  # largest angle in degrees, both ways
    erase: float = 0.0  # probability that one rectangle is replaced by the mean
    rand: int = 0  # changes of colour or shape that RandAugment makes of each image of files (arXiv:1909.13719)


@dataclass(frozen=True)
class Step:
    """One batch to make: its rows in the store, and the key that its augmentation follows from.

    Only `part` of the batch is made. Each image is augmented as it is in the whole batch.
    """

    rows: Rows
    key: tuple[int, int, int] | None  # (seed, epoch, step); None: no augmentation
    part: slice = field(default_factory=lambda: slice(None))


class Store(Protocol):
    """Where the pixels are kept: in memory or in files."""

    def stream(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        """Yield for each step the `part` of its batch, (B, C, size, size).

        Batches are float32, normalised, channels last and on the device.

        Args:
            steps: the batches to make, in this order.
            size: side of the images in pixels.
        """
        ...

    def images(self, rows: Rows) -> Pixels:
        """Return the stored images (n, C, H, W), before any preprocessing."""
        ...

    @property
    def device(self) -> torch.device:
        """The device on which batches are delivered."""
        ...


@runtime_checkable
class PictureStore(Protocol):
    """A store that still has what its images were made of."""

    def pictures(self, rows: Rows) -> list[Picture]:
        """Return the pictures of these rows in full size, with the bytes of their files."""
        ...


# Not compared by value: `==` of arrays and tensors is no truth value.
@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: image i of the split is row `rows[i]` of the store, its label is `labels[i]`.

    `rows` and `labels` are (N,) int64, on the CPU. Where `balance` is set, epochs draw small classes more often.
    """

    store: Store = field(repr=False)
    rows: Rows = field(repr=False)
    labels: Tensor = field(repr=False)
    balance: bool = False

    def __len__(self) -> int:
        """Return the number of images."""
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
        """Yield batches (x, y) on the training device.

        x is (B, C, size, size) float32, normalised and channels last; y is (B,) int64. Step k is augmented by
        (seed, epoch, k) alone. So `start=k` continues an interrupted epoch bit for bit, and skipped steps cost nothing.

        Args:
            batch_size: images per batch.
            size: side of the square that images are resized to, in pixels.
            epoch: None gives the stored order, where the last batch may be smaller. A number gives an order that
                follows from (seed, epoch) alone, without a smaller last batch unless it is the only one.
            seed: of order and augmentation.
            augment: whether the declared augmentation is applied; it needs an epoch.
            start: number of the first step.
            limit: number of batches at most, counted from `start`.
            part: images of each batch that are made, each as it is in the whole batch.
            cutout: share of the side of the square that augmented images lose (arXiv:1708.04552).

        Raises:
            ValueError: `augment` without `epoch`, which would repeat one augmentation for ever.
        """
        if augment and epoch is None:
            raise ValueError("augmented batches need an epoch")
        order = np.arange(len(self)) if epoch is None else self._order(seed, epoch)
        count = -(-len(self) // batch_size) if epoch is None else max(1, len(self) // batch_size)
        picks = [(k, order[k * batch_size : (k + 1) * batch_size]) for k in range(start, count)[:limit]]
        steps = [Step(self.rows[pick], (seed, epoch or 0, k) if augment else None, part) for k, pick in picks]
        for (_, pick), step, x in zip(picks, steps, self.store.stream(steps, size), strict=True):
            if augment and cutout:
                x = _cut_out(x, cutout, step)
            yield x, self.labels[torch.from_numpy(pick[part])].to(self.store.device, non_blocking=True)

    def images(self, indices: ArrayLike) -> Pixels:
        """Return the raw images (n, C, H, W) uint8 at these positions in the split; `preprocess` starts from them."""
        return self.store.images(self.rows[np.asarray(indices, dtype=np.int64)])

    def inputs(self, indices: ArrayLike, size: int) -> Tensor:
        """Return the images at these positions as evaluation sees them: a batch of `batches`, without augmentation.

        Args:
            indices: (n,) positions in the split.
            size: side of the square that a network takes, in pixels.
        """
        return next(iter(self.store.stream([Step(self.rows[np.asarray(indices, dtype=np.int64)], None)], size)))

    def pictures(self, indices: ArrayLike) -> list[Picture]:
        """Return the pictures at these positions in full size; those of arrays are the arrays, without a file."""
        rows = self.rows[np.asarray(indices, dtype=np.int64)]
        if isinstance(self.store, PictureStore):
            return self.store.pictures(rows)
        return [Picture(None, "", image.transpose(1, 2, 0)) for image in self.store.images(rows)]

    def _order(self, seed: int, epoch: int) -> Rows:
        """Return the positions that one epoch goes through, as many as there are images."""
        return balanced(self.labels.numpy(), seed, epoch) if self.balance else permutation(len(self), seed, epoch)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in three splits: what each data source returns and what `edgenas.search(data=...)` takes.

    Training uses `train`, every choice uses `validation`, and the final figure comes from `test()`. Images are
    normalised per channel as (x - mean) / std, of x in 0..1.

    >>> from edgenas.data import digits
    >>> data = digits.build(root=None, seed=0, image_size=None, validation_share=0.1, download=False, strict=False,
    ...                     device="cpu")
    >>> data.shape, len(data.classes), len(data.validation)
    ((1, 32, 32), 10, 179)
    >>> x, y = next(data.train.batches(64, size=32, epoch=0, augment=True))
    >>> tuple(x.shape), tuple(y.shape)
    ((64, 1, 32, 32), (64,))
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # (C, H, W) as stored; batches come in any size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment
    train: Split
    validation: Split
    held_out: Split = field(repr=False)  # read it through `test()`, which counts
    view: View = field(default_factory=View)  # how a picture of any shape becomes one of them
    notices: tuple[str, ...] = ()  # what was decided about the images, in whole sentences
    found: Found = field(default_factory=Found)  # what else a report of the data says
    _reads: list[str] = field(default_factory=list, init=False, repr=False)  # a list can grow in a frozen record

    def test(self) -> Split:
        """Return the test split and count the call, because a choice made on it would spoil the final figure."""
        self._reads.append(self.name)
        return self.held_out

    @property
    def test_reads(self) -> int:
        """The number of times that the test split was read."""
        return len(self._reads)


def cycled(
    split: Split, batch_size: int, size: int, seed: int, step: int, part: slice = slice(None)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield augmented batches without end, epoch after epoch, as a function of (seed, step) alone.

    Args:
        split: the images.
        batch_size: images per batch.
        size: side of the images in pixels.
        seed: of order and augmentation.
        step: number of the first batch, counted over all epochs.
        part: images of each batch that are made.
    """
    # As `Split.batches` counts them: without a smaller last batch.
    per_epoch = max(1, len(split) // batch_size)
    while True:
        epoch, start = divmod(step, per_epoch)
        for batch in split.batches(batch_size, size=size, seed=seed, augment=True, part=part, epoch=epoch, start=start):
            yield batch
            step += 1


def subset(split: Split, indices: ArrayLike) -> Split:
    """Return the images at these positions of a split, in this order; no pixels are copied."""
    picked = np.asarray(indices, dtype=np.int64)
    return replace(split, rows=split.rows[picked], labels=split.labels[torch.from_numpy(picked)])


def preprocess(images: Tensor | Pixels, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return what a network takes: float32 (B, C, size, size), channels last.

    This is the one definition of a network's input, which batches, golden inputs and a bundle's manifest share: resize
    (bilinear, antialias) where the size differs, / 255, - mean, / std, in this order.

    Args:
        images: (B, C, H, W), 0 to 255.
        size: side in pixels.
        mean: one per channel, of 0..1.
        std: one per channel, of 0..1.
    """
    # A copy in any case: what follows is in place.
    x = torch.as_tensor(images).to(torch.float32, memory_format=torch.channels_last, copy=True)
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    x = x.permute(0, 2, 3, 1).contiguous()
    # Row by row: along three channels alone, which lie side by side, it takes three times as long.
    centre, spread = (torch.tensor(v, dtype=x.dtype, device=x.device).repeat(size) for v in (mean, std))
    x.view(len(x), size, size * x.shape[3]).div_(255).sub_(centre).div_(spread)
    return x.permute(0, 3, 1, 2)


def _cut_out(x: Tensor, share: float, step: Step) -> Tensor:
    """Set a square around a random pixel of each image to the mean; what lies beyond the border is lost."""
    assert step.key is not None
    # Processes that share a batch all draw for the whole of it, so an image loses the same square on any of them.
    side = x.shape[-1]
    draws = np.random.default_rng((CUTOUT_STREAM, *step.key)).integers(side, size=(2, len(step.rows)))[:, step.part]
    starts = torch.from_numpy(draws - round(share * side) // 2).to(x.device, non_blocking=True)
    line = torch.arange(side, device=x.device)
    rows, columns = ((line >= start[:, None]) & (line < start[:, None] + round(share * side)) for start in starts)
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
