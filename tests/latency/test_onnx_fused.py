"""Kernels read from optimised graphs: ours come back key by key, and no other is free or passes for one of ours."""

from collections import Counter

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgenas.cost.counts import count_ops
from edgenas.errors import DataError
from edgenas.exporters.onnx import probe, random_weights, to_bytes, to_onnx
from edgenas.graph.graph import Builder
from edgenas.latency.onnx_file import kernels_of
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample


def written(graph):
    return to_bytes(to_onnx(graph, random_weights(graph, np.random.default_rng(0))))


def every_op():
    """One of each op of the vocabulary, in their usual places."""
    g = Builder((3, 17, 17), (), {})
    x = g.conv("stem", g.input, out=8, kernel=3, stride=2, act="hswish")
    x = g.pool("max", x, "max", stride=2)
    y = g.depthwise("wide", x, kernel=5, act="relu6")
    x = g.act("after", g.add("sum", x, y), "relu")
    x = g.squeeze_excite("se", x, hidden=8)
    y = g.conv("grouped", x, out=8, kernel=3, groups=2, act="sigmoid")
    x = g.concat("both", g.pool("mean", x, "avg"), y, x)
    x = g.act("soft", g.concat("thrice", x, y), "hswish")
    x = g.conv("dilated", x, out=8, kernel=3, dilation=2, act="relu")
    x = g.conv("head", x, out=16)
    g.linear("last", g.linear("hidden", g.global_pool("pool", x), out=12), out=5)
    return g.graph()


def mbconv_graphs():
    space = build_space("mbconv", (3, 48, 48), 7)
    rng = np.random.default_rng(1)
    return [space.graph(sample(space, rng)) for _ in range(3)]


@pytest.mark.parametrize("graph", [every_op(), *mbconv_graphs()])
def test_our_own_networks_come_back_key_by_key(graph):
    found = kernels_of(written(graph))
    assert Counter(kernel.key for kernel in found) == Counter(node.key for node in graph.priced)
    assert all(kernel.exact for kernel in found)
    counts = count_ops(graph.priced)
    for kernel in found:
        assert kernel.counts == counts[kernel.key], kernel.key


def test_probes_come_back_as_their_node():
    for node in every_op().priced:
        (kernel,) = kernels_of(written(probe(node)))
        assert (kernel.key, kernel.exact) == (node.key, True)


def onnx_model(nodes, weights=(), shape=(1, 8, 12, 12)):
    """A model of `nodes` from x to y."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def kernel(*shape):
    return {"w": np.ones(shape, np.float32), "b": np.ones(shape[:1], np.float32)}


def conv(weight, **attributes):
    return [helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)], kernel(*weight)


def op(kind, *inputs, weights=(), **attributes):
    return [helper.make_node(kind, ["x", *inputs], ["y"], **attributes)], dict(weights)


FOREIGN = {
    "asymmetric padding": (conv((16, 8, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2]), "conv k3 s2 g1 none 16 | 8x12x12"),
    "no padding": (conv((16, 8, 3, 3)), "conv k3 s1 g1 none 16 | 8x12x12"),
    "even kernel": (conv((16, 8, 4, 4), strides=[4, 4]), "conv k3 s4 g1 none 16 | 8x12x12"),
    "oblong kernel": (conv((16, 8, 1, 7), pads=[0, 3, 0, 3]), "conv k1 s1 g1 none 16 | 8x12x12"),
    "uneven dilation": (
        conv((16, 8, 3, 3), pads=[1, 2, 1, 2], dilations=[1, 2]),
        "conv k3 s1 g1 none 16 d2 | 8x12x12",
    ),
    "pool with a bound": (op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "pool max k3 s2 | 8x12x12"),
    "mean of pads too": (
        op("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
        "pool avg k3 s1 | 8x12x12",
    ),
    "clip": (op("Clip", "l", "h", weights={"l": np.float32(0), "h": np.float32(5)}), "act relu6 | 8x12x12"),
    "tanh": (op("Tanh"), "act sigmoid | 8x12x12"),
    "product": (op("Mul", "x"), "add | 8x12x12"),
    "sum with a constant": (op("Add", "w", weights={"w": np.ones((1, 8, 1, 1), np.float32)}), "add | 8x12x12"),
    "transpose": (op("Transpose", perm=[0, 2, 3, 1]), "concat | 12x12x8"),
    "padding": (op("Pad", "p", weights={"p": np.array([0, 0, 1, 1] * 2)}), "concat | 8x14x14"),
    "rows": (op("MatMul", "w", weights={"w": np.ones((12, 5), np.float32)}), "linear 5 | 12x1x1"),
    "softmax": (op("Softmax", axis=1), ""),
    "transposed convolution": (op("ConvTranspose", "w", weights={"w": np.ones((8, 4, 2, 2), np.float32)}), ""),
}


@pytest.mark.parametrize("model, key", FOREIGN.values(), ids=FOREIGN)
def test_foreign_ops_are_marked_and_have_counts_of_their_own(model, key):
    (found,) = kernels_of(onnx_model(*model))
    assert (found.key, found.exact) == (key, False)
    assert found.counts.bytes > 0 and found.name and found.kind


@pytest.mark.parametrize(
    "model, macs",
    [
        (conv((16, 8, 3, 3)), 16 * 100 * 72),
        (conv((16, 2, 3, 3), group=4), 16 * 100 * 18),
        (FOREIGN["rows"][0], 8 * 12 * 5 * 12),
        (FOREIGN["transposed convolution"][0], 8 * 144 * 16),
    ],
)
def test_multiply_adds(model, macs):
    assert kernels_of(onnx_model(*model))[0].counts.macs == macs


def test_a_batch_is_no_single_image():
    nodes, weights = conv((16, 8, 3, 3), pads=[1] * 4)
    one, four = (kernels_of(onnx_model(nodes, weights, shape=(n, 8, 12, 12)))[0] for n in (1, 4))
    assert one.exact and not four.exact and four.key == one.key
    assert four.counts.macs == 4 * one.counts.macs


def test_a_gate_of_random_numbers_is_no_squeeze_and_excite():
    nodes, weights = op("Mul", "r")
    noise = helper.make_node("RandomUniform", [], ["r"], shape=[1, 8, 1, 1])
    found = kernels_of(onnx_model([noise, *nodes], weights))
    assert [kernel.key for kernel in found] == ["", "add | 8x12x12"]


def test_a_file_of_views_computes_nothing():
    with pytest.raises(DataError, match="computes nothing"):
        kernels_of(onnx_model(*op("Flatten")))
