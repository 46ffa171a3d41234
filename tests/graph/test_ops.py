from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.graph import ops
from edgenas.graph.ops import (
    Act,
    Add,
    Choose,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Input,
    Linear,
    Pool,
    SqueezeExcite,
    Zero,
    parse_conv,
)

X = (16, 7, 7)


@pytest.mark.parametrize(
    "op, inputs, shape, label",
    [
        (Input(), [X], X, "input"),
        (Conv(8), [X], (8, 7, 7), "conv k1 s1 g1 none 8"),
        (Conv(32, 3, 2, 1, "relu6"), [(3, 224, 224)], (32, 112, 112), "conv k3 s2 g1 relu6 32"),
        (Conv(16, 5, 2, 16, "hswish"), [X], (16, 4, 4), "conv k5 s2 g16 hswish 16"),
        (Conv(8, 7, 1, 4, "sigmoid"), [X], (8, 7, 7), "conv k7 s1 g4 sigmoid 8"),
        (Conv(8, 3, dilation=2), [X], (8, 7, 7), "conv k3 s1 g1 none 8 d2"),
        (FactorizedReduce(32), [X], (32, 4, 4), "factorized_reduce 32"),
        (Pool("max", 3, 2), [X], (16, 4, 4), "pool max k3 s2"),
        (Pool("avg"), [X], X, "pool avg k3 s1"),
        (Act("hswish"), [X], X, "act hswish"),
        (Linear(10), [(16, 1, 1)], (10, 1, 1), "linear 10"),
        (GlobalPool(), [X], (16, 1, 1), "global_pool"),
        (SqueezeExcite(4), [X], X, "se 4"),
        (Add(), [X, X], X, "add"),
        (Concat(), [X, (4, 7, 7), X], (36, 7, 7), "concat"),
        (Zero(), [X], X, "zero"),
        (Choose("c", (0, 1)), [X, X], X, "choose"),
    ],
)
def test_shape_and_label(op, inputs, shape, label):
    assert op.shape(*inputs) == shape
    assert op.label() == label


@pytest.mark.parametrize(
    "op, shape, parameters",
    [
        (Conv(8, 3), X, {"weight": (8, 16, 3, 3), "bias": (8,)}),
        (Conv(16, 5, 1, 16), X, {"weight": (16, 1, 5, 5), "bias": (16,)}),
        (FactorizedReduce(8), X, {"weight": (8, 16, 1, 1), "bias": (8,)}),
        (Linear(10), (16, 1, 1), {"weight": (10, 16), "bias": (10,)}),
        (
            SqueezeExcite(4),
            X,
            {
                "reduce.weight": (4, 16, 1, 1),
                "reduce.bias": (4,),
                "expand.weight": (16, 4, 1, 1),
                "expand.bias": (16,),
            },
        ),
        (Pool("max"), X, {}),
        (Add(), X, {}),
    ],
)
def test_parameters(op, shape, parameters):
    assert op.parameters(shape) == parameters


@pytest.mark.parametrize(
    "op, inputs, message",
    [
        (Conv(8, 2), [X], "odd kernel"),
        (Conv(8, act="swish"), [X], "activation"),
        (Conv(8, groups=3), [X], "3 groups"),
        (Conv(9, groups=4), [X], "4 groups"),
        (FactorizedReduce(7), [X], "even number"),
        (Pool("median"), [X], "max or avg"),
        (Pool("max", 2), [X], "odd kernel"),
        (Act("swish"), [X], "activation"),
        (Linear(10), [X], "linear needs"),
        (Add(), [X, (8, 7, 7)], "two equal shapes"),
        (Add(), [X], "two equal shapes"),
        (Concat(), [X, (16, 8, 8)], "equal sides"),
        (Choose("depth", (0, 1)), [X, (8, 7, 7)], "'depth' differ in shape"),
    ],
)
def test_rejects_what_does_not_fit(op, inputs, message):
    with pytest.raises(ValueError, match=message):
        op.shape(*inputs)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3, 5, 7]), st.integers(1, 3))
def test_sides_are_divided_by_the_stride_and_rounded_up(height, width, kernel, stride):
    sides = (math.ceil(height / stride), math.ceil(width / stride))
    assert Conv(4, kernel, stride).shape((3, height, width)) == (4, *sides)
    assert Pool("avg", kernel, stride).shape((3, height, width)) == (3, *sides)


def test_fused_activations_are_activations():
    assert set(ops.FUSED_ACTIVATIONS) < set(ops.ACTIVATIONS)


@given(
    st.builds(
        Conv,
        st.integers(1, 4096),
        st.sampled_from([1, 3, 5, 7]),
        st.sampled_from([1, 2]),
        st.integers(1, 512),
        st.sampled_from(sorted(ops.ACTIVATIONS)),
        st.sampled_from([1, 2]),
    ),
    st.integers(1, 2048),
)
def test_the_key_of_a_convolution_is_read_back(conv, channels):
    assert parse_conv(f"{conv.label()} | {ops.shape_text((channels, 14, 7))}") == (conv, channels)


@pytest.mark.parametrize("key", ["add | 8x7x7", "linear 10 | 64x1x1", "conv", "pool max k3 s2 | 8x7x7", ""])
def test_the_key_of_another_op_is_none_of_a_convolution(key):
    assert parse_conv(key) is None
