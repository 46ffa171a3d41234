"""Arrays in memory as a data set: what `edgenas.search((x, y), ...)` makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgenas.data.base import Augment, Data
from edgenas.data.storage.arrays import AUGMENT, channels_first, check_counts
from edgenas.data.storage.copies import equal_images
from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import DataError


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    validation_share: float = 0.1,
    seed: int = 0,
    device: str = "cpu",
    name: str = "arrays",
    augment: Augment = AUGMENT,
) -> Data:
    """Return a data set of these images; validation and test splits are drawn from them, each class in proportion.

    Args:
        x: images, uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3; numpy arrays or CPU tensors.
        y: class numbers 0, 1, 2, ... as integers (N,).
        classes: a name per class; without them the numbers are the names.
        validation_share: share of all images that choices are made on; another fifth is the test split.
        seed: of the draw.
        device: where pixels are kept and batches are made, `cpu` or `cuda`.
        name: of the data set, in messages, reports and bundles.
        augment: the changes that do not change a label; switch `flip` off where left and right matter.

    Raises:
        DataError: another type or shape, labels out of range, a class with fewer than three images, or one image in
            two classes.
        UsageError: a validation share that leaves nothing to train on.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    >>> data = from_arrays(x, np.arange(40) % 2, classes=["cat", "dog"])
    >>> data.shape, data.classes, len(data.train), len(data.validation), len(data.held_out)
    ((1, 28, 28), ('cat', 'dog'), 28, 4, 8)
    """
    pixels = channels_first(_array(x, "images", name), name)
    labels = _array(y, "labels", name)
    if labels.ndim == 1:  # any other shape is refused by `check_labels`
        check_counts(len(pixels), len(labels), name)
    target, names = check_labels(labels, classes, name)
    given = {"train": np.arange(len(target))}
    equal = equal_images(pixels)
    splits = split_rows(target, given, names, validation_share=validation_share, seed=seed, where=name, equal=equal)
    return data_from_pixels(name, names, pixels, target, splits, augment=augment, device=device)


def _array(values: ArrayLike, what: str, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    # Lists of unequal lengths, and tensors on a GPU or with a gradient.
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{name}: {what} are no array ({error}); give a numpy array") from error
