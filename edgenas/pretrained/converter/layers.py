"""What each layer of PyTorch is in our vocabulary, as a module and as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgenas.graph.ops import Act, Conv, GlobalPool, Linear, Op, Pool
from edgenas.pretrained.converter.step import Norm

Weights = dict[str, Tensor]


class Unfit(ValueError):
    """A layer that the vocabulary lacks; the message says why, for behind the layer's name."""


# Layers that do nothing in evaluation, by the name of their class or function.
NOTHING = frozenset(
    "Identity Dropout Dropout2d AlphaDropout FeatureAlphaDropout StochasticDepth DropPath dropout dropout2d "
    "stochastic_depth drop_path contiguous clone detach float".split()
)
# Activations by the name of their class, function or method; `torch.relu_` is `relu`.
ACTS = {
    **dict.fromkeys(("ReLU", "relu"), "relu"),
    **dict.fromkeys(("ReLU6", "relu6"), "relu6"),
    **dict.fromkeys(("Hardswish", "hardswish", "HardSwish", "HardSwishMe"), "hswish"),
    **dict.fromkeys(("Sigmoid", "sigmoid"), "sigmoid"),
    **dict.fromkeys(("SiLU", "silu", "Swish", "swish"), "silu"),
    **dict.fromkeys(("Hardsigmoid", "hardsigmoid", "HardSigmoid"), "hsigmoid"),
}
SAME = frozenset({"Conv2dSame"})  # classes that pad as TensorFlow does
AXES = ({2, 3}, {-2, -1})  # of height and width


def of_module(module: nn.Module) -> tuple[Op | None, Weights]:
    """Return what a leaf of a network is, with its weights; None if it does nothing.

    Raises:
        Unfit: the vocabulary lacks it.
    """
    kind = type(module).__name__
    if kind in NOTHING:
        return None, {}
    if kind in ACTS:
        return Act(ACTS[kind]), {}
    match module:
        case nn.Conv2d():
            return _conv(module)
        case nn.BatchNorm2d():
            return _norm(module)
        case nn.Linear():
            bias = torch.zeros(module.out_features) if module.bias is None else module.bias
            return Linear(module.out_features), {"weight": module.weight, "bias": bias}
        case nn.Hardtanh() if (module.min_val, module.max_val) == (0, 6):
            return Act("relu6"), {}
        case nn.MaxPool2d():
            dilated = module.dilation not in (1, (1, 1))
            if dilated or module.return_indices:
                raise Unfit("dilated pooling, or one that returns indices")
            return _pool("max", module.kernel_size, module.stride, module.padding, module.ceil_mode), {}
        case nn.AvgPool2d():
            if module.divisor_override is not None or (module.padding not in (0, (0, 0)) and module.count_include_pad):
                raise Unfit("an average over zeros around the image")
            return _pool("avg", module.kernel_size, module.stride, module.padding, module.ceil_mode), {}
        case nn.Flatten():
            _flatten((module.start_dim,))
            return None, {}
        case nn.AdaptiveAvgPool2d():
            return _whole(module.output_size), {}
    raise Unfit(f"a {kind}")


def of_call(name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Op | None:
    """Return what a function or a method of a tensor is; None if it does nothing.

    Args:
        name: of the function.
        arguments: by position, without the tensor.
        keywords: the others.

    Raises:
        Unfit: the vocabulary lacks it.
    """
    name = name.rstrip("_")
    if name in NOTHING:
        return None
    if name in ACTS:
        return Act(ACTS[name])
    if name == "hardtanh":
        if _bound(arguments, keywords, min_val=-1.0, max_val=1.0) == {"min_val": 0, "max_val": 6}:
            return Act("relu6")
    if name in VIEWS:
        VIEWS[name](arguments)
        return None
    if name == "mean":
        given = _bound(arguments, keywords, dim=None, keepdim=False)
        if isinstance(given["dim"], list | tuple) and set(given["dim"]) in AXES:
            return GlobalPool()
    if name == "adaptive_avg_pool2d":
        return _whole(_bound(arguments, keywords, output_size=None)["output_size"])
    if name in ("max_pool2d", "avg_pool2d"):
        given = _bound(arguments, keywords, kernel_size=None, stride=None, padding=0, ceil_mode=False)
        padded = given["padding"] not in (0, (0, 0))
        if name == "avg_pool2d" and padded and keywords.get("count_include_pad", True):
            raise Unfit("an average over zeros around the image")
        stride = given["stride"] or given["kernel_size"]
        return _pool(name[:3], given["kernel_size"], stride, given["padding"], given["ceil_mode"])
    raise Unfit(f"the call {name}{arguments or ''}")


def _flatten(arguments: tuple[Any, ...]) -> None:
    if arguments[:1] not in ((), (1,)):
        raise Unfit("a flatten that does not begin with the channels")


def _view(arguments: tuple[Any, ...]) -> None:
    """Pass (N, -1) and (N, C, 1, 1), which change the form of what is (C, 1, 1) alone."""
    sizes = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else arguments
    if not (len(sizes) == 2 and sizes[1] == -1) and not (len(sizes) == 4 and tuple(sizes[2:]) == (1, 1)):
        raise Unfit("a change of the tensor's form")


def _nothing(arguments: tuple[Any, ...]) -> None:
    """Pass what only repeats or drops sides of one pixel: the shapes of what follows are checked."""


# What changes the form of a tensor and no value of it; each refuses the forms that are another computation.
VIEWS: dict[str, Callable[[tuple[Any, ...]], None]] = {
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
    "squeeze": _nothing,
    "expand_as": _nothing,
}


def _bound(arguments: tuple[Any, ...], keywords: Mapping[str, Any], **defaults: Any) -> Mapping[str, Any]:
    """Arguments by name: in the order of the defaults, as far as they are given."""
    return defaults | dict(zip(defaults, arguments, strict=False)) | {k: keywords[k] for k in defaults if k in keywords}


def _one(value: Any, what: str) -> int:
    """The side of a square, given as a number or as two alike."""
    sides = {*value} if isinstance(value, list | tuple) else {value}
    if len(sides) != 1 or not isinstance(number := sides.pop(), int):
        raise Unfit(f"{what} {value}, which is no square")
    return number


def _conv(module: nn.Conv2d) -> tuple[Op, Weights]:
    kernel, stride = _one(module.kernel_size, "a kernel of"), _one(module.stride, "a stride of")
    dilation = _one(module.dilation, "a dilation of")
    if kernel % 2 == 0:
        raise Unfit(f"a convolution with a kernel of {kernel}x{kernel}, not of an odd side such as 3 or 5")
    if module.padding_mode != "zeros":
        raise Unfit(f"a convolution with padding {module.padding_mode!r}, not with zeros")
    # With a stride of 1, an odd kernel has as much padding before the image as after it.
    same = type(module).__name__ in SAME
    whole = dilation * (kernel // 2)
    if not same and module.padding not in ("same", (whole, whole)):
        raise Unfit(f"a {kernel}x{kernel} convolution with padding {module.padding}, not {whole}")
    op = Conv(
        module.out_channels,
        kernel,
        stride,
        module.groups,
        dilation=dilation,
        same=same and stride > 1 and kernel > 1,
        epsilon=None,
    )
    bias = torch.zeros(module.out_channels) if module.bias is None else module.bias
    return op, {"weight": module.weight, "bias": bias}


def _norm(module: nn.BatchNorm2d) -> tuple[Op, Weights]:
    if module.running_mean is None or module.running_var is None:
        raise Unfit("a batch norm without running statistics")
    scale = torch.ones(module.num_features) if module.weight is None else module.weight
    shift = torch.zeros(module.num_features) if module.bias is None else module.bias
    weights = {"scale": scale, "shift": shift, "mean": module.running_mean, "variance": module.running_var}
    return Norm(module.eps), weights


def _pool(mode: str, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Op:
    size, step, rows = _one(kernel, "pooling of"), _one(stride, "a stride of"), _one(padding, "padding of")
    if ceil_mode or rows not in (0, size // 2) or (rows and size % 2 == 0):
        raise Unfit(f"{mode} pooling of {size} pixels with padding {rows}{' and ceil_mode' * ceil_mode}")
    return Pool(mode, size, step, padded=rows > 0)


def _whole(size: Any) -> Op:
    if size not in (1, (1, 1), [1, 1]):
        raise Unfit(f"an adaptive average to {size}, not to one pixel")
    return GlobalPool()
