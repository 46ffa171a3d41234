"""JPEG and PNG from anywhere to upright 8-bit RGB: one conversion for every kind of file a folder may hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


class Unreadable(Exception):
    """A file is no image that can be used; the message is the reason."""


def decode(source: Path | bytes, side: int | None = None) -> Image.Image:
    """Return the first frame of an image, upright and in mode RGB.

    Transparency is laid on white, 16 bits are scaled to 8, and palettes, grey and CMYK are converted.

    Args:
        source: a file, or its bytes.
        side: what the image will be resized to; a large JPEG is then decoded at a reduced size, at least twice `side`.

    Raises:
        Unreadable: the file is empty, corrupt, neither JPEG nor PNG, or exceeds Pillow's limit of 179 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=("JPEG", "PNG")) as image:
            if side is not None:
                image.draft(None, (2 * side, 2 * side))
            return _rgb(ImageOps.exif_transpose(image))
    # Decoders of hostile files raise whatever they stumble over; each is a reason to leave the image out.
    except Exception as error:
        reason = "neither JPEG nor PNG" if isinstance(error, UnidentifiedImageError) else str(error)
        raise Unreadable(reason.partition("\n")[0] or type(error).__name__) from error


def square(image: Image.Image, side: int) -> Image.Image:
    """Return the largest centred square, resized; nothing is distorted, and a long strip costs no memory.

    Args:
        image: of any size.
        side: of the result, in pixels.
    """
    from PIL import Image

    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + short, top + short))


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips at 255
        # 65535 / 257 is 255; half of 257 rounds to the nearest.
        deep = np.asarray(image).astype(np.int64)
        return Image.fromarray(((deep + 128) // 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
