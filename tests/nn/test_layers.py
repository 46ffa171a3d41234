from __future__ import annotations

import pytest
import torch
from torch import nn

from edgenas.graph.graph import Node
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
)
from edgenas.nn.layers import ACTIVATION, apply, fold, initialise, trainable, zeros
from edgenas.nn.network import Layer


def node(op, *shapes) -> Node:
    return Node("n", op, tuple(f"x{i}" for i in range(len(shapes))), shapes, op.shape(*shapes), "n")


def inputs(*shapes, batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, *shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("sides", [(8, 8), (7, 9), (1, 1), (2, 5)])
@pytest.mark.parametrize(
    "op",
    [
        *(Conv(8, k, s, g, "relu") for k in (1, 3, 7) for s in (1, 2) for g in (1, 4)),
        *(Conv(8, k, s, g, dilation=2) for k in (3, 5) for s in (1, 2) for g in (1, 4)),
        FactorizedReduce(6),
        *(Pool(mode, k, s) for mode in ("max", "avg") for k in (3, 5) for s in (1, 2)),
        *(Act(act) for act in ("none", "relu", "relu6", "hswish", "sigmoid", "silu", "hsigmoid")),
        SqueezeExcite(2),
        GlobalPool(),
        Input(),
    ],
    ids=lambda op: op.label(),
)
def test_output_has_the_shape_that_the_op_says(op, sides):
    shape = (4, *sides)
    layer = Layer(node(op, shape)).eval()
    assert layer(*inputs(shape)).shape == (2, *op.shape(shape))


def test_binary_ops():
    x, y = inputs((3, 4, 4), (3, 4, 4))
    assert torch.equal(apply(Add(), [x, y], {}, None), x + y)
    assert torch.equal(apply(Concat(), [x, y, x], {}, None), torch.cat([x, y, x], 1))


def test_convolution_is_conv_batch_norm_activation():
    layer = Layer(node(Conv(6, 3, 2, 2, "relu6"), (4, 7, 7)), torch.Generator().manual_seed(0))
    reference = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2, bias=False), nn.BatchNorm2d(6), nn.ReLU6())
    with torch.no_grad():
        layer.weights["scale"].uniform_(0.5, 2)
        layer.weights["shift"].uniform_(-1, 1)
        reference[0].weight.copy_(layer.weights["weight"])
        reference[1].weight.copy_(layer.weights["scale"])
        reference[1].bias.copy_(layer.weights["shift"])
    for seed in range(3):
        x = torch.randn(5, 4, 7, 7, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(layer(x), reference(x))
    torch.testing.assert_close(layer.mean, reference[1].running_mean)
    torch.testing.assert_close(layer.variance, reference[1].running_var)
    torch.testing.assert_close(layer.eval()(x), reference.eval()(x))


@pytest.mark.parametrize("stride, side", [(1, 32), (2, 32), (2, 17), (3, 33)])
@pytest.mark.parametrize("channels", [1, 3, 5, 12, 20])
def test_gradients_of_1x1_kernels_are_those_in_double_precision(channels, stride, side):
    (x,) = inputs((channels, side, side), batch=8)
    weight = torch.randn(32, channels, 1, 1, generator=torch.Generator().manual_seed(1)).requires_grad_()
    op, last = Conv(32, 1, stride), {"memory_format": torch.channels_last}
    (found,) = torch.autograd.grad(apply(op, [x.to(**last)], {"weight": weight.to(**last)}, None).sum(), weight)
    exact = weight.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(nn.functional.conv2d(x.double(), exact, stride=stride).sum(), exact)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "op", [Conv(8, 3, 2, 4, "relu6"), Conv(8, 1, 1, 1, "none"), Conv(8, 3, 1, 1, "hswish", epsilon=1e-5)]
)
def test_gradients_with_statistics_that_are_kept_are_those_of_batch_norm(op):
    layer = Layer(node(op, (4, 8, 8))).double()
    with torch.no_grad():
        for tensor in (*layer.parameters(), layer.mean, layer.variance):
            tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(1)) + 0.5)
    (x,) = (t.double().requires_grad_() for t in inputs((4, 8, 8)))
    leaves = [x, *layer.parameters()]
    folded = layer.eval()(x)
    y = nn.functional.conv2d(x, layer.weight, None, op.stride, op.kernel // 2, 1, op.groups)
    y = nn.functional.batch_norm(y, layer.mean, layer.variance, layer.scale, layer.shift, False, 0.0, op.epsilon)
    plain = ACTIVATION[op.act](y)
    torch.testing.assert_close(folded, plain)
    found, expected = (torch.autograd.grad(out.square().sum(), leaves) for out in (folded, plain))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        assert torch.equal(layer(x), plain.detach()), "what is not trained is as exact as before"


def test_without_statistics_the_batch_normalises_itself():
    layer = Layer(node(Conv(6, 3), (4, 7, 7)), torch.Generator().manual_seed(0)).train()
    (x,) = inputs((4, 7, 7))
    torch.testing.assert_close(apply(layer.op, [x], layer.weights, None), layer(x))


def test_average_pool_leaves_padding_out():
    assert torch.equal(apply(Pool("avg", 3, 1), [torch.ones(1, 2, 5, 5)], {}, None), torch.ones(1, 2, 5, 5))


def test_squeeze_excite_is_a_sigmoid_gate_per_channel():
    op, (x,) = SqueezeExcite(2), inputs((4, 5, 5))
    layer = Layer(node(op, (4, 5, 5)))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weights["expand.bias"].copy_(torch.tensor([-100.0, 0.0, 100.0, 0.0]))
    gates = torch.tensor([0.0, 0.5, 1.0, 0.5]).reshape(1, 4, 1, 1)
    torch.testing.assert_close(layer(x), x * gates)


def test_linear_flattens():
    layer = Layer(node(Linear(3), (4, 1, 1)))
    (x,) = inputs((4, 1, 1))
    torch.testing.assert_close(layer(x), x.flatten(1) @ layer.weights["weight"].T)


def test_zeros_take_batch_and_type_of_the_input():
    x = torch.ones(3, 1, 8, 8, dtype=torch.float64)
    value = zeros(Node("z", Zero(), ("input",), ((1, 8, 8),), (4, 2, 2), "z"), x)
    assert value.shape == (3, 4, 2, 2) and value.dtype == x.dtype and not value.any()


def test_programs_only_have_layers_for_kernels():
    with pytest.raises(TypeError, match="no layer of its own"):
        apply(Choose("c", (0,)), [torch.ones(1, 1, 1, 1)], {}, None)


def test_factorized_reduce_sees_every_second_pixel_and_those_between():
    layer = Layer(node(FactorizedReduce(2), (1, 4, 5)), folded=True)
    with torch.no_grad():
        layer.weights["weight"].fill_(1)
    even, odd = layer(torch.arange(20.0).reshape(1, 1, 4, 5))[0]
    assert even.tolist() == [[0, 2, 4], [10, 12, 14]]
    assert odd.tolist() == [[6, 8, 0], [16, 18, 0]]


@pytest.mark.parametrize(
    "op", [Conv(6, 3, act="relu"), Conv(6, 3, 2, 2, dilation=2), Conv(6, 3, epsilon=1e-3), FactorizedReduce(6)]
)
def test_fold_puts_batch_norm_into_kernel_and_bias(op):
    layer = Layer(node(op, (4, 7, 7))).eval()
    with torch.no_grad():
        for tensor in (layer.weights["scale"], layer.weights["shift"], layer.mean, layer.variance):
            tensor.uniform_(0.5, 2)
    (x,) = inputs((4, 7, 7))
    assert layer.statistics is not None
    folded = fold(op, layer.weights, layer.statistics)
    assert set(folded) == {"weight", "bias"}
    torch.testing.assert_close(apply(layer.op, [x], folded, None), layer(x))


@pytest.mark.parametrize(
    "op, shape, names",
    [
        (Conv(6, 3), (4, 7, 7), {"weight", "scale", "shift"}),
        (FactorizedReduce(6), (4, 7, 7), {"weight", "scale", "shift"}),
        (Linear(3), (4, 1, 1), {"weight", "bias"}),
        (SqueezeExcite(2), (4, 7, 7), {"reduce.weight", "reduce.bias", "expand.weight", "expand.bias"}),
        (GlobalPool(), (4, 7, 7), set()),
    ],
)
def test_trainable_parameters(op, shape, names):
    assert set(trainable(node(op, shape))) == names


@pytest.mark.parametrize(
    "name, shape, op, deviation",
    [
        ("weight", (256, 64, 3, 3), Conv(256, 3), (2 / (256 * 9)) ** 0.5),
        ("weight", (256, 1, 5, 5), Conv(256, 5, groups=256), (2 / 25) ** 0.5),
        ("weight", (256, 64), Linear(256), 0.01),
        ("scale", (8,), Conv(8), None),
        ("shift", (8,), Conv(8), None),
        ("bias", (8,), Linear(8), None),
    ],
)
def test_initialise(name, shape, op, deviation):
    tensor = torch.full(shape, 7.0)
    initialise(name, tensor, op, torch.Generator().manual_seed(0))
    if deviation is None:
        assert torch.equal(tensor, torch.full(shape, float(name == "scale")))
    else:
        assert tensor.std().item() == pytest.approx(deviation, rel=0.05)
        assert tensor.mean().item() == pytest.approx(0, abs=deviation / 10)
