"""Cuts of a trained network, fitted in closed form to what the whole one gives."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch

from edgenas.graph.graph import OPTION
from edgenas.graph.ops import SqueezeExcite
from edgenas.nn.network import Network, fresh_network, reestimate_batch_norm
from edgenas.nn.reconstruction import Reference, fitted_options
from tests.pretrained.converter.test_space import space_of

SIDE = 64
FAMILIES = ("lite", "mobilenet_v3", "efficientnet", "resnet")


def images(count: int = 32) -> torch.Tensor:
    """Smooth noise, of which neighbouring pixels are alike, as those of photos are."""
    coarse = torch.randn((count, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


def made(space, arch) -> Network:
    network = fresh_network(space, arch, 0, "cpu")
    reestimate_batch_norm(network, [(images(), torch.zeros(32))])
    return network


def fitted_to(whole: Network, network: Network) -> Network:
    Reference(whole, images()).fit(network, images())
    return network


@torch.no_grad()
def difference(a: Network, b: Network) -> float:
    """Mean square of the difference of two networks' logits, as a share of that of the first one's."""
    logits = a.eval()(images())
    return float((logits - b.eval()(images())).square().mean() / logits.square().mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_network_stays_what_it_is(family):
    space = space_of(family, SIDE, classes=3)[1]
    whole = made(space, space.whole)
    assert difference(whole, fitted_to(whole, made(space, space.whole))) < 1e-5


@torch.no_grad()
def given(network: Network, groups: Iterable[str]) -> list[torch.Tensor]:
    """What the layers of these groups give, of which a cut may have fewer."""
    names = {node.weights.partition(OPTION)[0]: node.name for node in network.graph.priced}
    names = {group: names[group] for group in groups if group in names}
    values = network.eval().values(images(), kept=set(names.values()))
    return [values[names[group]] for group in groups if group in names]


def optioned(space, whole: Network):
    """The space with weights of its own for each number of channels, found in one pass of the whole network."""
    found = fitted_options(whole, images(), {name: ratios.values() for name, ratios in space.readers.items()})
    assert found.keys() == space.readers.keys()
    return space.with_options(
        {
            f"{name}{OPTION}{ratio:g}.{parameter}": tensor.numpy()
            for name, ratios in space.readers.items()
            for ratio, count in ratios.items()
            for parameter, tensor in found[name][count].items()
        }
    )


@pytest.mark.parametrize("way", ["one pass", "fit"])
@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "resnet"])
def test_what_reads_the_channels_that_are_left_comes_nearer_to_the_whole(family, way):
    """Of one block that is cut, all before it being whole: the fit is then on what the whole network has there."""
    space = space_of(family, SIDE, classes=3)[1].restrict({"width": [0], "resolution": [0]})
    whole = made(space, space.whole)
    groups, gains, fitting = Reference(whole, images()).names, [], optioned(space, whole)
    expected = given(whole, groups)
    for place, choice in enumerate(space.choices):
        for option in space.allowed[place][1:]:
            if not choice.name.endswith(".expand") or choice.options[option] == 0:
                continue
            arch = (*space.whole[:place], option, *space.whole[place + 1 :])
            fitted = made(fitting, arch) if way == "one pass" else fitted_to(whole, made(space, arch))
            errors = [
                [float((x - y).square().mean()) for x, y in zip(given(network, groups), expected, strict=True)]
                for network in (made(space, arch), fitted)
            ]
            # The first projection that differs is that of the block.
            sizes = [1e-6 * float(y.square().mean()) for y in expected]
            first = next((i for i, error in enumerate(errors[0]) if error > sizes[i]), None)
            if first is not None:
                gated = way == "one pass" and any(isinstance(n.op, SqueezeExcite) for n in fitted.graph.priced)
                assert gated or errors[1][first] <= 1.001 * errors[0][first]
                gains.append(errors[1][first] / errors[0][first])
    assert gains and min(gains) < 0.9 and sum(gains) < len(gains)


def test_what_is_of_another_width_is_left_alone():
    space = space_of("lite", SIDE, classes=3)[1]
    arch = list(space.whole)
    arch[space.index["width"]] = 1
    narrow = made(space, tuple(arch))
    before = {name: tensor.clone() for name, tensor in narrow.state_dict().items() if name.endswith("weight")}
    Reference(made(space, space.whole), images()).fit(narrow, images())
    whole = made(space, space.whole).state_dict()
    for name, tensor in before.items():
        if tensor.shape[0] != whole[name].shape[0]:
            assert torch.equal(tensor, narrow.state_dict()[name])
    assert all(torch.isfinite(tensor).all() for tensor in narrow.state_dict().values())
