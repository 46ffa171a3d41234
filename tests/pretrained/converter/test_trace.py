"""What the converter refuses names the layer and the reason; what it reads becomes one step a kernel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgenas.errors import UsageError
from edgenas.graph.ops import Act, Conv, SqueezeExcite
from edgenas.pretrained.converter.trace import trace
from tests.pretrained._networks import FAMILIES, Attention, Flat, Swish, conv, stirred


def test_a_kernel_is_one_step():
    steps = trace(stirred(FAMILIES["mobilenet_v3"]()), "mine")
    assert [
        step.op.kind for step in steps.values()
    ] == "conv conv conv se conv add conv global_pool linear act linear".split()
    assert [step.op for step in steps.values() if isinstance(step.op, SqueezeExcite)] == [
        SqueezeExcite(8, "relu", "hsigmoid")
    ]
    assert {step.op.act for step in steps.values() if isinstance(step.op, Conv)} == {"none", "hswish"}


def test_a_product_with_its_sigmoid_is_an_activation():
    steps = trace(Flat(nn.Sequential(nn.Conv2d(3, 8, 1), Swish(), nn.Conv2d(8, 8, 1)), nn.Linear(8, 2)), "mine")
    assert [getattr(step.op, "act", "") for step in steps.values()] == ["silu", "none", "", ""]


def test_a_value_that_two_read_keeps_its_own_step():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Linear(8, 2)

        def forward(self, x):
            x = self.norm(self.conv(x))
            return self.fc((x + torch.relu(x)).mean([2, 3]))

    steps = trace(stirred(Two()), "mine")
    assert [step.op.kind for step in steps.values()] == ["conv", "act", "add", "global_pool", "linear"]
    assert list(steps.values())[1].op == Act("relu")


class Called(nn.Module):
    """A network whose forward is given."""

    def __init__(self, forward, **layers: nn.Module) -> None:
        super().__init__()
        self.calls = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.calls(self, x)


REFUSED = [
    (nn.Conv2d(3, 8, 4, 4), "layer '0' is a convolution with a kernel of 4x4, not of an odd side such as 3"),
    (nn.Conv2d(3, 8, 3, 1, 0), "layer '0' is a 3x3 convolution with padding (0, 0), not 1"),
    (nn.Conv2d(3, 8, (1, 3), 1, (0, 1)), "layer '0' is a kernel of (1, 3), which is no square"),
    (
        nn.Conv2d(3, 8, 3, 1, 1, padding_mode="reflect"),
        "layer '0' is a convolution with padding 'reflect', not with zeros",
    ),
    (nn.GELU(), "layer '0' is a GELU"),
    (nn.BatchNorm2d(3), "layer '0' is a batch norm that edgenas cannot express"),
    (nn.InstanceNorm2d(3), "layer '0' is a InstanceNorm2d"),
    (nn.AdaptiveAvgPool2d(7), "layer '0' is an adaptive average to 7, not to one pixel"),
    (nn.MaxPool2d(3, 2, 0, ceil_mode=True), "layer '0' is max pooling of 3 pixels with padding 0 and ceil_mode"),
    (nn.AvgPool2d(3, 1, 1), "layer '0' is an average over zeros around the image"),
    (nn.BatchNorm2d(3, track_running_stats=False), "layer '0' is a batch norm without running statistics"),
    (Called(lambda self, x: x * 2), "is a mul with a number"),
    (Called(lambda self, x: x.transpose(2, 3)), "is the call transpose(2, 3)"),
    (Called(lambda self, x: torch.cat([x, x], 2)), "a concatenation along another axis than channels"),
    (Called(lambda self, x: x.view(x.size(0), 3, 2, -1)), "a change of the tensor's form"),
    (Called(lambda self, x: self.a(self.a(x)), a=nn.Conv2d(3, 3, 1)), "is used twice"),
    (Attention(3, 8, nn.ReLU, nn.Tanh), "is a Tanh"),
]


@pytest.mark.parametrize("layer, message", REFUSED, ids=[message[:50] for _, message in REFUSED])
def test_what_the_vocabulary_lacks_is_named(layer, message):
    with pytest.raises(UsageError, match="mine: ") as error:
        trace(nn.Sequential(layer, conv(3, 8)), "mine")
    assert message in str(error.value)


def test_a_forward_that_depends_on_values_cannot_be_traced():
    network = Called(lambda self, x: x if x.sum() > 0 else -x)
    with pytest.raises(UsageError, match=r"mine: torch.fx cannot trace it \(TraceError"):
        trace(network, "mine")


def test_a_network_of_two_results_is_refused():
    with pytest.raises(UsageError, match="it returns tuple, not one tensor of logits"):
        trace(Called(lambda self, x: (x, x)), "mine")
