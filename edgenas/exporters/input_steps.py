"""From a picture to the tensor that a model takes: one list of steps, which a bundle carries and its readers follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.data.storage.decode import decode
from edgenas.data.view import PAD, Pixels, View
from edgenas.graph.ops import Shape
from edgenas.system.records import Json

STEPS = "picture_to_tensor"  # key in the manifest's "input"
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R 601), which Pillow's conversion has
WEIGHT_BITS = 22  # binary digits of the filter's weights in Pillow, which computes in whole numbers
# What an older manifest says, word for word; it is true of images that lie in arrays, and stays for older readers.
OF_ARRAYS = "uint8 to float, resize, divide by 255, subtract mean, divide by std"


@dataclass(frozen=True)
class InputSteps:
    """How a picture becomes a model's input.

    Args:
        shape: of the input, (C, H, W).
        mean: one per channel, of 0..1.
        std: one per channel, of 0..1.
        view: how the square is made of a picture.
        rounds: whether the resized pixels are whole numbers, as those of photographs are. Images that lie in arrays
            were resized in floats for training.
    """

    shape: Shape
    mean: Sequence[float]
    std: Sequence[float]
    view: View = View()
    rounds: bool = True

    @property
    def takes_pictures(self) -> bool:
        """Tell whether files can be shown to the model: its channels are grey or colours."""
        return self.shape[0] in (1, 3)

    def to_json(self) -> list[Json]:
        """Return the steps in their order, each with `do`; those after `colours` start from decoded pixels."""
        return [*self._file_steps(), *self._pixel_steps()]

    def words(self) -> str:
        """Return the steps as a sentence says them that begins with "A picture is"."""
        channels, height, width = self.shape
        fit = {"crop": "cut to the largest centred square, resized to", "squash": "squashed to", "pad": "fitted into"}
        resized = f"{fit[self.view.fit]} {width} x {height} pixels (bilinear, antialiased{', rounded' * self.rounds})"
        words = [
            "turned upright by its EXIF orientation",
            f"scaled to 8 bits where it is grey of 16, of which {self.view.white} is white",
            "laid on white where it is transparent",
            {1: "made grey", 3: "made RGB"}.get(channels, "taken with the channels of the data"),
            resized,
            *[f"filled up with {PAD} to the square"] * (self.view.fit == "pad"),
            "divided by 255",
            "lessened by the mean",
            "divided by the standard deviation",
        ]
        return ", ".join(words if self.takes_pictures else words[3:])

    def decoded(self, source: Path | bytes) -> Pixels:
        """Return the pixels of a file, upright RGB: (H, W, 3).

        Raises:
            Unreadable: the file is no image that can be used.
        """
        pixels: Pixels = np.asarray(decode(source, white=self.view.white))
        return pixels

    def tensor(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the input (C, H, W) that decoded pixels (H, W, channels) become.

        Args:
            pixels: of as many channels as the model takes, or of colours where it takes grey, or of grey where it takes
                several.

        Raises:
            ValueError: another number of channels.
        """
        seen = self._seen(_with_channels(pixels, self.shape[0]))
        mean, std = (np.asarray(values, dtype=np.float32).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return np.ascontiguousarray((np.moveaxis(seen, -1, 0).astype(np.float32) / 255 - mean) / std)

    def _seen(self, pixels: Pixels) -> NDArray[Any]:
        """Return the square (H, W, C) that the network sees, 0 to 255."""
        from PIL import Image

        _, height, width = self.shape
        if self.rounds and height == width and pixels.shape[2] in (1, 3):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            return self.view.square(image, height)
        if self.view.fit == "crop":
            short = min(pixels.shape[:2])
            top, left = (pixels.shape[0] - short) // 2, (pixels.shape[1] - short) // 2
            pixels = pixels[top : top + short, left : left + short]
        if pixels.shape[:2] == (height, width):
            return pixels
        # In floats, a channel at a time, as `preprocess` resizes images that lie in arrays.
        planes = [Image.fromarray(plane) for plane in np.moveaxis(pixels, -1, 0).astype(np.float32)]
        resized = [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes]
        return np.stack(resized, axis=-1)

    def _file_steps(self) -> list[Json]:
        """Return the steps from a file's image to pixels (H, W, channels) uint8."""
        if not self.takes_pictures:
            return []
        return [
            {"do": "upright", "by": "EXIF orientation"},
            {"do": "depth", "of": "16-bit grey", "white": self.view.white, "to": 255, "rounding": "nearest"},
            {"do": "flatten", "alpha_over": [255, 255, 255]},
        ]

    def _pixel_steps(self) -> list[Json]:
        """Return the steps from pixels to the tensor."""
        channels, height, width = self.shape
        colours: Json = {"do": "colours", "mode": {1: "grey", 3: "RGB"}.get(channels, "as in the data")}
        if channels == 1:
            colours |= {"weights": list(GREY), "rounding": "nearest"}
        resize: Json = {
            "do": "resize",
            "height": height,
            "width": width,
            "keep_aspect": self.view.fit == "pad",  # then it fits inside, sides rounded to the nearest, halves to even
            "filter": "bilinear",
            "antialias": True,
            "order": "horizontal, then vertical",
            "weight_bits": WEIGHT_BITS if self.rounds else None,
            "rounding": "nearest after each of both" if self.rounds else None,
        }
        before: list[Json] = [{"do": "crop", "to": "centred square"}] if self.view.fit == "crop" else []
        pad: Json = {"do": "pad", "height": height, "width": width, "value": PAD}
        after: list[Json] = [pad] if self.view.fit == "pad" else []
        return [
            colours,
            *before,
            resize,
            *after,
            {"do": "divide", "by": 255},
            {"do": "normalise", "mean": list(self.mean), "std": list(self.std)},
            {"do": "layout", "order": "NCHW"},
        ]


def read_steps(image: Mapping[str, Any]) -> InputSteps:
    """Return the steps that the "input" of a manifest describes; one without them is older, and means a centred crop.

    Raises:
        KeyError: something is missing, as ValueError and TypeError say that something is not what it should be.
    """
    channels, height, width = (int(size) for size in image["shape"][1:])  # without the batch
    mean, std = (tuple(float(value) for value in image["normalisation"][key]) for key in ("mean", "std"))
    steps = {str(step["do"]): step for step in image.get(STEPS, ())}
    if not steps:
        return InputSteps((channels, height, width), mean, std, rounds=False)
    white = int(steps["depth"]["white"]) if "depth" in steps else View().white
    view = View("pad" if "pad" in steps else "crop" if "crop" in steps else "squash", white)
    return InputSteps((channels, height, width), mean, std, view, steps["resize"]["rounding"] is not None)


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if found == 1:
        return np.repeat(pixels, channels, axis=2)
    if found == 3 and channels == 1:
        from PIL import Image

        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    raise ValueError(f"an image of {found} channels, where the model takes {channels}")
