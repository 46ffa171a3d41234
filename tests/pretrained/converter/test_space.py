"""The space of a trained network: exactly that network, and what can be cut out of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.errors import UsageError
from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.session import outputs
from edgenas.graph.graph import OPTION
from edgenas.nn.network import fresh_network
from edgenas.nn.supernet import Supernet
from edgenas.pretrained.converter.blocks import LEFT_OUT, cut
from edgenas.pretrained.converter.space import WIDTHS, PretrainedSpace, resolutions
from edgenas.pretrained.converter.trace import trace
from edgenas.spaces.sampling import sample
from edgenas.testing import spaces as contract
from tests.pretrained._networks import FAMILIES, conv, stirred

SIDES = (32, 45, 64)  # even, odd, and one that halves well
families = pytest.mark.parametrize("family", FAMILIES)


def space_of(family: str, side: int = 64, classes: int = 7) -> tuple[torch.nn.Module, PretrainedSpace]:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # whichever tests were before
        module = stirred(FAMILIES[family]())
    return module, PretrainedSpace((3, side, side), classes, trace(module, family), family)


def pictures(side: int, count: int = 8) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@families
@pytest.mark.parametrize("side", SIDES)
def test_the_whole_network_is_the_original(family, side):
    """Its channels are sorted, which changes the order of sums and nothing else; ONNX computes the same."""
    module, space = space_of(family, side)
    network = fresh_network(space, space.whole, 0, "cpu").eval()
    x = pictures(side)
    with torch.no_grad():
        expected, found = module(x), network(x)
    assert expected.std() > 0.01, "these networks tell images apart"
    assert (found - expected).abs().max() < 1e-4
    file = to_bytes(to_onnx(network.graph, network.folded()))
    assert np.abs(outputs(file, x.numpy()) - expected.numpy()).max() < 1e-4


@families
def test_the_space_keeps_the_contract_of_spaces(family):
    contract.space_contract(space_of(family)[1])


def test_a_cut_keeps_the_leading_channels_and_the_centre_of_the_kernel():
    module, space = space_of("lite")
    arch = list(space.whole)
    arch[space.index["b1.expand"]] = 2
    arch[space.index["b1.kernel"]] = 1
    whole, cut = (fresh_network(space, tuple(a), 0, "cpu") for a in (space.whole, arch))
    full, part = (
        {n.weights.partition(OPTION)[0]: net.layer(n.name).weights["weight"] for n in net.graph.priced if n.parameters}
        for net in (whole, cut)
    )
    block = "body.4"
    assert torch.equal(part[f"{block}.expand.0"], full[f"{block}.expand.0"][:48])
    assert torch.equal(part[f"{block}.depthwise.0"], full[f"{block}.depthwise.0"][:48, :, 1:4, 1:4])
    assert torch.equal(part[f"{block}.project.0"], full[f"{block}.project.0"][:, :48])
    changed = {name for name, weight in part.items() if weight.shape != full[name].shape}
    assert changed == {f"{block}.{layer}.0" for layer in ("expand", "depthwise", "project")}


@families
def test_a_width_cuts_all_channels_but_those_of_image_groups_and_logits(family):
    _, space = space_of(family)
    arch = (0, len(WIDTHS) - 1, *space.whole[2:])
    full, narrow = (space.graph(a) for a in (space.whole, arch))
    for before, after in zip(full, narrow, strict=True):
        fixed = before.name in ("input", space.last.name) or getattr(before.op, "groups", 1) not in (1, before.shape[0])
        assert after.shape[1:] == before.shape[1:]
        if fixed:
            assert after.shape == before.shape
        else:
            assert after.shape[0] in (before.shape[0], cut(before.shape[0], 0.5))
    parameters = [sum(np.prod(s) for n in g.priced for s in n.parameters.values()) for g in (full, narrow)]
    assert parameters[1] < parameters[0] or family == "grouped"


def test_a_search_looks_at_the_whole_width_first():
    _, space = space_of("lite")
    assert all(space.preferred.static_values(statics)["width"] == 1 for statics in space.preferred.all_statics())
    narrow = space.restrict({"width": [1, 2]})
    assert narrow.preferred.allowed == narrow.allowed, "unless it is not allowed"


def test_a_block_that_is_left_out_is_its_shortcut():
    module, space = space_of("resnet")
    arch = list(space.whole)
    for block in space.blocks:
        if block.shortcut:
            arch[space.index[f"{block.name}.expand"]] = block.ratios.index(LEFT_OUT)
    network = fresh_network(space, tuple(arch), 0, "cpu").eval()
    x = pictures(64)
    with torch.no_grad():
        y = module.body[3](torch.relu(module.body[1](module.body[0](x))))
        assert (network(x) - module.classifier(y.mean((2, 3)))).abs().max() < 1e-4
    assert sum(node.op.kind == "add" for node in network.graph) == 1, "only the block with a projection is left"


def test_the_supernet_begins_with_the_trained_weights():
    module, space = space_of("mobilenet_v3")
    supernet = Supernet(space)
    arch = sample(space, np.random.default_rng(1))
    alone = fresh_network(space, arch, 0, "cpu")
    shared = supernet.subnet(arch)
    for node in alone.graph.priced:
        for name, weight in alone.layer(node.name).weights.items():
            assert torch.equal(weight, shared.layer(node.name).weights[name])


def test_other_classes_get_a_new_last_layer():
    _, space = space_of("efficientnet", classes=4)
    network = fresh_network(space, space.whole, 0, "cpu")
    assert network.needs_head and network.graph.output.shape == (4, 1, 1)
    assert not fresh_network(space_of("efficientnet")[1], space.whole, 0, "cpu").needs_head


@pytest.mark.parametrize(
    "side, expected",
    [(64, (64,)), (96, (96, 88, 80, 72, 64)), (100, (100, 96, 88, 80, 72, 64)), (144, (144, 128, *range(120, 63, -8)))],
)
def test_resolutions_go_down_from_the_images(side, expected):
    assert resolutions(side) == expected


def test_hidden_channels_are_found_in_every_family():
    found = {family: [(b.name, b.ratios, b.kernels) for b in space_of(family)[1].blocks] for family in FAMILIES}
    all_ratios = (1.0, 0.75, 0.5, 0.33)
    assert found == {
        "lite": [("b0", all_ratios, (5, 3)), ("b1", (*all_ratios, 0.0), (5, 3))],
        "mobilenet_v3": [("b0", (*all_ratios, 0.0), (5, 3)), ("b1", all_ratios, ())],
        "efficientnet": [("b0", (*all_ratios, 0.0), (7, 5, 3)), ("b1", all_ratios, ())],
        "resnet": [
            ("b0", (1.0,), (7, 5, 3)),
            ("b1", (1.0, 0.5, 0.0), ()),
            ("b2", all_ratios, ()),
            ("b3", (*all_ratios, 0.0), ()),
        ],
        "grouped": [],
    }


def test_a_network_that_does_not_end_in_a_linear_layer_is_refused():
    module = torch.nn.Sequential(conv(3, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(UsageError, match="its last layer '.*' is a global_pool, not linear"):
        PretrainedSpace((3, 64, 64), 8, trace(module, "mine"), "mine")
