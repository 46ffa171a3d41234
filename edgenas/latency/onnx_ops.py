"""One ONNX node as an op of the vocabulary: the one that it is, or the one that runs most like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.graph.ops import Act, Add, Concat, Conv, GlobalPool, Linear, Op, Pool, Shape

if TYPE_CHECKING:
    import onnx

# Nodes that rename a tensor, or tell its size: nothing is moved.
VIEWS = "Reshape Flatten Squeeze Unsqueeze Identity Dropout Shape Size Constant".split()
# Nodes that write another arrangement of what they read.
COPIES = "Transpose Slice Split Gather Pad Resize Expand Tile DepthToSpace SpaceToDepth Cast".split()
ELEMENTWISE = "Mul Sub Div Sum Max Min Pow Where PRelu".split()
# Activations as the op of ours that they run like, and whether that is what they compute.
ACTS = {
    "": ("none", True),
    "Relu": ("relu", True),
    "Sigmoid": ("sigmoid", True),
    "HardSwish": ("hswish", True),
    **dict.fromkeys(("Clip", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"), ("relu6", False)),
    **dict.fromkeys(("Tanh", "QuickGelu", "Gelu", "Elu", "Selu", "Erf", "Softplus", "Exp"), ("sigmoid", False)),
}
# Position of the kernel (out, in, sides...) among the inputs of what convolves.
_WEIGHT = {"Conv": 1, "FusedConv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
_PRODUCTS = "Gemm FusedGemm MatMul FusedMatMul MatMulInteger QGemm QLinearMatMul DynamicQuantizeMatMul".split()


@dataclass(frozen=True)
class Value:
    """A tensor: its shape, the bytes of one element, and what a constant of a few numbers holds."""

    shape: tuple[int, ...]
    element_bytes: int = 4
    constant: bool = False
    content: tuple[float, ...] = ()

    @property
    def bytes(self) -> int:
        """Return what it takes in memory."""
        return prod(self.shape) * self.element_bytes

    @property
    def image(self) -> Shape:
        """Return the shape without its batch, as three sides."""
        sides = [*(max(1, side) for side in self.shape[1:]), 1, 1, 1]
        return sides[0], sides[1], prod(sides[2:])

    @property
    def is_image(self) -> bool:
        """Tell whether it is what the vocabulary computes on: (1, C, H, W) of float32, and no constant."""
        whole = len(self.shape) == 4 and self.shape[0] == 1 and prod(self.shape) > 0
        return whole and self.element_bytes == 4 and not self.constant


Values = Mapping[str, Value]
NOTHING = Value((0,))  # a tensor that never came to be


@dataclass(frozen=True)
class Match:
    """The op that a node runs like, its inputs, and whether it is what the node computes."""

    op: Op
    inputs: tuple[Shape, ...]
    exact: bool


def match(node: onnx.NodeProto, values: Values) -> Match | None:
    """Return the op of ours for one node; None if none is like it.

    Args:
        node: of a graph that a runtime has fused.
        values: every tensor by name.
    """
    read = _READERS.get(node.op_type)
    return read(node, values) if read else None


def macs(node: onnx.NodeProto, values: Values) -> int:
    """Return the MACs of one node: its outputs times the products that each sums.

    Args:
        node: any node; what neither convolves nor multiplies matrices has none.
        values: every tensor by name.
    """
    output = values.get(node.output[0], NOTHING).shape
    if node.op_type in _WEIGHT:
        weight = values.get(node.input[_WEIGHT[node.op_type]], NOTHING).shape
        # A transposed convolution spreads each input over its kernel, where others gather each output from one.
        transposed = node.op_type == "ConvTranspose"
        return prod(values.get(node.input[0], NOTHING).shape if transposed else output) * prod(weight[1:])
    if node.op_type in _PRODUCTS:
        depth = values.get(node.input[0], NOTHING).shape[-2 if attribute(node, "transA", 0) else -1 :][:1]
        return prod(output) * prod(depth)
    return 0


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value; text is decoded."""
    from onnx import helper

    for item in node.attribute:
        if item.name == name:
            value = helper.get_attribute_value(item)
            return value.decode() if isinstance(value, bytes) else value
    return default


def convolution(node: onnx.NodeProto, values: Values, act: str | None = None) -> Match | None:
    """Return the convolution of ours with nearest kernel, stride and activation; None if it is not over images.

    Args:
        node: a Conv or FusedConv.
        values: every tensor by name.
        act: the activation that is fused by other nodes; None reads the node's own.
    """
    x, weight = values.get(node.input[0], NOTHING), values.get(node.input[1], NOTHING).shape
    if len(weight) != 4 or len(x.shape) != 4:
        return None
    dilations = attribute(node, "dilations", [1, 1])
    kernel, stride, regular = _window(node, weight[2:], dilations[0] if len(set(dilations)) == 1 else 1)
    act, same = (act, True) if act else _fused_act(node)
    biased = len(node.input) == 3  # a fourth input would be a sum
    op = Conv(weight[0], kernel, stride, int(attribute(node, "group", 1)), act, max(dilations))
    return Match(op, (x.image,), regular and same and biased and x.is_image)


def _window(node: onnx.NodeProto, sides: tuple[int, ...], dilation: int = 1) -> tuple[int, int, bool]:
    """Return nearest odd kernel, stride, and whether the window is just that, with padding dilation * (kernel // 2)."""
    # A whole root may come out a little too small. The vocabulary has odd kernels alone: even ones count as the next
    # smaller.
    root = max(1, int(prod(sides) ** 0.5 + 1e-9))
    kernel = root - 1 + root % 2
    strides = attribute(node, "strides", [1, 1])
    square = tuple(sides) == (kernel, kernel) and len(set(strides)) == 1
    padded = attribute(node, "pads", [0] * 4) == [dilation * (kernel // 2)] * 4
    plain = attribute(node, "dilations", [1, 1]) == [dilation] * 2 and attribute(node, "auto_pad", "NOTSET") == "NOTSET"
    return kernel, max(1, round(prod(strides) ** 0.5)), square and padded and plain


def _fused_act(node: onnx.NodeProto) -> tuple[str, bool]:
    name = attribute(node, "activation", "")
    return _clip(attribute(node, "activation_params", [])) if name == "Clip" else ACTS.get(name, ("relu6", False))


def _clip(bounds: list[float]) -> tuple[str, bool]:
    return "relu6", bounds == [0.0, 6.0]


def _pool(node: onnx.NodeProto, values: Values) -> Match | None:
    x, sides = values.get(node.input[0], NOTHING), attribute(node, "kernel_shape", [])
    if len(x.shape) != 4 or len(sides) != 2:
        return None
    kernel, stride, regular = _window(node, tuple(sides))
    mode = "max" if node.op_type == "MaxPool" else "avg"
    left_out = mode == "max" or not attribute(node, "count_include_pad", 0)
    return Match(Pool(mode, kernel, stride), (x.image,), regular and left_out and len(node.output) == 1 and x.is_image)


def _mean(node: onnx.NodeProto, values: Values) -> Match | None:
    x, y = (values.get(name, NOTHING) for name in (node.input[0], node.output[0]))
    if len(x.shape) != 4 or prod(y.shape) != prod(x.shape[:2]):
        return None
    return Match(GlobalPool(), (x.image,), node.op_type == "GlobalAveragePool" and x.is_image)


def _linear(node: onnx.NodeProto, values: Values) -> Match | None:
    x, weight, y = (values.get(name, NOTHING) for name in (node.input[0], node.input[1], node.output[0]))
    if not weight.constant or len(weight.shape) != 2 or not prod(y.shape):
        return None
    out = y.shape[-1]
    depth = prod(weight.shape) // out
    scaled = attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1 or attribute(node, "transA", 0)
    exact = node.op_type == "Gemm" and len(node.input) == 3 and not scaled and x.element_bytes == 4
    return Match(Linear(out), ((depth, 1, 1),), exact and x.shape == (1, depth))


def _add(node: onnx.NodeProto, values: Values) -> Match | None:
    y = values.get(node.output[0], NOTHING)
    same = all(values.get(name, NOTHING).shape == y.shape for name in node.input)
    images = all(values.get(name, NOTHING).is_image for name in node.input)
    return Match(Add(), (y.image, y.image), node.op_type == "Add" and len(node.input) == 2 and same and images)


def _act(node: onnx.NodeProto, values: Values) -> Match | None:
    x = values.get(node.input[0], NOTHING)
    bounds = [number for name in node.input[1:] for number in values.get(name, NOTHING).content]
    act, same = _clip(bounds) if node.op_type == "Clip" else ACTS[node.op_type]
    return Match(Act(act), (x.image,), same and x.is_image)


def _concat(node: onnx.NodeProto, values: Values) -> Match | None:
    inputs = [values.get(name, NOTHING) for name in node.input]
    if attribute(node, "axis", 1) == 1 and all(value.is_image for value in inputs):
        return Match(Concat(), tuple(value.image for value in inputs), True)
    return _copy(node, values)


def _copy(node: onnx.NodeProto, values: Values) -> Match | None:
    return Match(Concat(), (values.get(node.output[0], NOTHING).image,), False)


_READERS: dict[str, Callable[[Any, Values], Match | None]] = {
    **dict.fromkeys(("Conv", "FusedConv"), convolution),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean"), _mean),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMul", "FusedMatMul"), _linear),
    **dict.fromkeys(("Add", *ELEMENTWISE), _add),
    **dict.fromkeys((name for name in ACTS if name), _act),
    **dict.fromkeys(COPIES, _copy),
    "Concat": _concat,
}


def constant_value(array: np.ndarray[Any, Any]) -> Value:
    """Return the Value of an initializer."""
    # Only the bounds of a Clip are ever looked at: weights need not be kept.
    few = array.size <= 4 and array.dtype.kind in "fiu"
    return Value(array.shape, array.itemsize, True, tuple(map(float, array.ravel())) if few else ())
