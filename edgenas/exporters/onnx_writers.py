"""What each op is in ONNX: one function an op appends its nodes and weights to a `Program`.

Hard-swish is HardSigmoid and Mul. NNAPI and Core ML's older format lack HardSigmoid; Add, Clip, Mul, Mul are on their
lists, but made convolution, activation, convolution 15 to 23 % slower in onnxruntime 1.31 on a CPU (three sizes, 14 to
56 pixels a side). A HardSwish node is as fast: onnxruntime expands it to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.errors import ExportError
from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import (
    Act,
    Add,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Input,
    Linear,
    Op,
    Pool,
    SqueezeExcite,
    Zero,
)

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Array]


HARD = {"alpha": 1 / 6, "beta": 0.5}  # the hard sigmoid of torch; ONNX's own slope is another


class Program:
    """ONNX nodes and initializers so far. A node of ours becomes one or more of theirs; tensors are `<name>.out`."""

    def __init__(self, graph: Graph, weights: Weights, batch: int | None) -> None:
        """Begin without nodes.

        Args:
            graph: what is to be written.
            weights: by `<node name>.<parameter>`.
            batch: images in a batch; None is dynamic.
        """
        self.input, self.output, self.batch = graph.input.name, graph.output.name, batch
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._weights = weights

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Append an ONNX node, and return the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [f"{name}.out"], name, **attributes))
        return f"{name}.out"

    def constant(self, name: str, value: Array) -> str:
        """Return the name of an initializer, which is written once however often it is needed."""
        from onnx import numpy_helper

        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(value, name)
        return name

    def parameters(self, node: Node) -> list[str]:
        """Return initializers for all parameters of `node`, in their order."""
        return [self._parameter(f"{node.name}.{name}", shape) for name, shape in node.parameters.items()]

    def halves(self, node: Node) -> list[list[str]]:
        """Return initializers for the first and the second half of the outputs of `node`."""
        whole = {name: self._value(f"{node.name}.{name}", shape) for name, shape in node.parameters.items()}
        return [
            [
                self.constant(f"{node.name}.{half}.{name}", value[i : i + len(value) // 2])
                for name, value in whole.items()
            ]
            for half, i in (("even", 0), ("odd", node.shape[0] // 2))
        ]

    def _parameter(self, name: str, shape: tuple[int, ...]) -> str:
        return self.constant(name, self._value(name, shape))

    def _value(self, name: str, shape: tuple[int, ...]) -> Array:
        if name not in self._weights:
            raise ExportError(f"weight {name!r} is missing; pass the weights of the same graph, batch norm folded")
        value = np.ascontiguousarray(self._weights[name], np.float32)
        if value.shape != shape:
            raise ExportError(f"weight {name!r} is {value.shape}, not {shape}; pass the weights of the same graph")
        return value

    def activation(self, act: str, name: str, x: str) -> str:
        """Append one of ops.ACTIVATIONS, applied to `x`."""
        if act == "none":
            return x
        if act == "relu":
            return self.add("Relu", name, x)
        if act == "sigmoid":
            return self.add("Sigmoid", name, x)
        if act == "silu":
            return self.add("Mul", name, x, self.add("Sigmoid", f"{name}.gate", x))
        if act == "hsigmoid":
            return self.add("HardSigmoid", name, x, **HARD)
        if act == "relu6":
            bounds = (
                self.constant("clip.min", np.array(0, np.float32)),
                self.constant("clip.max", np.array(6, np.float32)),
            )
            return self.add("Clip", name, x, *bounds)
        # PyTorch's hard-swish is x relu6(x + 3) / 6.
        gate = self.add("HardSigmoid", f"{name}.gate", x, **HARD)
        return self.add("Mul", name, x, gate)


def _input(program: Program, node: Node) -> str:
    return node.name


def _conv(program: Program, node: Node, x: str) -> str:
    op = node.op
    assert isinstance(op, Conv)
    dilated = {"dilations": [op.dilation] * 2} if op.dilation > 1 else {}
    x = program.add(
        "Conv",
        node.name,
        x,
        *program.parameters(node),
        group=op.groups,
        **dilated,
        **_window(op.kernel, op.stride, *map(op.padding, node.in_shapes[0][1:])),
    )
    return program.activation(op.act, f"{node.name}.{op.act}", x)


def _factorized_reduce(program: Program, node: Node, x: str) -> str:
    name, op = node.name, node.op
    assert isinstance(op, FactorizedReduce)
    halves = program.halves(node)
    starts, ends, axes = (
        program.constant(f"shift.{part}", np.array(values, np.int64))
        for part, values in (("starts", [1, 1]), ("ends", [2**31 - 1] * 2), ("axes", [2, 3]))
    )
    shifted = program.add("Slice", f"{name}.shifted", x, starts, ends, axes)
    even = program.add("Conv", f"{name}.even", x, *halves[0], kernel_shape=[1, 1], strides=[2, 2])
    # A side that was odd is one short, so that the last pixel lies beyond it; else that pixel is not reached.
    odd = program.add(
        "Conv", f"{name}.odd", shifted, *halves[1], kernel_shape=[1, 1], strides=[2, 2], pads=[0, 0, 1, 1]
    )
    return program.add("Concat", name, even, odd, axis=1)


def _pool(program: Program, node: Node, x: str) -> str:
    op = node.op
    assert isinstance(op, Pool)
    window = _window(op.kernel, op.stride, (op.padding,) * 2, (op.padding,) * 2)
    if op.mode == "max":
        # The mean is over pixels of the image alone, as `nn.layers` trains it.
        return program.add("MaxPool", node.name, x, **window)
    return program.add("AveragePool", node.name, x, count_include_pad=0, **window)


def _window(kernel: int, stride: int, rows: tuple[int, int], columns: tuple[int, int]) -> dict[str, list[int]]:
    """Attributes of a window; ONNX has the padding before all sides first."""
    pads = [rows[0], columns[0], rows[1], columns[1]]
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}


def _act(program: Program, node: Node, x: str) -> str:
    assert isinstance(node.op, Act)
    if node.op.act == "none":
        return program.add("Identity", node.name, x)
    return program.activation(node.op.act, node.name, x)


def _linear(program: Program, node: Node, x: str) -> str:
    flat = program.add("Flatten", f"{node.name}.flat", x, axis=1)
    y = program.add("Gemm", node.name, flat, *program.parameters(node), transB=1)
    if node.name == program.output:
        return y
    # Inside a network every value is an image; the 0 keeps the batch as it is.
    image = program.constant("image", np.array([0, -1, 1, 1], np.int64))
    return program.add("Reshape", f"{node.name}.image", y, image)


def _global_pool(program: Program, node: Node, x: str) -> str:
    return program.add("GlobalAveragePool", node.name, x)


def _squeeze_excite(program: Program, node: Node, x: str) -> str:
    name, op = node.name, node.op
    assert isinstance(op, SqueezeExcite)
    reduce_weight, reduce_bias, expand_weight, expand_bias = program.parameters(node)
    y = program.add("GlobalAveragePool", f"{name}.mean", x)
    y = program.add("Conv", f"{name}.reduce", y, reduce_weight, reduce_bias, kernel_shape=[1, 1])
    y = program.activation(op.act, f"{name}.{op.act}", y)
    y = program.add("Conv", f"{name}.expand", y, expand_weight, expand_bias, kernel_shape=[1, 1])
    y = program.activation(op.gate, f"{name}.gate", y)
    return program.add("Mul", name, x, y)


def _add(program: Program, node: Node, x: str, y: str) -> str:
    return program.add("Add", node.name, x, y)


def _concat(program: Program, node: Node, *xs: str) -> str:
    return program.add("Concat", node.name, *xs, axis=1)


def _zero(program: Program, node: Node, x: str) -> str:
    # A dynamic batch is known at run time only, by the input.
    if program.batch is None:
        batch = program.add("Shape", f"{node.name}.batch", program.input, start=0, end=1)
        sides = program.constant(f"{node.name}.sides", np.array(node.shape, np.int64))
        shape = program.add("Concat", f"{node.name}.shape", batch, sides, axis=0)
    else:
        shape = program.constant(f"{node.name}.shape", np.array([program.batch, *node.shape], np.int64))
    return program.add("ConstantOfShape", node.name, shape)


WRITERS: Mapping[type[Op], Callable[..., str]] = {
    Input: _input,
    Conv: _conv,
    FactorizedReduce: _factorized_reduce,
    Pool: _pool,
    Act: _act,
    Linear: _linear,
    GlobalPool: _global_pool,
    SqueezeExcite: _squeeze_excite,
    Add: _add,
    Concat: _concat,
    Zero: _zero,
}
