"""What every search space keeps: each plugin file is built at three image shapes, as far as they fit it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from fvcore.nn import parameter_count
from torch.utils.flop_counter import FlopCounterMode

from edgenas.cost.base import many_additive
from edgenas.cost.counts import CountCost, Counts, count_ops, flop_counter
from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Node
from edgenas.latency.correction import Correction
from edgenas.latency.predictor import Latency, Prices
from edgenas.nn.layers import trainable
from edgenas.nn.network import Network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet, parameter_key
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.spaces.build import build_space, parse_spec
from edgenas.spaces.sampling import crossover, free_choices, mutate, neighbours, one_hot, sample
from edgenas.system import plugins
from tests.latency.tables import table_of

SHAPES = ((1, 28, 28), (3, 64, 64), (3, 224, 224))
CLASSES = 10
CORRECTION = Correction((0.8,) * 8 + (0.002, 0.01, 0.003), 0.03, 0.1, 100)


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
# For what builds networks: the smallest images that fit.
one_of_each = pytest.mark.parametrize(
    "space", [spaces[0] for spaces in SPACES.values() if spaces], ids=lambda s: s.spec
)


def samples(space: SearchSpace, count: int, seed: int = 0) -> list[Arch]:
    rng = np.random.default_rng(seed)
    return [sample(space, rng) for _ in range(count)]


def some_statics(space: SearchSpace) -> list[Statics]:
    """The first and the last combination of static options."""
    statics = list(space.all_statics())
    return list(dict.fromkeys((statics[0], statics[-1])))


def images(space: SearchSpace, arch: Arch, count: int = 4, seed: int = 0) -> torch.Tensor:
    shape = space.graph(arch).input.shape
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


@cache
def counts(space: SearchSpace) -> dict[str, Counts]:
    """Counts of every op that the tests below meet, traced once."""
    nodes = [node for statics in some_statics(space) for node in space.supergraph(statics)]
    return count_ops(nodes + [node for arch in samples(space, 3) for node in space.graph(arch)])


def costs(space: SearchSpace) -> list[CountCost | Latency]:
    known = counts(space)
    return [CountCost("macs", known), CountCost("params", known), Latency(Prices(table_of(space)), CORRECTION)]


def test_every_space_fits_some_images():
    assert SPACES and all(SPACES.values())


# Architectures


@every_space
def test_decode_inverts_one_hot(space):
    for arch in samples(space, 50):
        assert space.decode(one_hot(space, arch)) == arch
        space.check(arch)


@every_space
def test_decode_and_samples_obey_restrict(space, rng):
    allowed = {choice.name: [int(rng.integers(len(choice.options)))] for choice in space.choices[::2]}
    narrow = space.restrict(allowed)
    for arch in samples(space, 20):
        for found in (narrow.decode(one_hot(space, arch)), mutate(narrow, sample(narrow, rng), rng)):
            assert all(found[narrow.index[name]] == option for name, (option,) in allowed.items())


@every_space
def test_samples_mutants_children_and_neighbours_are_valid(space, rng):
    assert free_choices(space)
    for a, b in zip(samples(space, 10), samples(space, 10, seed=1), strict=True):
        mutant, child, near = mutate(space, a, rng), crossover(a, b, rng), neighbours(space, a)
        for arch in (mutant, child, *near):
            space.check(arch)
        assert mutant in near and a not in near
        assert all(gene in parents for gene, *parents in zip(child, a, b, strict=True))
        assert len(near) == sum(len(choice.options) - 1 for choice in space.choices)


@every_space
def test_architectures_and_spaces_survive_as_text(space):
    assert parse_spec(space.spec).choices == space.choices
    assert len({choice.name for choice in space.choices}) == len(space.choices)
    for arch in samples(space, 20):
        assert space.parse(space.code(arch)) == arch
        assert list(space.values(arch)) == list(space.index)


@every_space
def test_the_published_form_says_what_a_network_computes_but_for_its_size(space):
    for arch in samples(space, 20):
        read = space.parse(space.published(arch))
        assert space.published(read) == space.published(arch)
        assert space.graph(with_statics(space, read, space.statics(arch))).nodes == space.graph(arch).nodes


# Programs


@every_space
def test_programs_classify_the_images(space):
    for arch in samples(space, 20):
        graph = space.graph(arch)
        assert graph.arch == arch
        assert graph.input.shape[0] == space.shape[0] and graph.output.shape == (CLASSES, 1, 1)


@every_space
def test_a_key_is_one_kernel(space):
    meaning: dict[str, object] = {}
    for statics in some_statics(space):
        for node in space.supergraph(statics).priced:
            assert meaning.setdefault(node.key, (node.op, node.in_shapes)) == (node.op, node.in_shapes)


@every_space
def test_live_is_what_derive_keeps(space):
    for statics in some_statics(space):
        archs = [with_statics(space, arch, statics) for arch in samples(space, 30)]
        nodes = space.supergraph(statics).nodes
        for arch, row in zip(archs, space.live(statics, archs), strict=True):
            priced = {node.name for node, live in zip(nodes, row, strict=True) if live and node.priced}
            assert priced == {node.name for node in space.graph(arch).priced}


def with_statics(space: SearchSpace, arch: Arch, statics: Statics) -> Arch:
    fixed = dict(zip(space.static_indices, statics, strict=True))
    return tuple(fixed.get(i, option) for i, option in enumerate(arch))


# Costs


@every_space
def test_costs_are_what_fvcore_finds_in_the_folded_network(space, caplog):
    macs, params, _ = costs(space)
    for arch in samples(space, 2):
        graph = space.graph(arch)
        network, x = Network(graph, folded=True).eval(), images(space, arch, 1)
        assert macs(graph) == flop_counter(network, (x,)).total()
        assert params(graph) == parameter_count(network)[""]
        with FlopCounterMode(display=False) as other, torch.no_grad():
            network(x)
        assert 2 * macs(graph) == pytest.approx(other.get_total_flops(), rel=0.01)
    assert not caplog.records  # fvcore warns of ops that it does not know


@every_space
def test_expected_cost_of_a_certain_choice_is_the_cost(space):
    for statics in some_statics(space):
        for arch in (with_statics(space, arch, statics) for arch in samples(space, 3)):
            for cost in costs(space):
                expected = cost.expected(space, statics, one_hot(space, arch))
                assert expected == pytest.approx(cost(space.graph(arch)), rel=1e-9), cost.metric


@every_space
def test_expected_cost_is_the_mean_over_samples(space, rng):
    statics = some_statics(space)[-1]
    fixed = dict(zip(space.static_indices, statics, strict=True))
    options, columns = [], []
    for i, choice in enumerate(space.choices):
        probabilities = rng.dirichlet(np.ones(len(choice.options)))
        if i in fixed:
            probabilities = np.eye(len(choice.options))[fixed[i]]
        options.append(probabilities.tolist())
        columns.append(rng.choice(len(choice.options), size=20_000, p=probabilities))
    archs = list(zip(*(column.tolist() for column in columns), strict=True))
    for cost, totals in zip(costs(space), many_additive(costs(space), space, archs), strict=True):
        assert cost.expected(space, statics, options) == pytest.approx(totals.mean(), rel=0.02), cost.metric


# Networks


@one_of_each
def test_a_supernet_path_is_the_network_with_copied_weights(space):
    narrow = space.restrict({space.choices[i].name: [0] for i in space.static_indices})
    for each in (space, narrow):
        supernet = Supernet(each, torch.Generator().manual_seed(0))
        for arch in samples(each, 2):
            x = images(space, arch)
            torch.testing.assert_close(supernet(x, arch), supernet.subnet(arch).train()(x))


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
        shared = sum(parameter.numel() for parameter in supernet.parameters())
        assert sum(mask.sum().item() for mask in masks.values()) / shared == pytest.approx(touched_share(supernet, arch))


@one_of_each
def test_each_step_trains_a_good_share_of_the_weights(space):
    """Alternatives share groups; with private weights a path would train one branch in many (run with -s to read).

    Of one size of network: a search narrows sizes to a few before it trains.
    """
    statics = some_statics(space)[-1]
    space = space.restrict({space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)})
    supernet = Supernet(space)
    shared = sum(parameter.numel() for parameter in supernet.parameters())
    nodes = {node.name: node for node in space.supergraph(statics).priced}
    private = sum(sum(torch.Size(s).numel() for s in node.parameters.values()) for node in nodes.values())
    shares = [touched_share(supernet, arch) for arch in samples(space, 100)]
    print(f"\n{space.spec}: {len(supernet.groups)} weight groups, {shared} shared parameters, {private} if private;")
    print(f"touched per step: mean {np.mean(shares):.0%}, least {min(shares):.0%}; {', '.join(supernet.groups)}")
    assert np.mean(shares) > 0.15 and np.quantile(shares, 0.1) > 0.02  # cells of `none` train next to nothing
    assert max(shares) <= 1.0


@one_of_each
def test_onnx_computes_what_pytorch_does(space):
    from edgenas.exporters.onnx import to_bytes, to_onnx
    from edgenas.exporters.session import outputs

    for arch in samples(space, 3):
        network = Network(space.graph(arch), torch.Generator().manual_seed(0))
        reestimate_batch_norm(network, [(images(space, arch, 8, seed), torch.zeros(8)) for seed in range(2)])
        x = images(space, arch, 16, seed=2)
        with torch.no_grad():
            expected = network(x).numpy()
        model = to_bytes(to_onnx(network.graph, network.folded()))
        found = outputs(model, x.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max()))
