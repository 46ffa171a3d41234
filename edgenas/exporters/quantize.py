"""An int8 model from a float one: onnxruntime's static quantisation, and how well it went.

Quantise-dequantise pairs around each op, weights per channel, activations unsigned and weights signed (U8S8): on x86
S8S8 runs several times slower, and ARM runs either. x86 without VNNI adds pairs of products in 16 bits, which saturate
unless weights keep to 7 bits (`reduce_range`): 26 dB of signal to noise against 40 to 45.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.errors import ExportError
from edgenas.exporters.onnx import IR_VERSION, to_bytes
from edgenas.exporters.session import first_line

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

# Below this, int8 is of no use: the error has a tenth of the outputs' amplitude, which moves close decisions.
MIN_SIGNAL_TO_NOISE_DB = 20.0


def quantize(model: bytes, calibration: Iterable[Array | tuple[Array, ...]], *, reduce_range: bool) -> bytes:
    """Return the int8 model of a float one, in the same opset and IR; equal arguments give equal bytes.

    Args:
        model: the float model's file.
        calibration: preprocessed training images, float32 (1, C, H, W), a hundred or so; tuples of inputs for a model
            of several inputs. An activation's range is that from its smallest to its largest value over all of them.
        reduce_range: whether weights keep to 7 bits, which x86 without VNNI needs.

    Raises:
        ExportError: no calibration image, or onnxruntime cannot quantise the model.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, at the first import
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="edgenas-int8-") as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        try:
            original = onnx.load_from_string(model)
            # The quantiser reads its model from a file and writes the result to another.
            source.write_bytes(_without_advice(model))
            quantize_static(
                source,
                target,
                _Reader([value.name for value in original.graph.input], calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=reduce_range,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # the quantiser, onnx and onnxruntime share no base class
            raise ExportError(f"int8 quantisation failed: {first_line(error)}; use the float model") from error
        return to_bytes(_cleaned(onnx.load(target), original))


class _Reader:
    """Feeds inputs one by one, then None: what onnxruntime asks of a CalibrationDataReader."""

    def __init__(self, names: Sequence[str], images: Iterable[Array | tuple[Array, ...]]) -> None:
        self._names, self._images = names, iter(images)

    def get_next(self) -> dict[str, Array] | None:
        """Return the feed of the next image."""
        image = next(self._images, None)
        if image is None:
            return None
        arrays = image if isinstance(image, tuple) else (image,)
        return {name: np.ascontiguousarray(x, np.float32) for name, x in zip(self._names, arrays, strict=True)}


def _without_advice(model: bytes) -> bytes:
    """Return `model`, marked so that the quantiser logs no advice to fuse batch norms: our models have none."""
    import onnx
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    marked = onnx.load_from_string(model)
    add_pre_process_metadata(marked)
    return to_bytes(marked)


def _cleaned(quantized: onnx.ModelProto, original: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the quantiser's traces, and opset domains that no node uses, which older runtimes refuse."""
    used = {node.domain for node in quantized.graph.node}
    kept = [opset for opset in quantized.opset_import if opset.domain in used]
    del quantized.opset_import[:]
    quantized.opset_import.extend(kept)
    # Its marks and its shapes of inner tensors are of its making, and of no use to a runtime.
    del quantized.metadata_props[:]
    del quantized.graph.value_info[:]
    quantized.ir_version = IR_VERSION
    quantized.producer_name, quantized.producer_version = original.producer_name, original.producer_version
    quantized.graph.name = original.graph.name
    return quantized


def signal_to_noise_db(reference: Array, outputs: Array) -> float:
    """Return the power of `reference` over that of the difference, in dB.

    It is infinite without a difference, and nan if either array has nan.
    """
    reference = np.asarray(reference, np.float64)
    noise = float(np.square(reference - outputs).sum())
    signal = float(np.square(reference).sum())
    if noise == 0:
        return float("inf")
    # A reference of zeros has no logarithm: the smallest number stands for it.
    return float(10 * np.log10(max(signal, np.finfo(float).tiny) / noise))


def collapse(reference: Array, outputs: Array) -> str | None:
    """Return why int8 outputs are useless, or None if they are not.

    Args:
        reference: the float model's outputs, (n, classes).
        outputs: the int8 model's, (n, classes).
    """
    if len(outputs) > 1 and np.ptp(outputs, axis=0).max() == 0:
        return "int8 gives the same output for every image"
    ratio_db = signal_to_noise_db(reference, outputs)
    # `not >=` instead of `<`: nan is a collapse, too.
    if not ratio_db >= MIN_SIGNAL_TO_NOISE_DB:
        return f"int8 has {ratio_db:.1f} dB of signal to noise, at least {MIN_SIGNAL_TO_NOISE_DB:g} are needed"
    return None
