"""View: how a picture of any shape becomes the square that a network sees; training, evaluation and bundles share it.

The square is made in whole numbers, 0 to 255, by the bilinear, antialiased filter of Pillow. So an app that follows the
description gets the same numbers, within one of 255 where its filter rounds otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
Fit = Literal["crop", "squash", "pad"]
FITS: tuple[Fit, ...] = get_args(Fit)
PAD = 127  # what `pad` fills with: the middle grey, near zero after any usual normalisation


@dataclass(frozen=True)
class View:
    """How pictures of one data set are seen.

    Args:
        fit: `crop` takes the largest centred square, `squash` all of the picture, distorted to a square, and `pad` all
            of it, between two bars of grey.
        white: what counts as white in a grey picture of 16 bits.
    """

    fit: Fit = "crop"
    white: int = 65_535

    def square(self, image: Image.Image, size: int) -> Pixels:
        """Return a picture as a network sees it: (size, size, channels) uint8.

        Args:
            image: upright, grey or RGB, of any shape.
            size: side of the square, in pixels.
        """
        if self.fit == "crop":
            short = min(image.size)
            left, top = (image.width - short) // 2, (image.height - short) // 2
            image = image.crop((left, top, left + short, top + short))
        image = padded(image, size) if self.fit == "pad" else _resized(image, size, size)
        pixels: Pixels = np.asarray(image, dtype=np.uint8).reshape(size, size, -1)
        return pixels


def padded(image: Image.Image, size: int) -> Image.Image:
    """Return all of a picture in the middle of a square of `size` pixels, between two bars of grey."""
    from PIL import Image

    share = size / max(image.size)
    inner = _resized(image, max(1, round(image.width * share)), max(1, round(image.height * share)))
    # One value for every band.
    square = Image.new(image.mode, (size, size), tuple([PAD] * len(image.getbands())))
    square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return square


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture in another size, each row resized first, then each column."""
    from PIL import Image

    # In two calls: in one, Pillow 13 takes the columns of tall pictures first, earlier ones do not, and each rounds.
    rows = image.resize((width, image.height), Image.Resampling.BILINEAR)
    return rows.resize((width, height), Image.Resampling.BILINEAR)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in full size, as its file and as what was read of it.

    Args:
        file: what lies on the disk; None for an image of an array.
        suffix: of the file's name, such as `.jpg`.
        pixels: (H, W, C) uint8, upright, grey or RGB.
    """

    file: bytes | None
    suffix: str
    pixels: Pixels
