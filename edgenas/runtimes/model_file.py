"""ONNX files of anybody, read and checked without a runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.errors import DataError, UsageError

# The most that one protobuf message holds; a larger model keeps its weights in other files.
MAX_FILE_BYTES = 2**31 - 1


def read_model(path: Path) -> bytes:
    """Read a single-file ONNX model, checked as far as that needs no runtime.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        DataError: empty, not ONNX, without an input, or with weights in other files.
    """
    import onnx

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than 2 GB, which no ONNX file can be")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give the path of an ONNX file") from error
    if not content:
        raise DataError(f"{path}: the file is empty; export the model again")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own DecodeError, or UnicodeDecodeError, or ValueError
        raise DataError(f"{path}: not an ONNX model, or cut short; export or copy it again") from error
    # Some other files parse as a protobuf message as well, and have none of these fields.
    if not model.ir_version or not model.graph.node:
        raise DataError(f"{path}: not an ONNX model, or one without a node; export it again")
    if _keeps_data_elsewhere(model):
        raise DataError(f"{path}: keeps weights in other files; save it as one file (onnx.save without external data)")
    return content


def _keeps_data_elsewhere(message: Any) -> bool:
    """Tell whether any tensor inside a protobuf message, however nested, is stored outside the file."""
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        return bool(message.data_location == TensorProto.EXTERNAL)
    for field, value in message.ListFields():
        if field.message_type is not None:
            parts = value if field.is_repeated else [value]
            if any(_keeps_data_elsewhere(part) for part in parts):
                return True
    return False
