"""What a data set holds, as it is used: told before anything is trained, and kept with what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.data.base import Data, Split
from edgenas.data.found import LeftOut
from edgenas.data.storage.order import imbalance

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DataReport:
    """What a data set holds.

    Args:
        name: of the data set.
        classes: by class, images that are used in each split.
        drawn: splits that were drawn from the training images, as the source has none.
        left_out: what is not used, each with its reason.
        shape: channels, height and width that networks are trained with at most.
        fit: how a picture becomes a square.
        sizes: height and width of the smallest, the median and the largest picture, by area; of files alone.
        hidden: share of its pixels that a centred square hides of a picture, on average; of files alone.
        white: value that becomes 255 in grey pictures of 16 bits; None where there are none.
        grey_levels: of 256, that are left of the darkest picture of 16 bits.
        imbalance: how many times as many training images the largest class has as the smallest.
        notices: what was decided, in sentences.
    """

    name: str
    classes: Mapping[str, Mapping[str, int]]
    drawn: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    shape: tuple[int, int, int]
    fit: str
    sizes: tuple[tuple[int, int], ...]
    hidden: float | None
    white: int | None
    grey_levels: int | None
    imbalance: float
    notices: tuple[str, ...]

    @property
    def images(self) -> Mapping[str, int]:
        """Return the number of images in each split."""
        return {split: sum(counts[split] for counts in self.classes.values()) for split in SPLITS}

    def line(self) -> str:
        """Return what is used, in a line."""
        parts = [f"{n:,} {split}{' (drawn)' if split in self.drawn else ''}" for split, n in self.images.items()]
        return f"{sum(self.images.values()):,} images of {len(self.classes)} classes: {', '.join(parts)}"


def report_of(data: Data) -> DataReport:
    """Return what a data set holds."""
    counts = {split: _counts(part, data) for split, part in _parts(data).items()}
    found = data.found
    return DataReport(
        data.name,
        {name: {split: int(counts[split][label]) for split in SPLITS} for label, name in enumerate(data.classes)},
        found.drawn,
        found.left_out,
        data.shape,
        data.view.fit,
        found.sizes,
        found.hidden,
        found.white,
        found.grey_levels,
        imbalance(data.train.labels.numpy()),
        data.notices,
    )


def _parts(data: Data) -> Mapping[str, Split]:
    return dict(zip(SPLITS, (data.train, data.validation, data.held_out), strict=True))


def _counts(split: Split, data: Data) -> np.ndarray:
    return np.bincount(split.labels.numpy(), minlength=len(data.classes))
