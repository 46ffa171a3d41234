"""A delivered model, run by onnxruntime: images in, labels and probabilities out, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgenas.data.storage.decode import Unreadable, to_rgb
from edgenas.errors import CheckpointError, DamagedRun, DataError
from edgenas.exporters.bundle import MANIFEST
from edgenas.exporters.input_steps import read_steps
from edgenas.runtimes.onnxruntime import open as open_session
from edgenas.system.records import parsed_object


@dataclass(frozen=True)
class Predictions:
    """What a model says of n images.

    Args:
        labels: the likeliest class of each image.
        probabilities: (n, classes), which sum to 1; softmax of the logits, not calibrated.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]


class Model:
    """The default model of a bundle.

    Attributes:
        classes: the labels, in the order of the probabilities.
        shape: what the network takes, (C, H, W).
    """

    def __init__(self, bundle: str | os.PathLike[str]) -> None:
        """Open the bundle in a folder, as a run folder is one.

        Raises:
            CheckpointError: there is no bundle.
            DamagedRun: its manifest is damaged.
        """
        folder = Path(bundle)
        try:
            manifest = parsed_object((folder / MANIFEST).read_bytes())
            image, file = manifest["input"], manifest["default"]["file"]
            self.classes = tuple(map(str, manifest["labels"]))
            self._steps = read_steps(image)
        except OSError as error:
            raise CheckpointError(
                f"{folder} holds no bundle ({error}); let `edgenas search` come to its end"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedRun(
                f"{folder / MANIFEST} is damaged ({error!r}); search again, with a new --output"
            ) from error
        self.shape = self._steps.shape
        self._session = open_session(folder / file)

    def __call__(self, images: Any) -> Predictions:
        """Classify images.

        Args:
            images: one image or several: paths of files, Pillow images, or uint8 arrays (H, W), (H, W, C) or (C, H, W),
                of any size. Each is seen as training saw its pictures, which the bundle's manifest describes.

        Raises:
            DataError: something is no image.
        """
        found = [self._tensor(image) for image in _several(images, self.shape[0])]
        # Concatenated with nothing, so that no images give no predictions instead of an error.
        none = np.zeros((0, len(self.classes)), dtype=np.float32)
        logits = np.concatenate([none, *(self._session.run(x[None])[0] for x in found)])
        # Less the largest logit, which changes no share: large ones would overflow.
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return Predictions(tuple(self.classes[i] for i in shares.argmax(axis=1)), shares)

    def _tensor(self, image: Any) -> NDArray[np.float32]:
        """Return one image as the network takes it: (C, H, W) float32."""
        pixels = self._pixels(image)
        try:
            return self._steps.tensor(pixels)
        except ValueError as error:
            raise DataError(str(error)) from error

    def _pixels(self, image: Any) -> NDArray[np.uint8]:
        """Return one image upright, 8 bits deep, (H, W, channels)."""
        try:
            if isinstance(image, str | os.PathLike):
                return self._steps.decoded(Path(image))
            if isinstance(image, Image.Image):
                return np.asarray(to_rgb(image, self._steps.view.white))
        except Unreadable as error:
            name = f"{image.size} image" if isinstance(image, Image.Image) else os.fspath(image)
            raise DataError(f"{name}: {error}; give a file of an image") from error
        array = np.asarray(image)
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
            raise DataError(
                f"an array of {array.dtype} {array.shape} is no image; give uint8, (H, W), (H, W, C) or (C, H, W)"
            )
        if array.ndim == 2:
            return array[..., None]
        return array if array.shape[-1] in (1, 3) else np.moveaxis(array, 0, -1)


def _several(images: Any, channels: int) -> Iterable[Any]:
    """Return the images, one or many, one at a time.

    An array of three axes is one image if its last axis is that of colours, or its first has as many entries as the
    model takes channels; else it holds grey images.
    """
    if isinstance(images, str | os.PathLike | Image.Image):  # a text is a sequence, too, of letters
        return [images]
    if isinstance(images, np.ndarray):
        shape = images.shape
        is_one = images.ndim == 2 or (images.ndim == 3 and (shape[-1] in (1, 3) or shape[0] in (1, channels)))
        return [images] if is_one else list(images)
    if isinstance(images, Sequence):
        return images
    raise DataError(f"{type(images).__name__} is no image; give paths, Pillow images or uint8 arrays")
