"""Networks of torchvision: another implementation of the same families, to compare logits with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgenas.errors import EnvironmentFault, UnknownName
from edgenas.nn.network import Network
from edgenas.pretrained import torchvision
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.trace import trace
from tests.pretrained._networks import stirred


@pytest.mark.parametrize("name", torchvision.NETWORKS)
def test_logits_equal_the_original_s(name):
    module = stirred(torchvision.build(name).module())
    space = PretrainedSpace((3, 64, 64), 1000, trace(module, name), name)
    network = Network(space.graph(space.whole)).eval()
    network.inherit(space.trained)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(x)
        assert (network(x) - expected).abs().max() < 1e-5 * max(1, expected.abs().max())


def test_the_cache_of_torch_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    network = torchvision.build("mobilenet_v3_small")
    assert not network.is_here and network.source.startswith("https://")
    with pytest.raises(EnvironmentFault, match="allow the download with --download, or put https"):
        network.weights()
    file = tmp_path / "checkpoints" / Path(network.source).name
    file.parent.mkdir()
    torch.save(network.module().state_dict(), file)
    assert torchvision.build("mobilenet_v3_small").is_here


def test_an_unknown_network_is_named():
    with pytest.raises(UnknownName, match="torchvision: no network 'resnet19'; there are mobilenet_v2"):
        torchvision.build("resnet19")
