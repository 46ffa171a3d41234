"""The kernels of any ONNX file, read in a process of its own from what the runtime makes of it.

The level is onnxruntime's *extended* one: convolutions are fused with their activations, as on every device, and the
layouts of one processor (NCHWc) are not there yet. Shapes come from one run, so that any op has them.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.cost.counts import Counts
from edgenas.errors import DataError
from edgenas.latency.forecast import Kernel
from edgenas.latency.onnx_ops import Value, constant_value
from edgenas.system.records import Json
from edgenas.system.subprocesses import Send, run_worker, serve_request

if TYPE_CHECKING:
    import onnx

LIMIT_S = 120.0  # a file that takes longer to load and to run once is not for an edge device


def read_kernels(path: Path) -> list[Kernel]:
    """Read the kernels of an ONNX file, at batch 1 where that is free.

    Raises:
        DataError: not a single-file ONNX model that onnxruntime can load and run.
        EnvironmentFault: it does not run within two minutes.
    """
    reply = run_worker("edgenas.latency.onnx_file", {"path": os.fspath(path)}, limit_s=LIMIT_S, done="read")
    return [Kernel(**{**fields, "counts": Counts(**fields["counts"])}) for fields in reply["kernels"]]


def kernels_of(content: bytes) -> list[Kernel]:
    """Read the kernels of a model in this process; only for models that edgenas made itself.

    Raises:
        DataError: onnxruntime cannot load or run it, or it computes nothing.
    """
    import onnx

    from edgenas.latency.onnx_fused import kernels
    from edgenas.runtimes import onnxruntime as runtime

    model = onnx.load_model_from_string(runtime.fused(content))
    found = kernels(model.graph.node, _values(model)) if model.graph.node else []
    if not found:
        raise DataError("computes nothing; there is no kernel to price")
    return found


def _check_sizes(path: Path, content: bytes) -> None:
    """Raise DataError if an input leaves more than its batch open: a network of 1x1 images says nothing."""
    import onnx

    graph = onnx.load_model_from_string(content).graph
    # Files of IR 3 and before list their constants among the inputs.
    constants = {tensor.name for tensor in graph.initializer}
    for port in graph.input:
        shape = port.type.tensor_type.shape.dim
        free = [i for i, size in enumerate(shape) if i and not size.HasField("dim_value")]
        if free and port.name not in constants:
            raise DataError(
                f"{path}: input {port.name!r} leaves its size open in dimension {free[0]}; fix it, for example by "
                "`python -m onnxruntime.tools.make_dynamic_shape_fixed`"
            )


def _values(model: onnx.ModelProto) -> dict[str, Value]:
    """Describe every tensor of the main graph: constants by themselves, the others by what one run makes of them."""
    from onnx import ModelProto, ValueInfoProto, numpy_helper

    from edgenas.runtimes import onnxruntime as runtime

    watched = ModelProto()
    watched.CopyFrom(model)  # with every tensor as an output, one run shows the shapes that inference may not know
    declared = {output.name for output in model.graph.output}
    made = dict.fromkeys(name for node in model.graph.node for name in node.output if name and name not in declared)
    watched.graph.output.extend(ValueInfoProto(name=name) for name in made)
    session = runtime.open(watched.SerializeToString())
    try:
        ports, arrays = session.describe(), session.run()
    finally:
        session.close()
    # An input whose type numpy has no name for could not have been fed.
    values = {port.name: Value(port.shape, np.dtype(port.dtype).itemsize) for port in ports.inputs}
    for port, array in zip(ports.outputs, arrays, strict=True):
        if isinstance(array, np.ndarray):  # no sequence or map
            values[port.name] = Value(array.shape, array.itemsize)
    constants = {tensor.name: constant_value(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
    return values | constants


def _answer(request: Json, send: Send) -> None:
    """Serve one request of `read_kernels`."""
    from edgenas.runtimes.model_file import read_model

    path = Path(request["path"])
    send(file=os.fspath(path))
    content = read_model(path)
    _check_sizes(path, content)
    try:
        found = kernels_of(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    send(kernels=[asdict(kernel) for kernel in found])


if __name__ == "__main__":
    serve_request(_answer)
