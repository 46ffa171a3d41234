"""Parity check: a written model gives the outputs of its network, and tells nothing of the machine that wrote it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.errors import ExportError
from edgenas.exporters.onnx import IR_VERSION, OPSET, to_bytes
from edgenas.exporters.session import first_line, outputs

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-4  # difference of an output, as a share of the largest one (of 1, where that is smaller): 10 x TIE
TIE = 1e-5  # classes this close, on that scale, are level: float32 noise between two implementations stays below
MIN_SAME_ARGMAX = 0.999  # share of the inputs whose class is the same, at least
MIN_WORD = 5  # letters: shorter words turn up among the weights by chance


@dataclass(frozen=True)
class Difference:
    """How far a model's outputs are from the network's: the largest absolute difference, the share of equal arg-max."""

    largest_difference: float
    same_argmax: float


def check_parity(model: onnx.ModelProto | bytes, network: Callable[[Array], Array], inputs: Array) -> Difference:
    """Compare a model in onnxruntime with the network that it was written from.

    A class counts as the same arg-max if the network itself puts it level with its best to within float noise.

    Args:
        model: what was written.
        network: a function of (n, C, H, W) that gives (n, classes).
        inputs: preprocessed images (n, C, H, W).

    Raises:
        ExportError: onnx.checker or onnxruntime refuses the model; its opset or IR is not ours; an output is not
            finite, or differs by over 1e-4 (of the largest output, where that is above 1); or the arg-max differs on
            more than 0.1 % of the inputs.
    """
    import onnx

    data = model if isinstance(model, bytes) else to_bytes(model)
    try:
        onnx.checker.check_model(data, full_check=True)
        got = outputs(data, inputs)
    except Exception as error:  # protobuf, onnx and onnxruntime share no base class
        raise ExportError(f"the exported model does not run: {first_line(error)}; please report it") from error
    _check_format(onnx.load_from_string(data))
    expected = np.asarray(network(inputs))
    if got.shape != expected.shape:
        raise ExportError(f"the exported model gives {got.shape}, the network {expected.shape}; please report it")
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        raise ExportError("the network or its exported model gives nan or infinity; train it again at a lower rate")
    scale = max(1.0, float(np.abs(expected).max()))
    # What the network itself gives the class that the model chose.
    chosen = np.take_along_axis(expected, got.argmax(1)[:, None], axis=1)[:, 0]
    same = chosen >= expected.max(1) - TIE * scale
    difference = Difference(float(np.abs(got - expected).max()), float(same.mean()))
    if difference.largest_difference > TOLERANCE * scale or difference.same_argmax < MIN_SAME_ARGMAX:
        raise ExportError(
            f"the exported model differs from the network by {difference.largest_difference:.2g} "
            f"(at most {TOLERANCE * scale:.2g}), same class on {difference.same_argmax:.1%}; it is kept as .rejected"
        )
    return difference


def _check_format(model: onnx.ModelProto) -> None:
    """Check that the quantiser, too, kept to the opset and IR that old runtimes load."""
    # A foreign domain is enough for older runtimes to refuse a file, even if no node uses it.
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if opsets != {"": OPSET} or model.ir_version != IR_VERSION:
        raise ExportError(
            f"the exported model has opsets {opsets} and IR {model.ir_version}, not opset {OPSET} and IR {IR_VERSION}, "
            "which phones' runtimes load; please report it"
        )


def private_words() -> list[str]:
    """Return what a file must not tell of the machine that wrote it: working directory, home, host name."""
    return [os.getcwd(), os.path.expanduser("~"), socket.gethostname()]


def check_private(model: bytes, words: Iterable[str] | None = None) -> None:
    """Check that a file contains none of some words of five letters or more.

    Args:
        model: the file.
        words: None stands for `private_words()`.

    Raises:
        ExportError: it contains one.
    """
    for word in private_words() if words is None else words:
        # In the bytes that the file system has: a path need not be valid text.
        if len(word) >= MIN_WORD and os.fsencode(word) in model:
            raise ExportError(f"the exported model contains {word!r}; it is kept as .rejected, please report it")
