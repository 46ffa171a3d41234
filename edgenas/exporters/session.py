"""Run a model given as bytes, for checks; timing is the runtimes' business."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.runtimes import onnxruntime as runtime

Array = np.ndarray[Any, Any]


def outputs(model: bytes, inputs: Array) -> Array:
    """Return a model's first output for n images, one image a call, joined along the batch: (n, ...).

    Args:
        model: the file, with a batch of 1.
        inputs: preprocessed images (n, C, H, W).

    Raises:
        DataError: onnxruntime cannot load or run the model.
    """
    session = runtime.open(model)
    try:
        return np.concatenate([session.run(np.ascontiguousarray(image[None]))[0] for image in inputs])
    finally:
        session.close()


def first_line(error: Exception) -> str:
    """Return the first line of a foreign library's error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
