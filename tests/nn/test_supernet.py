from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from edgenas.graph.graph import Builder, Graph
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet, parameter_key, weight_groups
from tests._toys import Recipe, Shared, all_archs, recipes


@pytest.fixture
def supernet() -> Supernet:
    return Supernet(Shared(), torch.Generator().manual_seed(0))


def images(shape, count: int = 4) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


def test_groups_are_as_large_as_their_largest_member(supernet):
    shapes = {group: {name: tuple(shape) for name, shape in s.items()} for group, (_, s) in supernet.groups.items()}
    assert shapes == {
        "stem": {"weight": (8, 3, 3, 3), "scale": (8,), "shift": (8,)},
        "mix": {"weight": (16, 8, 5, 5), "scale": (16,), "shift": (16,)},
        "se": {
            "reduce.weight": (8, 16, 1, 1),
            "reduce.bias": (8,),
            "expand.weight": (16, 8, 1, 1),
            "expand.bias": (16,),
        },
        "project": {"weight": (8, 16, 1, 1), "scale": (8,), "shift": (8,)},
        "classifier": {"weight": (4, 8), "bias": (4,)},
    }


def test_slices_take_leading_channels_and_the_centre_of_the_kernel(supernet):
    space = supernet.space
    small = {node.name: node for node in space.graph((0, 0, 0, 1))}
    mix = supernet.shared[parameter_key("mix", "weight")]
    assert torch.equal(supernet.weights(small["e1.k3"])["weight"], mix[:4, :4, 1:4, 1:4])
    assert torch.equal(supernet.weights(small["e1.k3"])["scale"], supernet.shared[parameter_key("mix", "scale")][:4])
    gate = supernet.weights(small["e1.se"])  # sliced on both sides
    assert torch.equal(gate["reduce.weight"], supernet.shared[parameter_key("se", "reduce.weight")][:2, :4])
    assert torch.equal(gate["expand.weight"], supernet.shared[parameter_key("se", "expand.weight")][:4, :2])


def test_slices_are_views_so_training_one_trains_the_group(supernet):
    node = next(node for node in supernet.space.graph((0, 0, 0, 0)) if node.name == "e1.k3")
    with torch.no_grad():
        supernet.weights(node)["weight"].fill_(7.0)
    mix = supernet.shared[parameter_key("mix", "weight")]
    assert (mix == 7.0).sum() == 4 * 4 * 3 * 3


def test_a_network_that_is_absorbed_is_a_slice(supernet):
    arch = (1, 1, 1, 1)
    network = Network(supernet.space.graph(arch), torch.Generator().manual_seed(7))
    assert not all(map(torch.equal, supernet.subnet(arch).parameters(), network.parameters()))
    supernet.load_subnet(network)
    assert all(map(torch.equal, supernet.subnet(arch).parameters(), network.parameters()))


def test_subnet_has_copies(supernet):
    subnet = supernet.subnet((1, 1, 1, 1))
    before = supernet.shared[parameter_key("stem", "weight")].clone()
    with torch.no_grad():
        subnet.layer("stem").weights["weight"].zero_()
    assert torch.equal(supernet.shared[parameter_key("stem", "weight")], before)


def test_restricted_statics_make_a_smaller_supernet(supernet):
    narrow = Supernet(supernet.space.restrict({"width": [0]}))
    assert narrow.shared[parameter_key("mix", "weight")].shape == (8, 4, 5, 5)
    x = images((3, 8, 8))
    for arch in ((0, 1, 1, 1), (0, 0, 0, 0)):
        torch.testing.assert_close(narrow(x, arch), narrow.subnet(arch).train()(x))


@settings(max_examples=40)
@given(recipes(max_steps=10))
def test_supernet_is_the_network_with_copied_weights(space: Recipe):
    supernet = Supernet(space, torch.Generator().manual_seed(0))
    x = images(space.shape)
    for arch in all_archs(space)[:4]:
        if any(node.parameters for node in space.graph(arch)):
            torch.testing.assert_close(supernet(x, arch), supernet.subnet(arch).train()(x))


def test_a_group_joins_ops_of_one_kind_only():
    g = Builder((3, 4, 4), (), {})
    x = g.conv("a", g.input, out=4, weights="shared")
    g.linear("b", g.global_pool("mean", x), out=2, weights="shared")
    with pytest.raises(ValueError, match="weight group 'shared' joins ops of different kinds"):
        weight_groups([g.graph()])


def test_groups_of_no_program_are_none():
    assert weight_groups([]) == {}
    assert weight_groups([Graph((Builder((3, 4, 4), (), {}).input,))]) == {}
