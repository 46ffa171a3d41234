"""One ONNX node as an op of the vocabulary: a table of what is exactly one, what only runs like one, and its MACs."""

import pytest
from onnx import helper

from edgenas.graph.ops import Act, Add, Concat, Conv, GlobalPool, Linear, Pool
from edgenas.latency.onnx_ops import VIEWS, Match, Value, macs, match

X = (1, 8, 10, 10)


def conv(weight, **attributes):
    pads = attributes.pop("pads", [weight[2] // 2] * 4)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=pads, **attributes)
    return node, {"w": Value(weight, constant=True), "b": Value(weight[:1], constant=True)}


def act(kind, *constants, **attributes):
    names = [f"c{i}" for i in range(len(constants))]
    values = {name: Value((), constant=True, content=(number,)) for name, number in zip(names, constants, strict=True)}
    return helper.make_node(kind, ["x", *names], ["y"], **attributes), values


def gemm(**attributes):
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], **attributes)
    return node, {"x": Value((1, 64)), "w": Value((10, 64), constant=True), "y": Value((1, 10))}


def pool(kind, **attributes):
    return helper.make_node(kind, ["x"], ["y"], **{"kernel_shape": [3, 3], "pads": [1] * 4, **attributes}), {}


@pytest.mark.parametrize(
    "case, op, exact",
    [
        (conv((16, 8, 3, 3)), Conv(16, 3, 1, 1, "none"), True),
        (conv((16, 8, 3, 3), strides=[2, 2]), Conv(16, 3, 2, 1, "none"), True),
        (conv((8, 1, 5, 5), group=8), Conv(8, 5, 1, 8, "none"), True),
        (conv((16, 8, 3, 3), pads=[0] * 4), Conv(16, 3, 1, 1, "none"), False),
        (conv((16, 8, 4, 4), pads=[1] * 4), Conv(16, 3, 1, 1, "none"), False),
        (conv((16, 8, 3, 3), strides=[1, 2]), Conv(16, 3, 1, 1, "none"), False),
        (act("Relu"), Act("relu"), True),
        (act("Clip", 0.0, 6.0), Act("relu6"), True),
        (act("Clip", -1.0, 1.0), Act("relu6"), False),
        (act("Gelu"), Act("sigmoid"), False),
        (pool("MaxPool"), Pool("max", 3, 1), True),
        (pool("AveragePool"), Pool("avg", 3, 1), True),
        (pool("AveragePool", count_include_pad=1), Pool("avg", 3, 1), False),
        (gemm(), Linear(10), True),
        (gemm(alpha=2.0), Linear(10), False),
        ((helper.make_node("Transpose", ["x"], ["y"]), {}), Concat(), False),
    ],
)
def test_a_node_is_or_runs_like_an_op(case, op, exact):
    node, values = case
    found = match(node, {"x": Value(X), "y": Value(X), **values})
    assert isinstance(found, Match) and (found.op, found.exact) == (op, exact)


@pytest.mark.parametrize("kind, exact", [("Add", True), ("Mul", False), ("Max", False)])
def test_elementwise_nodes_run_like_a_sum(kind, exact):
    node = helper.make_node(kind, ["x", "z"], ["y"])
    assert match(node, dict.fromkeys("xyz", Value(X))) == Match(Add(), (X[1:], X[1:]), exact)


def test_a_mean_of_an_image_is_exact_by_name_only():
    values = {"x": Value(X), "y": Value((1, 8, 1, 1))}
    for kind, exact in (("GlobalAveragePool", True), ("GlobalMaxPool", False), ("ReduceMean", False)):
        assert match(helper.make_node(kind, ["x"], ["y"]), values) == Match(GlobalPool(), (X[1:],), exact)


@pytest.mark.parametrize("kind", ["NonMaxSuppression", "Loop", "LSTM", *VIEWS])
def test_what_is_like_no_op_matches_none(kind):
    assert match(helper.make_node(kind, ["x"], ["y"]), {"x": Value(X), "y": Value(X)}) is None


@pytest.mark.parametrize(
    "node, shapes, expected",
    [
        (conv((16, 8, 3, 3))[0], {"w": (16, 8, 3, 3), "y": (1, 16, 10, 10)}, 16 * 100 * 8 * 9),
        (helper.make_node("ConvTranspose", ["x", "w"], ["y"]), {"w": (8, 16, 2, 2)}, 8 * 100 * 16 * 4),
        (helper.make_node("MatMul", ["x", "w"], ["y"]), {"x": (1, 7, 64), "w": (64, 10), "y": (1, 7, 10)}, 70 * 64),
        (helper.make_node("Relu", ["x"], ["y"]), {"y": X}, 0),
    ],
)
def test_macs_are_outputs_times_the_products_of_each(node, shapes, expected):
    assert macs(node, {"x": Value(X)} | {name: Value(shape) for name, shape in shapes.items()}) == expected
