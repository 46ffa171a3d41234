"""What each op computes in PyTorch: its trainable parameters, and one function that applies it to (N, C, H, W)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.graph.graph import Node
from edgenas.graph.ops import (
    EPSILON,
    NORMALISED,
    Act,
    Add,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Input,
    Linear,
    Op,
    Parameters,
    Pool,
    SqueezeExcite,
    Zero,
)

# Channels: with fewer, oneDNN writes past its memory in the gradient of strided 1x1 kernels (oneDNN #6035).
NARROW = 16

ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "hswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "hsigmoid": F.hardsigmoid,
}


@dataclass
class Statistics:
    """Running mean and variance (C,) of one batch norm, updated by `momentum` while training."""

    mean: Tensor
    variance: Tensor
    momentum: float


def trainable(node: Node) -> Parameters:
    """Return the shapes of the parameters that training sees: a scale and a shift, not a bias, with batch norm."""
    shapes = node.parameters
    if isinstance(node.op, NORMALISED) and epsilon(node.op) is not None:
        return {"weight": shapes["weight"], "scale": shapes["bias"], "shift": shapes["bias"]}
    return shapes


def epsilon(op: Op) -> float | None:
    """Return the epsilon of an op's batch norm; None if it has none."""
    return op.epsilon if isinstance(op, Conv) else EPSILON


def initialise(name: str, tensor: Tensor, op: Op, generator: torch.Generator | None) -> None:
    """Fill a parameter: He's initialisation by fan-out for kernels (arXiv:1502.01852), 1 for scales, else 0.

    Args:
        name: of the parameter, as `trainable` has it.
        tensor: the parameter; changed in place.
        op: whose parameter it is.
        generator: of the random numbers; None is torch's own.
    """
    if name == "scale":
        torch.nn.init.ones_(tensor)
    elif tensor.dim() < 2:
        torch.nn.init.zeros_(tensor)
    elif isinstance(op, Linear):
        torch.nn.init.normal_(tensor, std=0.01, generator=generator)
    else:
        # An input channel reaches the outputs of its own group alone.
        groups = op.groups if isinstance(op, Conv) else 1
        fan_out = tensor.shape[0] * math.prod(tensor.shape[2:]) / groups
        torch.nn.init.normal_(tensor, std=math.sqrt(2 / fan_out), generator=generator)


def apply(op: Op, inputs: Sequence[Tensor], parameters: Mapping[str, Tensor], statistics: Statistics | None) -> Tensor:
    """Return the op's output.

    Args:
        op: what is computed.
        inputs: tensors (N, C, H, W).
        parameters: by name. A convolution with a `bias` is folded; one with `scale` and `shift` normalises its output.
        statistics: of that batch norm. The batch's own are used if this is None or has a momentum, in which case it is
            updated; at momentum 0 the running ones are used.

    Raises:
        TypeError: the op belongs to programs only, such as Choose and Zero.
    """
    x = inputs[0]
    match op:
        case Conv():
            (top, bottom), (left, right) = (op.padding(side) for side in x.shape[-2:])
            if (top, left) != (bottom, right):  # torch pads both ends alike
                x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
            x, stride = _read(x, op.kernel, op.stride)
            if "scale" in parameters and _is_folded(statistics):
                parameters = fold(op, parameters, statistics)
            bias = parameters.get("bias")
            y = F.conv2d(x, parameters["weight"], bias, stride, (top, left), op.dilation, op.groups)
            return normed(op, y, parameters, statistics) if "scale" in parameters else ACTIVATION[op.act](y)
        case FactorizedReduce():
            y = _factorized_reduce(x, parameters["weight"], parameters.get("bias"))
            return _normalise(y, op, parameters, statistics) if "scale" in parameters else y
        case Linear():
            return F.linear(x.flatten(1), parameters["weight"], parameters["bias"])
        case SqueezeExcite():
            gate = F.conv2d(x.mean((2, 3), keepdim=True), parameters["reduce.weight"], parameters["reduce.bias"])
            gate = F.conv2d(ACTIVATION[op.act](gate), parameters["expand.weight"], parameters["expand.bias"])
            return x * ACTIVATION[op.gate](gate)
        case GlobalPool():
            return x.mean((2, 3), keepdim=True)
        case Pool(mode="max"):
            return F.max_pool2d(x, op.kernel, op.stride, op.padding)
        case Pool():
            # As in the code of DARTS and of NAS-Bench-201.
            return F.avg_pool2d(x, op.kernel, op.stride, op.padding, count_include_pad=False)
        case Act():
            return ACTIVATION[op.act](x)
        case Add():
            return x + inputs[1]
        case Concat():
            return torch.cat(list(inputs), 1)
        case Input():
            return x
    raise TypeError(f"{op} has no layer of its own")


def _read(x: Tensor, kernel: int, stride: int) -> tuple[Tensor, int]:
    """Return what a convolution reads, and its stride: a strided 1x1 kernel over few channels gets its pixels alone."""
    if kernel == 1 and stride > 1 and x.shape[1] < NARROW:
        return x[..., ::stride, ::stride], 1
    return x, stride


def _factorized_reduce(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return half of the channels from the even pixels of `x`, and half from the odd ones."""
    height, width = x.shape[-2:]
    even, odd = weight.chunk(2)
    shifted = F.pad(x, (0, width % 2, 0, height % 2))[..., 1:, 1:]  # so that both halves have one shape
    (x, stride), (shifted, _) = _read(x, 1, 2), _read(shifted, 1, 2)
    y = torch.cat([F.conv2d(x, even, stride=stride), F.conv2d(shifted, odd, stride=stride)], 1)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def zeros(node: Node, x: Tensor) -> Tensor:
    """Return what a Zero node holds, for the batch, device and type of `x`."""
    assert isinstance(node.op, Zero)
    return x.new_zeros((x.shape[0], *node.shape))


def leading_slice(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the part of `tensor` with `shape`: the leading channels, and the centre of the kernel."""
    if tuple(tensor.shape) == shape:
        return tensor
    # `narrow` gives a view: what trains a slice, or is copied into one, changes the shared tensor.
    for axis, size in enumerate(shape):
        start = (tensor.shape[axis] - size) // 2 if axis >= 2 else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor


def fold(op: Op, parameters: Mapping[str, Tensor], statistics: Statistics) -> dict[str, Tensor]:
    """Return the kernel and bias of a convolution with its batch norm folded in.

    Args:
        op: the convolution.
        parameters: `weight`, `scale` and `shift`.
        statistics: of the batch norm.
    """
    factor = parameters["scale"] / torch.sqrt(statistics.variance + (epsilon(op) or 0))
    weight = parameters["weight"] * factor.reshape(-1, 1, 1, 1)
    return {"weight": weight, "bias": parameters["shift"] - statistics.mean * factor}


def before_norm(op: Op, inputs: Sequence[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
    """Return what the batch norm of an op reads."""
    plain = replace(op, act="none") if isinstance(op, Conv) else op
    return apply(plain, inputs, {"weight": parameters["weight"]}, None)


def normed(op: Op, y: Tensor, parameters: Mapping[str, Tensor], statistics: Statistics | None) -> Tensor:
    """Return an op's output from what its batch norm reads; arguments as those of `apply`."""
    y = _normalise(y, op, parameters, statistics)
    return ACTIVATION[op.act](y) if isinstance(op, Conv) else y


def _is_folded(statistics: Statistics | None) -> TypeGuard[Statistics]:
    """Tell whether a convolution is trained with its batch norm folded in, which keeps its statistics.

    It computes the same, but for roundings, in three quarters of the time: the norm's passes over activations are gone.
    """
    return statistics is not None and statistics.momentum == 0 and torch.is_grad_enabled()


def _normalise(y: Tensor, op: Op, parameters: Mapping[str, Tensor], statistics: Statistics | None) -> Tensor:
    eps = epsilon(op) or 0.0
    if statistics is None:
        # Without running statistics torch has to be told to train: it then takes the batch's own.
        return F.batch_norm(y, None, None, parameters["scale"], parameters["shift"], True, 0.0, eps)
    training = statistics.momentum > 0
    return F.batch_norm(
        y,
        statistics.mean,
        statistics.variance,
        parameters["scale"],
        parameters["shift"],
        training,
        statistics.momentum,
        eps,
    )
