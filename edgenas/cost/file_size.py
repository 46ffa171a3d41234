"""How large a model's file will be, before there is one: an upper bound, close, node by node.

Each node is written as `onnx.py` writes it, reading tensors of the longest names that they may have in any network of
the space. The int8 file is what onnxruntime's quantiser makes of that: pairs of quantise and dequantise around every
tensor, and scales and zero points for every channel of the weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgenas.cost.base import AdditiveCost
from edgenas.exporters.metadata import Precision
from edgenas.exporters.onnx import written
from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import Add, Choose, Concat, Conv, Linear, Zero
from edgenas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import onnx

# Bytes of header, graph, input, output, what is written once for all nodes, and the quantise-dequantise pair of the
# image: rounded up from files.
ENVELOPE: dict[Precision, float] = {"fp32": 500.0, "int8": 1200.0}
DEQUANTIZED = "_DequantizeLinear_Output"  # how the quantiser's names of tensors end
REMOVED = ("Relu", "Clip")  # the quantiser lets the range of the node before them do their work


class FileBytes(AdditiveCost):
    """Bytes of the ONNX file in a precision; the file never has more."""

    metric = "file_bytes"

    def __init__(self, space: SearchSpace, precision: Precision = "fp32") -> None:
        """Prepare for networks of `space`: the longest names in its programs bound those in their files."""
        self.precision: Precision = precision
        self.intercept = ENVELOPE[precision]
        self._reads: dict[str, tuple[int, ...]] = {}  # by node: longest name of each tensor that it reads
        for statics in space.all_statics():
            for name, lengths in _longest_reads(space.supergraph(statics)):
                known = self._reads.get(name, ())
                self._reads[name] = tuple(map(max, itertools.zip_longest(known, lengths, fillvalue=0)))
        self._known: dict[tuple[str, int, tuple[int, ...]], float] = {}

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the bytes (n,) that each node adds, its weights among them."""
        return np.array([self._bytes(node) for node in nodes], dtype=np.float64)

    def _bytes(self, node: Node) -> float:
        reads = self._reads[node.name][: len(node.inputs)]
        key = node.key, len(node.name), reads  # which letters a name is of adds nothing
        if key not in self._known:
            zeros = _possible_zeros(node)
            bytes_of_zeros = (self._written(zero, [len("input")]) for zero in zeros)
            longest = [max(length, len(f"{node.name}.zero0.out")) for length in reads] if zeros else reads
            self._known[key] = float(self._written(node, longest) + sum(bytes_of_zeros))
        return self._known[key]

    def _written(self, node: Node, lengths: Sequence[int]) -> int:
        nodes, tensors = written(node, *("x" * length for length in lengths))
        if self.precision == "int8":
            nodes, tensors = _quantized(nodes, tensors)
        return sum(map(_framed, nodes)) + sum(map(_framed, tensors))


def _longest_reads(supergraph: Graph) -> Iterator[tuple[str, list[int]]]:
    """Iterate over the nodes' names, with the longest name that each tensor they read has in any network."""
    longest: dict[str, int] = {}
    for node in supergraph:
        reads = [longest[name] for name in node.inputs]
        yield node.name, reads
        passed = reads if isinstance(node.op, Choose | Add) else []  # a sum with zeros is its other term
        act = f".{node.op.act}" if isinstance(node.op, Conv) and node.op.act != "none" else ""
        view = ".image" if isinstance(node.op, Linear) else ""
        longest[node.name] = max([len(f"{node.name}{act}{view}.out"), *passed])


def _possible_zeros(node: Node) -> list[Node]:
    """Return the zeros that are written in place of a node's inputs, in some architectures."""
    if not isinstance(node.op, Concat | Linear):
        return []
    shapes = enumerate(node.in_shapes)
    return [Node(f"{node.name}.zero{i}", Zero(), ("input",), (shape,), shape, "") for i, shape in shapes]


def _framed(message: onnx.NodeProto | onnx.TensorProto) -> int:
    """Return the bytes of a message inside another: its tag, its length and itself."""
    size = int(message.ByteSize())
    # protobuf writes a length in 7 bits a byte.
    return 1 + -(-max(1, size.bit_length()) // 7) + size


def _quantized(
    nodes: Sequence[onnx.NodeProto], tensors: Sequence[onnx.TensorProto]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return what onnxruntime's quantiser makes of nodes and tensors, at most."""
    from onnx import TensorProto

    kept: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type in REMOVED and kept and node.input[0] == kept[-1].output[0]:
            kept[-1].output[0] = node.output[0]
        else:
            kept.append(node)
    made, parts = list(kept), []
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT and tensor.dims:
            reader, pieces = _quantized_weight(tensor)
            made.append(reader)
            parts += pieces
        else:
            parts.append(tensor)
    for node in kept:
        pair, pieces = _pair(node.output[0])
        made += pair
        parts += pieces
        node.input[:] = [name if name.endswith("bias") else name + DEQUANTIZED for name in node.input]
    return made, parts


def _quantized_weight(tensor: onnx.TensorProto) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """Return the node that reads a quantised weight, and its tensors.

    A kernel has 8 bits and a bias 32; both have a scale and a zero point for each channel.
    """
    from onnx import TensorProto, helper, numpy_helper

    name, shape = tensor.name, tuple(tensor.dims)
    is_bias = len(shape) == 1
    kind = np.int32 if is_bias else np.int8
    prefix = f"{name}_quantized" if is_bias else name
    scale, zero_point = f"{prefix}_scale", f"{prefix}_zero_point"
    parts = [
        numpy_helper.from_array(np.zeros(shape, kind), f"{name}_quantized"),
        numpy_helper.from_array(np.zeros(shape[0], np.float32), scale),
        # Not raw: a byte for each zero, or four.
        numpy_helper.from_array(np.zeros(shape[0], kind), zero_point)
        if is_bias
        else helper.make_tensor(zero_point, TensorProto.INT8, shape[:1], np.zeros(shape[0], np.int8)),
    ]
    made = name if is_bias else name + DEQUANTIZED
    inputs = [f"{name}_quantized", scale, zero_point]
    return helper.make_node("DequantizeLinear", inputs, [made], f"{name}_DequantizeLinear", axis=0), parts


def _pair(name: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes that quantise and dequantise a tensor, and their scale and zero point."""
    from onnx import TensorProto, helper

    scale, zero_point = f"{name}_scale", f"{name}_zero_point"
    quantized = f"{name}_QuantizeLinear_Output"
    nodes = [
        helper.make_node("QuantizeLinear", [name, scale, zero_point], [quantized], f"{name}_QuantizeLinear"),
        helper.make_node(
            "DequantizeLinear", [quantized, scale, zero_point], [name + DEQUANTIZED], f"{name}_DequantizeLinear"
        ),
    ]
    tensors = [
        helper.make_tensor(scale, TensorProto.FLOAT, [], [0.1]),
        # The largest zero point takes the most bytes, two.
        helper.make_tensor(zero_point, TensorProto.UINT8, [], [255]),
    ]
    return nodes, tensors
