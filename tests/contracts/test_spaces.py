"""What every search space keeps: the shipped contract, and what only our own spaces must do beside it.

Each plugin file is built at three image shapes, as far as they fit it; what builds networks runs at the smallest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from fvcore.nn import parameter_count
from torch.utils.flop_counter import FlopCounterMode

from edgenas.cost.base import AdditiveCost, many_additive
from edgenas.cost.counts import CountCost, Counts, count_ops, flop_counter
from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Node
from edgenas.latency.correction import Correction
from edgenas.latency.predictor import Latency, Prices
from edgenas.nn.layers import trainable
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet, parameter_key
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space, parse_spec
from edgenas.spaces.sampling import free_choices, one_hot
from edgenas.system import plugins
from edgenas.testing import spaces as contract
from edgenas.testing.spaces import images, samples, some_statics, with_statics
from tests.latency.tables import table_of

SHAPES = ((1, 28, 28), (3, 64, 64), (3, 224, 224))
CLASSES = 10
CORRECTION = Correction((0.8,) * 8 + (0.002, 0.01, 0.003), 0.03, 0.1, 100)
# Checks of the contract that build networks, or walk a supergraph for probabilities.
HEAVY = (
    contract.costs_are_what_fvcore_counts,
    contract.expected_costs_are_means,
    contract.shared_weights_are_those_of_the_network,
    contract.onnx_computes_what_the_network_does,
)
LIGHT = tuple(check for check in contract.CHECKS if check not in HEAVY)


def fitting(name: str) -> list[SearchSpace]:
    spaces = []
    for shape in SHAPES:
        try:
            spaces.append(build_space(name, shape, CLASSES))
        except UsageError:
            continue
    return spaces


SPACES = {name: fitting(name) for name in plugins.names("spaces")}
every_space = pytest.mark.parametrize("space", [s for spaces in SPACES.values() for s in spaces], ids=lambda s: s.spec)
one_of_each = pytest.mark.parametrize(
    "space", [spaces[0] for spaces in SPACES.values() if spaces], ids=lambda s: s.spec
)


def of_one_size(space: SearchSpace, end: int = 0) -> SearchSpace:
    """The part of a space with the first or the last option of each shape choice."""
    return space.restrict({space.choices[i].name: [space.allowed[i][end]] for i in space.static_indices})


def test_every_space_fits_some_images():
    assert SPACES and all(SPACES.values())


@every_space
@pytest.mark.parametrize("check", LIGHT, ids=lambda check: check.__name__)
def test_the_shipped_contract(space, check: Callable[[SearchSpace], None]):
    check(space)


@one_of_each
@pytest.mark.parametrize("check", HEAVY, ids=lambda check: check.__name__)
def test_the_shipped_contract_of_costs_and_networks(space, check: Callable[[SearchSpace], None]):
    check(space)


@one_of_each
def test_a_supernet_of_one_size_computes_what_the_network_does(space):
    contract.shared_weights_are_those_of_the_network(of_one_size(space))


@every_space
def test_specs_rebuild_a_space_and_something_is_free(space):
    assert parse_spec(space.spec).choices == space.choices
    assert free_choices(space)
    for arch in samples(space, 5):
        assert list(space.values(arch)) == list(space.index)


# Costs


@cache
def counts(space: SearchSpace) -> dict[str, Counts]:
    """Counts of every op that the tests below meet, traced once."""
    nodes = [node for statics in some_statics(space) for node in space.supergraph(statics)]
    return count_ops(nodes + [node for arch in samples(space, 1) for node in space.graph(arch)])


@cache
def costs(space: SearchSpace) -> list[AdditiveCost]:
    known = counts(space)
    return [CountCost("macs", known), CountCost("params", known), Latency(Prices(table_of(space)), CORRECTION)]


@every_space
def test_costs_are_what_fvcore_finds_in_the_folded_network(space, caplog):
    macs, params, _ = costs(space)
    for arch in samples(space, 1):
        graph = space.graph(arch)
        network, x = Network(graph, folded=True).eval(), images(space, arch, 1)
        assert macs(graph) == flop_counter(network, (x,)).total()
        assert params(graph) == parameter_count(network)[""]
        with FlopCounterMode(display=False) as other, torch.no_grad():
            network(x)
        assert 2 * macs(graph) == pytest.approx(other.get_total_flops(), rel=0.01)
    assert not caplog.records  # fvcore warns of ops that it does not know


@every_space
def test_the_expected_latency_of_a_certain_choice_is_the_latency(space):
    latency = costs(space)[-1]
    for statics in some_statics(space):
        arch = with_statics(space, samples(space, 1)[0], statics)
        expected = latency.expected(space, statics, one_hot(space, arch))
        assert expected == pytest.approx(latency(space.graph(arch)), rel=1e-9)


@every_space
def test_the_expected_latency_is_the_mean_over_samples(space, rng):
    statics = some_statics(space)[-1]
    fixed = dict(zip(space.static_indices, statics, strict=True))
    options, columns = [], []
    for i, choice in enumerate(space.choices):
        certain = np.eye(len(choice.options))
        probabilities = certain[fixed[i]] if i in fixed else rng.dirichlet(np.ones(len(choice.options)))
        options.append(probabilities.tolist())
        columns.append(rng.choice(len(choice.options), size=20_000, p=probabilities))
    archs = list(zip(*(column.tolist() for column in columns), strict=True))
    latency = costs(space)[-1]
    (totals,) = many_additive([latency], space, archs)
    assert latency.expected(space, statics, options) == pytest.approx(totals.mean(), rel=0.02)


# Networks


def touched_share(supernet: Supernet, arch: Arch) -> float:
    """The share of the shared parameters that one architecture trains."""
    used = sum(torch.Size(shape).numel() for node in supernet.space.graph(arch) for shape in trainable(node).values())
    return used / sum(parameter.numel() for parameter in supernet.parameters())


def touched_slices(supernet: Supernet, nodes: tuple[Node, ...]) -> dict[str, torch.Tensor]:
    """Mask per shared parameter: leading channels, centre of the kernel."""
    masks: dict[str, torch.Tensor] = {}
    for node in nodes:
        for name, part in supernet.weights(node).items():
            whole = supernet.shared[parameter_key(node.weights, name)]
            starts = [
                (w - p) // 2 if i >= 2 else 0 for i, (w, p) in enumerate(zip(whole.shape, part.shape, strict=True))
            ]
            mask = masks.setdefault(parameter_key(node.weights, name), torch.zeros(whole.shape, dtype=torch.bool))
            mask[tuple(slice(start, start + size) for start, size in zip(starts, part.shape, strict=True))] = True
    return masks


@one_of_each
def test_gradients_reach_the_touched_slices_only(space):
    supernet = Supernet(space, torch.Generator().manual_seed(0))
    shared = sum(parameter.numel() for parameter in supernet.parameters())
    for arch in samples(space, 2):
        supernet.zero_grad(set_to_none=True)
        logits = supernet(images(space, arch), arch)
        torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        masks = touched_slices(supernet, space.graph(arch).priced)
        for key, parameter in supernet.shared.items():
            if key not in masks:
                assert parameter.grad is None
            else:
                assert parameter.grad is not None
                assert not parameter.grad[~masks[key]].any()
                assert parameter.grad[masks[key]].any() or key.endswith(("shift", "bias"))
        touched = sum(mask.sum().item() for mask in masks.values())
        assert touched / shared == pytest.approx(touched_share(supernet, arch))


@one_of_each
def test_each_step_trains_a_good_share_of_the_weights(space):
    """Alternatives share groups; with private weights a path would train one branch in many (run with -s to read).

    The space has one size of network: a search narrows sizes to a few before it trains.
    """
    statics = some_statics(space)[-1]
    space = of_one_size(space, -1)
    supernet = Supernet(space)
    shared = sum(parameter.numel() for parameter in supernet.parameters())
    nodes = {node.name: node for node in space.supergraph(statics).priced}
    private = sum(sum(torch.Size(s).numel() for s in node.parameters.values()) for node in nodes.values())
    shares = [touched_share(supernet, arch) for arch in samples(space, 100)]
    print(f"\n{space.spec}: {len(supernet.groups)} weight groups, {shared} shared parameters, {private} if private;")
    print(f"touched per step: mean {np.mean(shares):.0%}, least {min(shares):.0%}; {', '.join(supernet.groups)}")
    assert np.mean(shares) > 0.15 and np.quantile(shares, 0.1) > 0.02  # cells of `none` train next to nothing
    assert max(shares) <= 1.0
