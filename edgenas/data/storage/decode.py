"""Pictures from anywhere to upright 8-bit RGB: one conversion for every kind of file a folder may hold."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")  # as Pillow names them
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"}
)
HEIC_SUFFIXES = frozenset({".heic", ".heif"})
HEIC_EXTRA = "pip install 'edgenas[heic]'"
WHITE = 65_535  # of 16 bits


class Unreadable(Exception):
    """A file is no image that can be used; the message is the reason."""


def decode(source: Path | bytes, side: int | None = None, white: int = WHITE) -> Image.Image:
    """Return the first frame of an image, upright and in mode RGB.

    Transparency is laid on white, 16 bits are scaled to 8, and palettes, grey and CMYK are converted.

    Args:
        source: a file, or its bytes.
        side: what the image will be resized to; a large JPEG is then decoded at a reduced size, at least twice `side`.
        white: what becomes 255, in grey images of 16 bits.

    Raises:
        Unreadable: the file is empty, corrupt, of no format that is read, or exceeds Pillow's limit of 179 million
            pixels.
    """
    return decode_deep(source, side, white).image


def to_rgb(image: Image.Image, white: int = WHITE) -> Image.Image:
    """Return an image as `decode` returns that of a file: upright, and in mode RGB.

    Args:
        image: as Pillow opened or made it.
        white: as of `decode`.

    Raises:
        Unreadable: its pixels are fractions.
    """
    from PIL import ImageOps

    return _rgb(ImageOps.exif_transpose(image), white)[0]


class Decoded(NamedTuple):
    """An image, the height and width of the file, and the largest value of a grey image of 16 bits; 0 of any other."""

    image: Image.Image
    original: tuple[int, int]
    largest: int


def decode_deep(source: Path | bytes, side: int | None = None, white: int = WHITE) -> Decoded:
    """Return what `decode` does, and what is known of the file.

    Args:
        source: a file, or its bytes.
        side: as of `decode`.
        white: as of `decode`.

    Raises:
        Unreadable: as `decode`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=_formats()) as image:
            original = (image.height, image.width)
            if side is not None:
                image.draft(None, (2 * side, 2 * side))
            upright, largest = _rgb(ImageOps.exif_transpose(image), white)
            return Decoded(upright, original, largest)
    # Decoders of hostile files raise whatever they stumble over; each is a reason to leave the image out.
    except Exception as error:
        reason = str(error)
        if isinstance(error, UnidentifiedImageError):
            heic = isinstance(source, Path) and source.suffix.lower() in HEIC_SUFFIXES and not reads_heic()
            reason = f"HEIC, which `{HEIC_EXTRA}` reads" if heic else "no image of a format that is read"
        raise Unreadable(reason.partition("\n")[0] or type(error).__name__) from error


def reads_heic() -> bool:
    """Return whether the extra that reads HEIC is installed."""
    return find_spec("pi_heif") is not None


def white_of(largest: Iterable[int]) -> int:
    """Return what is white in a set of 16-bit images: all ones, in as few bits as hold their largest values.

    Cameras of 12 bits write 0 to 4095 into 16 bits, which would be nearly black if 65535 were white.

    Args:
        largest: value of each image, as `decode_deep` returns it; 0 for other images.

    >>> white_of([0, 3000, 4000]), white_of([7]), white_of([0])
    (4095, 255, 65535)
    """
    top = max(largest, default=0)
    return max(255, (1 << top.bit_length()) - 1) if top else WHITE


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


def _rgb(image: Image.Image, white: int) -> tuple[Image.Image, int]:
    from PIL import Image

    if image.mode == "F":
        raise Unreadable("its pixels are fractions; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips at 255
        deep = np.asarray(image).astype(np.int64).clip(0)
        # Half of white rounds to the nearest.
        grey = ((deep * 255 + white // 2) // white).clip(0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB"), int(deep.max())
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB"), 0
    return image.convert("RGB"), 0


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the formats that are tried, with HEIC where its extra is installed."""
    if not reads_heic():
        return FORMATS
    import_module("pi_heif").register_heif_opener()
    return (*FORMATS, "HEIF")
