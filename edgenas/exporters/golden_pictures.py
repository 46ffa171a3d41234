"""Golden pictures of a bundle: files, the pixels in them, the input made of these, and what the model says.

An app finds by them the stage in which it differs. Three are drawn here: one turned by EXIF, one transparent, one of
16 bits and wide. None is square. The others are pictures of the validation split, made small and without metadata.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.data.storage.decode import Unreadable
from edgenas.data.view import Pixels
from edgenas.exporters.input_steps import InputSteps

PICTURES = "pictures.npz"
MOST_SIDE = 320  # pixels of the longer side of a user's picture: enough for any model, little to give away
ORIENTATION, TURNED = 0x0112, 6  # the tag of EXIF, and its value for a camera held upright
# Largest differences that are right, in levels of 255: decoders of JPEG differ by rounding, filters by one level.
PIXELS_TOLERANCE, INPUT_TOLERANCE = 2, 1


def drawn(white: int) -> list[bytes]:
    """Return the files of the drawn pictures; the same bytes each time.

    Args:
        white: what counts as white in the picture of 16 bits.
    """
    from PIL import Image

    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    turned = _file(Image.fromarray(_shapes(64, 112)), "JPEG", exif=exif, quality=95)
    colours = _shapes(96, 60)
    alpha = np.broadcast_to(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], (96, 60, 1))
    transparent = _file(Image.fromarray(np.concatenate([colours, alpha], axis=2)), "PNG")
    deep = (_shapes(40, 130)[..., 0] / 255 * white).astype(np.uint16)
    return [turned, transparent, _file(Image.fromarray(deep), "PNG")]


def reduced(pixels: Pixels, *, is_photo: bool) -> bytes:
    """Return a picture as the file that a bundle holds of it: small, and without the camera's metadata.

    Args:
        pixels: (H, W, 1) or (H, W, 3).
        is_photo: whether it becomes a JPEG file, else PNG.
    """
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    return _file(image, "JPEG", quality=90) if is_photo else _file(image, "PNG")


def stages(files: Sequence[bytes], steps: InputSteps) -> dict[str, NDArray[Any]]:
    """Return what stands in the bundle of these files: `file_N` and `pixels_N`, both uint8, and all of them as `input`.

    Args:
        files: at least one.
        steps: of the model.
    """
    pixels = [steps.decoded(file) for file in files]
    found: dict[str, NDArray[Any]] = {}
    for number, (file, decoded) in enumerate(zip(files, pixels, strict=True)):
        found[f"file_{number}"] = np.frombuffer(file, dtype=np.uint8)
        found[f"pixels_{number}"] = decoded
    return found | {"input": np.stack([steps.tensor(decoded) for decoded in pixels])}


def differing_stage(pictures: dict[str, NDArray[Any]], steps: InputSteps) -> str | None:
    """Return the first stage before the model that gives something else here than in the bundle, with the difference.

    Args:
        pictures: as `stages` has made them.
        steps: of the model.

    Raises:
        KeyError: something is missing.
    """
    inputs = pictures["input"]
    std = np.asarray(steps.std, dtype=np.float32).reshape(-1, 1, 1)
    for number in range(len(inputs)):
        decoded = pictures[f"pixels_{number}"]
        try:
            found = steps.decoded(pictures[f"file_{number}"].tobytes())
        except Unreadable as error:
            return f"file {number} cannot be decoded here ({error})"
        if found.shape != decoded.shape:
            return f"file {number} decodes to {found.shape}, its golden pixels are {decoded.shape}"
        levels = int(np.abs(found.astype(np.int64) - decoded).max())
        if levels > PIXELS_TOLERANCE:
            return f"file {number} decodes {levels} of 255 off its golden pixels, at most {PIXELS_TOLERANCE} is right"
        off = float((np.abs(steps.tensor(decoded) - inputs[number]) * std * 255).max())
        if not off < INPUT_TOLERANCE + 0.01:  # floats round
            return f"pixels {number} become an input {off:.3g} of 255 off, at most {INPUT_TOLERANCE} is right"
    return None


def _shapes(height: int, width: int) -> Pixels:
    """Return a picture with gradients, an ellipse and fine stripes, in which every mistake of an app shows."""
    y, x = np.mgrid[0:height, 0:width]
    red = np.linspace(0, 255, width)[None, :] + 0 * y
    green = np.linspace(255, 0, height)[:, None] + 0 * x
    blue = np.where(((x / width - 0.3) / 0.2) ** 2 + ((y / height - 0.35) / 0.25) ** 2 < 1, 230, 40)
    pixels: Pixels = np.stack([red, green, blue], axis=-1).astype(np.uint8)
    pixels[height // 2 :, width // 2 :: 3] = 255  # stripes, which a filter without antialiasing turns into a pattern
    return pixels


def _file(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
