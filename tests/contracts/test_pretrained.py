"""Every source of trained networks, by existing: what it lists can be built, and becomes a space without a download."""

from __future__ import annotations

import socket

import pytest

from edgenas.errors import EnvironmentFault
from edgenas.graph.ops import Shape
from edgenas.spaces.build import parse_spec
from edgenas.system import plugins

SHAPE: Shape = (3, 64, 64)
NAMES = [
    f"{source}:{variant}".rstrip(":")
    for source in plugins.names("pretrained")
    for variant in plugins.load("pretrained", source).variants()
]
networks = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *args, **kwargs: pytest.fail("a socket was opened"))


def build(name: str):
    source, variant = plugins.pretrained(name)
    try:
        return plugins.load("pretrained", source).build(variant)
    except EnvironmentFault as error:
        pytest.skip(str(error))


def test_networks_are_listed():
    assert {"efficientnet-lite0", "torchvision:mobilenet_v3_large", "torchvision:resnet50"} <= set(NAMES)


@networks
def test_a_network_says_what_it_takes(name):
    network = build(name)
    assert network.name == name
    assert len(network.mean) == len(network.std) == 3 and all(0 < std < 1 for std in network.std)
    assert 64 <= network.side <= 512 and network.licence and network.hint


@networks
def test_a_network_becomes_a_space_with_choices(name):
    space = build(name).space(SHAPE, 10)
    graph = space.graph(space.whole)
    assert graph.output.shape == (10, 1, 1)
    assert len(space.choices) > 5
    # What a results file names is found again, without weights.
    assert parse_spec(space.spec).choices == space.choices


@networks
def test_weights_that_are_not_here_say_what_brings_them(name):
    network = build(name)
    if network.is_here:
        return
    with pytest.raises(EnvironmentFault, match="not here|are not in|pip install"):
        network.weights()
