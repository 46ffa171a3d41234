"""The closed vocabulary of operators: fields, shape rule, parameter shapes, key.

Shapes are (channels, height, width); costing is always batch 1. An op is one *fused kernel*: a convolution carries its
folded batch norm and its activation, because every runtime fuses them. A closed vocabulary keeps a device kit finite
and the ONNX writer small.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from edgenas.graph.op import Op as Op
from edgenas.graph.op import Parameters as Parameters
from edgenas.graph.op import Shape as Shape
from edgenas.graph.op import shape_text as shape_text
from edgenas.graph.op import strided

ACTIVATIONS = ("none", "relu", "relu6", "hswish", "sigmoid", "silu", "hsigmoid")
# Runtimes run these inside the convolution; the others are a kernel of their own behind it, which moves more bytes.
FUSED_ACTIVATIONS = ("none", "relu", "relu6", "sigmoid", "hsigmoid")
GATES = ("sigmoid", "hsigmoid")  # of channel attention
EPSILON = 1e-5  # of batch norm, torch's default


@dataclass(frozen=True, slots=True)
class Input(Op):
    """The image that a network reads."""

    kind: ClassVar[str] = "input"


@dataclass(frozen=True, slots=True)
class Conv(Op):
    """Convolution, folded batch norm, activation. Odd kernel, padding dilation * (kernel // 2).

    Args:
        same: pad as TensorFlow does, as little as needed and with the odd row at the end: another result where the
            stride is 2 and a side is even.
        epsilon: of its batch norm while it is trained; None for a convolution that has a bias instead. It is no part of
            the key: nothing of it is left where batch norm is folded.
    """

    kind: ClassVar[str] = "conv"
    out: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    act: str = "none"
    dilation: int = 1
    same: bool = False
    epsilon: float | None = EPSILON

    @property
    def is_projection(self) -> bool:
        """Whether it only mixes channels: pointwise, with batch norm and without an activation."""
        return (self.kernel, self.groups, self.stride, self.act) == (1, 1, 1, "none") and bool(self.epsilon)

    def padding(self, side: int) -> tuple[int, int]:
        """Return how many rows of zeros stand before and after a side of the image."""
        reach = self.dilation * (self.kernel - 1)
        total = max(0, (-(-side // self.stride) - 1) * self.stride + reach + 1 - side) if self.same else reach
        return total // 2, total - total // 2

    def shape(self, *inputs: Shape) -> Shape:
        """Return (out, ceil(H / stride), ceil(W / stride))."""
        channels = inputs[0][0]
        if self.kernel % 2 == 0 or self.act not in ACTIVATIONS:
            raise ValueError(f"conv needs an odd kernel and an activation of {ACTIVATIONS}: {self}")
        if channels % self.groups or self.out % self.groups:
            raise ValueError(f"{self.groups} groups must divide both {channels} and {self.out} channels")
        return strided(inputs[0], self.out, self.stride)

    def parameters(self, *inputs: Shape) -> Parameters:
        """Return kernel (out, C / groups, k, k) and bias (out,)."""
        return {"weight": (self.out, inputs[0][0] // self.groups, self.kernel, self.kernel), "bias": (self.out,)}

    def label(self) -> str:
        """Return for example `conv k3 s2 g1 relu6 16`; a dilation other than 1 comes last, `d2`, and then `same`."""
        dilated = f" d{self.dilation}" if self.dilation > 1 else ""  # older tables keep their keys
        same = " same" if self.same else ""
        return f"conv k{self.kernel} s{self.stride} g{self.groups} {self.act} {self.out}{dilated}{same}"


# Reads what `Conv.label` and `Node.key` write, up to the channels of the input: nobody asks for its sides.
_CONV_KEY = re.compile(r"conv k(\d+) s(\d+) g(\d+) (\w+) (\d+)(?: d(\d+))?( same)? \| (\d+)x")


def parse_conv(key: str) -> tuple[Conv, int] | None:
    """Return the convolution of a table's row and the channels that it reads; None for a row of another op.

    >>> parse_conv("conv k3 s2 g1 relu6 16 | 3x224x224")
    (Conv(out=16, kernel=3, stride=2, groups=1, act='relu6', dilation=1, same=False, epsilon=1e-05), 3)
    """
    if not (match := _CONV_KEY.match(key)):
        return None
    kernel, stride, groups, act, out, dilation, same, channels = match.groups()
    return Conv(int(out), int(kernel), int(stride), int(groups), act, int(dilation or 1), bool(same)), int(channels)


@dataclass(frozen=True, slots=True)
class FactorizedReduce(Op):
    """Half the side without losing pixels: two 1x1 convolutions of stride 2, the second one pixel down and right.

    Each gives half the channels (DARTS, arXiv:1806.09055); folded batch norm over both. Beyond the image are zeros.
    """

    kind: ClassVar[str] = "factorized_reduce"
    out: int

    def shape(self, *inputs: Shape) -> Shape:
        """Return (out, ceil(H / 2), ceil(W / 2))."""
        if self.out % 2:
            raise ValueError(f"factorized_reduce needs an even number of channels: {self}")
        return strided(inputs[0], self.out, 2)

    def parameters(self, *inputs: Shape) -> Parameters:
        """Return the kernels of both (out, C, 1, 1), the first half first, and bias (out,)."""
        return {"weight": (self.out, inputs[0][0], 1, 1), "bias": (self.out,)}

    def label(self) -> str:
        """Return for example `factorized_reduce 32`."""
        return f"factorized_reduce {self.out}"


@dataclass(frozen=True, slots=True)
class Pool(Op):
    """Max or average pooling; the average leaves padding out.

    Args:
        padded: whether kernel // 2 rows surround the image, for which the kernel must be odd; else there are none, and
            rows at the end that fill no window are left out.
    """

    kind: ClassVar[str] = "pool"
    mode: str
    kernel: int = 3
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> int:
        """Return how many rows surround the image, on each side."""
        return self.kernel // 2 if self.padded else 0

    def shape(self, *inputs: Shape) -> Shape:
        """Return (C, ceil(H / stride), ceil(W / stride)); without padding (C, (H - kernel) // stride + 1, ...)."""
        if self.mode not in ("max", "avg") or (self.padded and self.kernel % 2 == 0):
            raise ValueError(f"pool needs mode max or avg, and an odd kernel if it is padded: {self}")
        channels, *sides = inputs[0]
        if min(sides) + 2 * self.padding < self.kernel:
            raise ValueError(f"pool of {self.kernel} pixels over {shape_text(inputs[0])}")
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in sides)
        return channels, height, width

    def label(self) -> str:
        """Return for example `pool max k3 s2`; without padding, `p0` comes last."""
        return f"pool {self.mode} k{self.kernel} s{self.stride}{'' if self.padded else ' p0'}"


@dataclass(frozen=True, slots=True)
class Act(Op):
    """An activation on its own."""

    kind: ClassVar[str] = "act"
    act: str

    def shape(self, *inputs: Shape) -> Shape:
        """Return the input's shape."""
        if self.act not in ACTIVATIONS:
            raise ValueError(f"act needs an activation of {ACTIVATIONS}: {self}")
        return inputs[0]

    def label(self) -> str:
        """Return for example `act hswish`."""
        return f"act {self.act}"


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """Fully connected layer on (C, 1, 1)."""

    kind: ClassVar[str] = "linear"
    out: int

    def shape(self, *inputs: Shape) -> Shape:
        """Return (out, 1, 1)."""
        if inputs[0][1:] != (1, 1):
            raise ValueError(f"linear needs (C, 1, 1), got {inputs[0]}")
        return self.out, 1, 1

    def parameters(self, *inputs: Shape) -> Parameters:
        """Return matrix (out, C) and bias (out,)."""
        return {"weight": (self.out, inputs[0][0]), "bias": (self.out,)}

    def label(self) -> str:
        """Return for example `linear 10`."""
        return f"linear {self.out}"


@dataclass(frozen=True, slots=True)
class GlobalPool(Op):
    """Mean over height and width."""

    kind: ClassVar[str] = "global_pool"

    def shape(self, *inputs: Shape) -> Shape:
        """Return (C, 1, 1)."""
        return inputs[0][0], 1, 1


@dataclass(frozen=True, slots=True)
class SqueezeExcite(Op):
    """Channel attention: mean, 1x1 to `hidden` with `act`, 1x1 back, `gate`, product (arXiv:1709.01507).

    The gate of our own spaces is a sigmoid, not the hard sigmoid of MobileNetV3: phones' accelerators do not run the
    latter.
    """

    kind: ClassVar[str] = "se"
    hidden: int
    act: str = "relu"
    gate: str = "sigmoid"

    def shape(self, *inputs: Shape) -> Shape:
        """Return the input's shape."""
        if self.act not in ACTIVATIONS or self.gate not in GATES:
            raise ValueError(f"se needs an activation of {ACTIVATIONS} and a gate of {GATES}: {self}")
        return inputs[0]

    def parameters(self, *inputs: Shape) -> Parameters:
        """Return `reduce` (hidden, C, 1, 1) and `expand` (C, hidden, 1, 1), each with its bias."""
        channels = inputs[0][0]
        return {
            "reduce.weight": (self.hidden, channels, 1, 1),
            "reduce.bias": (self.hidden,),
            "expand.weight": (channels, self.hidden, 1, 1),
            "expand.bias": (channels,),
        }

    def label(self) -> str:
        """Return for example `se 24`; what is not relu and sigmoid comes last, `se 24 silu sigmoid`."""
        plain = (self.act, self.gate) == ("relu", "sigmoid")
        return f"se {self.hidden}" + ("" if plain else f" {self.act} {self.gate}")


@dataclass(frozen=True, slots=True)
class Add(Op):
    """Sum of two tensors of one shape."""

    kind: ClassVar[str] = "add"

    def shape(self, *inputs: Shape) -> Shape:
        """Return the common shape."""
        # Two and no more: where one term is zeros, `derive` puts the other in place of the sum.
        if len(inputs) != 2 or inputs[0] != inputs[1]:
            raise ValueError(f"add needs two equal shapes, got {inputs}")
        return inputs[0]


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Channels of all inputs, in order."""

    kind: ClassVar[str] = "concat"

    def shape(self, *inputs: Shape) -> Shape:
        """Return (sum of C, H, W)."""
        if len({shape[1:] for shape in inputs}) != 1:
            raise ValueError(f"concat needs equal sides, got {inputs}")
        return sum(shape[0] for shape in inputs), *inputs[0][1:]


@dataclass(frozen=True, slots=True)
class Zero(Op):
    """A tensor of zeros of the input's shape: the `none` of cell spaces. `derive` drops what it makes dead."""

    kind: ClassVar[str] = "zero"


@dataclass(frozen=True, slots=True)
class Choose(Op):
    """One of its inputs, which share a shape: input i is taken when `choice` has option `options[i]`."""

    kind: ClassVar[str] = "choose"
    choice: str
    options: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        """Return the common shape."""
        if len(set(inputs)) != 1:
            raise ValueError(f"alternatives of {self.choice!r} differ in shape: {inputs}")
        return inputs[0]


# Kernels that training follows with a batch norm, which is folded into them when they are exported.
NORMALISED = (Conv, FactorizedReduce)
# Ops that are present in programs and absent from every price list: no runtime runs them.
FREE = (Input, Zero, Choose)
