"""Small networks of each family that the converter reads, with weights whose every part matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgenas.pretrained.families.efficientnet_lite import Block, Conv2dSame


def stirred(module: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics, scales and shifts of batch norm that are none of the values they begin with."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(layer.bias, std=0.2, generator=generator)
    return module.eval()


def conv(inside: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: type | None = nn.ReLU):
    layers = [nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Attention(nn.Module):
    """x * gate(expand(act(reduce(mean(x)))))."""

    def __init__(self, channels: int, hidden: int, act: type, gate: type, *, linear: bool = False) -> None:
        super().__init__()
        layer = nn.Linear if linear else lambda a, b: nn.Conv2d(a, b, 1)
        self.reduce, self.expand = layer(channels, hidden), layer(hidden, channels)
        self.act, self.gate, self.linear = act(), gate(), linear

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)
        if self.linear:
            y = y.view(x.size(0), -1)
        y = self.gate(self.expand(self.act(self.reduce(y))))
        if self.linear:
            y = y.view(x.shape[0], y.size(1), 1, 1)
        return x * y


class Inverted(nn.Module):
    """An inverted residual with attention, as in MobileNetV3 and EfficientNet."""

    def __init__(self, channels: int, hidden: int, kernel: int, act: type, gate: type, linear: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, hidden, 1, act=act),
            conv(hidden, hidden, kernel, groups=hidden, act=act),
            Attention(hidden, 8, nn.ReLU, gate, linear=linear),
            conv(hidden, channels, 1, act=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Basic(nn.Module):
    """A block of ResNet-18, with a projection where the shape changes."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv(inside, out, 3, stride), conv(out, out, 3, act=None)
        self.down = conv(inside, out, 1, stride, act=None) if (inside, stride) != (out, 1) else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


class Flat(nn.Module):
    """A body, its mean and a classifier, written with functions."""

    def __init__(self, body: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.body, self.classifier = body, classifier

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.body(x), 1)
        return self.classifier(torch.flatten(x, 1))


class Swish(nn.Module):
    """As it was written before torch had it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


def lite() -> nn.Module:
    body = nn.Sequential(
        Conv2dSame(3, 8, 3, 2, bias=False),
        nn.BatchNorm2d(8, eps=1e-3),
        nn.ReLU6(),
        Block(8, 16, 5, 2, 6),
        Block(16, 16, 5, 1, 6),
    )
    return Flat(body, nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 7)))


def mobilenet_v3() -> nn.Module:
    body = nn.Sequential(
        conv(3, 16, 3, 2, act=nn.Hardswish),
        Inverted(16, 64, 5, nn.Hardswish, nn.Hardsigmoid),
        conv(16, 32, 1, act=nn.Hardswish),
    )
    return Flat(body, nn.Sequential(nn.Linear(32, 48), nn.Hardswish(), nn.Dropout(), nn.Linear(48, 7)))


def efficientnet() -> nn.Module:
    body = nn.Sequential(
        conv(3, 16, 3, 2, act=nn.SiLU),
        Inverted(16, 64, 7, Swish, nn.Sigmoid, linear=True),
        conv(16, 32, 1, act=nn.SiLU),
    )
    return Flat(body, nn.Linear(32, 7, bias=False))


def resnet() -> nn.Module:
    body = nn.Sequential(conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1), Basic(16, 16, 1), Basic(16, 32, 2), Basic(32, 32, 1))
    return Flat(body, nn.Linear(32, 7))


def grouped() -> nn.Module:
    """Grouped convolutions, biases without batch norm, pooling without padding."""
    body = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        conv(16, 32, 3, groups=4),
        nn.Conv2d(32, 32, 3, 1, 2, dilation=2),
        nn.BatchNorm2d(32),
        nn.MaxPool2d(2),
    )
    return Flat(body, nn.Linear(32, 7))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    made.__name__: made for made in (lite, mobilenet_v3, efficientnet, resnet, grouped)
}
