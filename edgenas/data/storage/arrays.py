"""Images in arrays, checked: what an .npz file and arrays in memory have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.data.base import Augment, Pixels
from edgenas.errors import DataError

# What keeps the label of most photographs, and the usual 4 of CIFAR's 32 pixels: nothing is known about these images.
AUGMENT = Augment(flip=True, shift=0.125)


def channels_first(images: NDArray[Any], where: str) -> Pixels:
    """Return the images as contiguous uint8 (N, C, H, W).

    Args:
        images: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3.
        where: the file or the data set, for the message.

    Raises:
        DataError: another type, or a shape that is not clearly one of these.
    """
    if images.dtype != np.uint8:
        nan = " with NaN" if np.issubdtype(images.dtype, np.floating) and np.isnan(images).any() else ""
        raise DataError(f"{where}: images are {images.dtype}{nan}; store them as uint8, 0 to 255")
    if images.ndim == 3 and 0 not in images.shape:
        return np.ascontiguousarray(images[:, None])
    first, last = (images.ndim == 4 and images.shape[axis] in (1, 3) for axis in (1, 3))
    # With 1 or 3 on both axes either could be the channels: to guess would scramble the pixels.
    if first == last or 0 in images.shape:
        raise DataError(
            f"{where}: images of shape {images.shape} are not clearly NHW, NHWC or NCHW with 1 or 3 channels"
        )
    return np.ascontiguousarray(images if first else images.transpose(0, 3, 1, 2))


def check_counts(images: int, labels: int, where: str) -> None:
    """Check that there is one label per image.

    Raises:
        DataError: the numbers differ.
    """
    if images != labels:
        raise DataError(f"{where}: {images} images but {labels} labels; give one label per image")
