"""The one ONNX writer: a Graph and its folded weights in, a ModelProto out; for winners, probes and correction nets.

Opset 18, IR 8, one file, static batch 1: what onnxruntime takes from 1.15 on, and what NNAPI and Core ML need, which
run no node of a model with a dynamic dimension. The same graph and weights give the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from edgenas.errors import ExportError
from edgenas.exporters.onnx_writers import WRITERS, Array, Program, Weights
from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import Input, Linear, Shape

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 18, 8  # the reasons are in the docstring above
OUTPUT = "logits"  # name of the output in every file


def to_onnx(graph: Graph, weights: Weights, *, batch: int | None = 1, name: str = "network") -> onnx.ModelProto:
    """Return the model of a graph.

    Each Input node is an input of its name (`input` in every space), float32 (batch, C, H, W). The output `logits` is
    (batch, classes); that of a graph that does not end in (C, 1, 1) is (batch, C, H, W).

    Args:
        graph: of one architecture.
        weights: `<node name>.<parameter>` in the shapes of `Node.parameters`, batch norm folded.
        batch: images in a batch; None is dynamic.
        name: of the ONNX graph.

    Raises:
        ExportError: a weight is missing or has another shape; or `graph` is a supergraph.
    """
    from onnx import TensorProto, helper

    program = Program(graph, weights, batch)
    values: dict[str, str] = {}
    for node in graph:
        write = WRITERS.get(type(node.op))
        if write is None:
            raise ExportError(f"{node.name!r} is a {node.op.kind!r}, no ONNX op; export the graph of one architecture")
        values[node.name] = write(program, node, *(values[source] for source in node.inputs))

    last = graph.output
    shape = last.shape[:1] if last.shape[1:] == (1, 1) else last.shape
    if len(shape) == 1 and not isinstance(last.op, Linear):
        program.add("Flatten", "flat", values[last.name], axis=1)
    elif isinstance(last.op, Input):  # an input cannot be renamed to be the output
        program.add("Identity", "identity", values[last.name])
    # Writers name a tensor by its node, and whatever was written last gives the output.
    program.nodes[-1].output[0] = OUTPUT

    side = "batch" if batch is None else batch
    sources = [node for node in graph if isinstance(node.op, Input)]
    inputs = [helper.make_tensor_value_info(n.name, TensorProto.FLOAT, [side, *n.shape]) for n in sources]
    result = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [side, *shape])
    body = helper.make_graph(program.nodes, name, inputs, [result], list(program.initializers.values()))
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def written(node: Node, *inputs: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and tensors that a node adds to a model, with zeros for weights: for their size.

    Args:
        node: any but the output.
        inputs: names of the tensors that it reads.
    """
    weights = {f"{node.name}.{name}": np.zeros(shape, np.float32) for name, shape in node.parameters.items()}
    # Any graph whose output is another node: an op is written otherwise where it is the output.
    program = Program(identity((1, 1, 1)), weights, 1)
    WRITERS[type(node.op)](program, node, *inputs)
    return program.nodes, list(program.initializers.values())


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Return the file's content, the same bytes for equal models."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def probe(node: Node) -> Graph:
    """Return the graph of one node alone, with an Input for each of its inputs.

    It exists to be timed; nodes of one key give the same graph.
    """
    names = ["input", *(f"input{i}" for i in range(1, len(node.in_shapes)))]
    inputs = [Node(name, Input(), (), (), shape, name) for name, shape in zip(names, node.in_shapes, strict=True)]
    return Graph((*inputs, replace(node, name="op", weights="op", inputs=tuple(names))))


def identity(shape: Shape) -> Graph:
    """Return the graph that returns its input, which takes the time of a call alone."""
    return Graph((Node("input", Input(), (), (), shape, "input"),))


def random_weights(graph: Graph, rng: np.random.Generator) -> dict[str, Array]:
    """Return weights for timing, by `<node name>.<parameter>`.

    Their variance is 2 / fan-in (He et al., 2015, arXiv:1502.01852), which keeps activations in a normal range through
    the depth: denormal numbers run many times slower.
    """
    weights = {}
    for node in graph:
        # Parameters with one dimension are biases, of which a small value serves as well as any.
        for name, shape in node.parameters.items():
            scale = sqrt(2 / prod(shape[1:])) if len(shape) > 1 else 0.1
            weights[f"{node.name}.{name}"] = rng.standard_normal(shape, np.float32) * np.float32(scale)
    return weights
