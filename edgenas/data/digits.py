"""Handwritten digits of scikit-learn (UCI, 1,797 images), embedded, so that the default needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from edgenas.data.base import Augment, Data
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels

SIDE = 32  # pixels; the originals have 8x8, which leave a network nothing to downsample
AUGMENT = Augment(shift=0.08, scale=0.1, rotate=10)  # not mirrored: hardly any digit would still be one


def build(
    *,
    root: Path | None,
    seed: int,
    image_size: int | None,
    validation_share: float,
    download: bool,
    strict: bool,
    device: str,
) -> Data:
    """Return 1,797 grey images of 10 classes, upsampled to 32x32; a fifth is the test split."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    coarse = torch.from_numpy(images).view(-1, 1, 8, 8) * (255 / 16)  # grey levels go from 0 to 16
    pixels = F.interpolate(coarse, (SIDE, SIDE), mode="bilinear").round().to(torch.uint8).numpy()
    classes = tuple("0123456789")
    labels = labels.astype(np.int64)
    splits = split_rows(
        labels,
        {"train": np.arange(len(labels))},
        classes,
        validation_share=validation_share,
        seed=seed,
        where="digits",
    )
    return data_from_pixels("digits", classes, pixels, labels, splits, augment=AUGMENT, device=device)
