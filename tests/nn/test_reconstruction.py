"""Cuts of a trained network, fitted in closed form to what the whole one gives."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch

from edgenas.nn.network import Network, fresh_network, reestimate_batch_norm
from edgenas.nn.reconstruction import Reference
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
    Reference(whole, images()).fit(network)
    reestimate_batch_norm(network, [(images(), torch.zeros(32))])
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
    names = {node.weights: node.name for node in network.graph.priced if node.weights in groups}
    values = network.eval().values(images(), kept=set(names.values()))
    return [values[names[group]] for group in groups if group in names]


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "resnet"])
def test_what_reads_the_channels_that_are_left_comes_nearer_to_the_whole(family):
    """Of one block that is cut, all before it being whole: the fit is then on what the whole network has there."""
    space = space_of(family, SIDE, classes=3)[1].restrict({"width": [0], "resolution": [0]})
    whole = made(space, space.whole)
    groups, gains = Reference(whole, images()).names, []
    expected = given(whole, groups)
    for place, choice in enumerate(space.choices):
        for option in space.allowed[place][1:]:
            if not choice.name.endswith(".expand") or choice.options[option] == 0:
                continue
            arch = (*space.whole[:place], option, *space.whole[place + 1 :])
            plain, fitted = given(made(space, arch), groups), given(fitted_to(whole, made(space, arch)), groups)
            errors = [
                [float((x - y).square().mean()) for x, y in zip(of, expected, strict=True)] for of in (plain, fitted)
            ]
            first = next(
                (i for i, error in enumerate(errors[0]) if error > 1e-6 * float(expected[i].square().mean())), None
            )
            if first is not None:
                assert errors[1][first] <= 1.001 * errors[0][first]
                gains.append(errors[1][first] / errors[0][first])
    assert gains and min(gains) < 0.9


def test_what_is_of_another_width_is_left_alone():
    space = space_of("lite", SIDE, classes=3)[1]
    arch = list(space.whole)
    arch[space.index["width"]] = 1
    narrow = made(space, tuple(arch))
    before = {name: tensor.clone() for name, tensor in narrow.state_dict().items() if name.endswith("weight")}
    Reference(made(space, space.whole), images()).fit(narrow)
    whole = made(space, space.whole).state_dict()
    for name, tensor in before.items():
        if tensor.shape[0] != whole[name].shape[0]:
            assert torch.equal(tensor, narrow.state_dict()[name])
    assert all(torch.isfinite(tensor).all() for tensor in narrow.state_dict().values())
