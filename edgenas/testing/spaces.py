"""What every search space promises: architectures, programs, costs, shared weights, and ONNX that agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from edgenas.cost.base import AdditiveCost, many_additive
from edgenas.cost.counts import CountCost, flop_counter
from edgenas.errors import UsageError
from edgenas.exploration.feasible import uniform
from edgenas.graph.graph import Arch
from edgenas.graph.ops import Shape
from edgenas.nn.layers import trainable
from edgenas.nn.network import Network, fresh_network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet, parameter_key
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.spaces.sampling import crossover, mutate, neighbours, one_hot, sample
from edgenas.testing.toy import require

SAMPLES = 20  # architectures that are cheap to look at
NETWORKS = 2  # architectures that are built and run
DRAWN = 20_000  # architectures whose mean cost an expected cost is compared with: within 2 %


def space_contract(
    space: SearchSpace | Callable[[Shape, int], SearchSpace], shape: Shape = (3, 32, 32), classes: int = 10
) -> None:
    """Check that a search space keeps all that costs, networks and exports rely on, in some seconds.

    Args:
        space: a space, or a class of one that is called with `shape` and `classes`.
        shape: (C, H, W) of the images, if a class is given.
        classes: of the images, if a class is given.

    Raises:
        AssertionError: it does not; the sentence says where.
        UsageError: it does not take such images, or its program joins what does not fit.

    >>> import edgenas
    >>> edgenas.testing.space_contract(edgenas.testing.toy.ToySpace(3))
    """
    built = space if isinstance(space, SearchSpace) else space(shape, classes)
    for check in CHECKS:
        check(built)


def samples(space: SearchSpace, count: int, seed: int = 0) -> list[Arch]:
    """Return random architectures."""
    return uniform(space, np.random.default_rng(seed), count)  # not by `sample`, which decodes: that is checked


def some_statics(space: SearchSpace) -> list[Statics]:
    """Return the first and the last combination of shape choices."""
    statics = list(space.all_statics())
    return list(dict.fromkeys((statics[0], statics[-1])))


def with_statics(space: SearchSpace, arch: Arch, statics: Statics) -> Arch:
    """Return `arch` with these shape choices.

    Args:
        space: of the architecture.
        arch: which keeps all its other choices.
        statics: an option index for each shape choice.
    """
    fixed = dict(zip(space.static_indices, statics, strict=True))
    return tuple(fixed.get(i, option) for i, option in enumerate(arch))


def images(space: SearchSpace, arch: Arch, count: int = 4, seed: int = 0) -> Tensor:
    """Return noise (count, C, H, W) at the resolution of an architecture."""
    return torch.randn(count, *space.graph(arch).input.shape, generator=torch.Generator().manual_seed(seed))


def architectures_are_read_and_written(space: SearchSpace) -> None:
    """Scores, codes and published forms mean the architecture that they were made of."""
    require(len({choice.name for choice in space.choices}) == len(space.choices), "two choices have one name")
    for arch in samples(space, SAMPLES):
        space.check(arch)
        require(space.decode(one_hot(space, arch)) == arch, f"decode does not invert one_hot of {arch}")
        require(space.parse(space.code(arch)) == arch, f"parse does not invert code of {arch}")
        # What papers write leaves out shape choices and whatever decides nothing, so programs are compared.
        read = space.parse(space.published(arch))
        again = with_statics(space, read, space.statics(arch))
        require(space.graph(again).nodes == space.graph(arch).nodes, f"{space.published(arch)!r} is another network")


def variants_are_valid(space: SearchSpace) -> None:
    """Mutants, children and neighbours are architectures of the space, and a restriction is obeyed."""
    rng = np.random.default_rng(0)
    for a, b in zip(samples(space, SAMPLES), samples(space, SAMPLES, seed=1), strict=True):
        near = neighbours(space, a)
        for arch in (mutate(space, a, rng), crossover(a, b, rng), *near):
            space.check(arch)
        require(len(near) == sum(len(choice.options) - 1 for choice in space.choices), f"neighbours of {a} are missing")
    allowed = {choice.name: [int(rng.integers(len(choice.options)))] for choice in space.choices[::2]}
    narrow = space.restrict(allowed)
    for arch in samples(space, SAMPLES):
        for found in (narrow.decode(one_hot(space, arch)), mutate(narrow, sample(narrow, rng), rng)):
            kept = all(found[narrow.index[name]] == option for name, (option,) in allowed.items())
            require(kept, f"restricted to {allowed}, the space gives {found}")


def programs_classify_images(space: SearchSpace) -> None:
    """Every program reads images of the space's channels and ends with one number per class."""
    for arch in samples(space, SAMPLES):
        graph = space.graph(arch)
        require(graph.arch == arch, f"the program of {arch} is that of {graph.arch}")
        require(graph.input.shape[0] == space.shape[0], f"the program of {arch} reads {graph.input.shape[0]} channels")
        require(graph.output.shape == (space.classes, 1, 1), f"the program of {arch} ends with {graph.output.shape}")


def a_key_is_one_kernel(space: SearchSpace) -> None:
    """Nodes of one key, which is their name in latency tables, compute the same."""
    meaning: dict[str, object] = {}
    for statics in some_statics(space):
        for node in space.supergraph(statics).priced:
            known = meaning.setdefault(node.key, (node.op, node.in_shapes))
            require(known == (node.op, node.in_shapes), f"{node.key!r} names two kernels")


def live_nodes_are_those_of_the_network(space: SearchSpace) -> None:
    """The fast look at many architectures keeps the nodes that deriving each of them keeps."""
    for statics in some_statics(space):
        archs = [with_statics(space, arch, statics) for arch in samples(space, SAMPLES)]
        nodes = space.supergraph(statics).nodes
        for arch, row in zip(archs, space.live(statics, archs), strict=True):
            live = {node.name for node, is_live in zip(nodes, row, strict=True) if is_live and node.priced}
            require(live == {node.name for node in space.graph(arch).priced}, f"{arch} has other live nodes")


def costs_of(space: SearchSpace) -> list[AdditiveCost]:
    """Return costs that are sums over nodes."""
    return [CountCost("macs"), CountCost("params")]


def costs_are_what_fvcore_counts(space: SearchSpace) -> None:
    """MACs of a program are those that fvcore traces in the network as it is exported."""
    macs = CountCost("macs")
    for arch in samples(space, NETWORKS):
        graph = space.graph(arch)
        # fvcore counts batch norm, which an exported model does not have: it is folded into the convolutions.
        counted = flop_counter(Network(graph, folded=True).eval(), (images(space, arch, 1),)).total()
        require(macs(graph) == counted, f"{arch} has {macs(graph)} MACs by its nodes, and {counted} by fvcore")


def expected_costs_are_means(space: SearchSpace) -> None:
    """An expected cost is the cost where choices are certain, and else the mean over architectures."""
    rng = np.random.default_rng(0)
    statics = some_statics(space)[-1]
    fixed = dict(zip(space.static_indices, statics, strict=True))
    options: list[Sequence[float]] = []
    columns = []
    for i, choice in enumerate(space.choices):
        certain = np.eye(len(choice.options))
        probabilities = certain[fixed[i]] if i in fixed else rng.dirichlet(np.ones(len(choice.options)))
        options.append(probabilities.tolist())
        columns.append(rng.choice(len(choice.options), size=DRAWN, p=probabilities).tolist())
    archs = list(zip(*columns, strict=True))
    costs = costs_of(space)
    for cost, totals in zip(costs, many_additive(costs, space, archs), strict=True):
        expected, mean = cost.expected(space, statics, options), float(totals.mean())
        require(abs(expected - mean) <= 0.02 * mean, f"{cost.metric}: {expected:g} expected, and {mean:g} on average")
        arch = with_statics(space, samples(space, 1)[0], statics)
        sure, real = cost.expected(space, statics, one_hot(space, arch)), cost(space.graph(arch))
        # Sums in another order differ in their last bits.
        require(abs(sure - real) <= 1e-9 * real, f"{cost.metric} of {arch}: {sure:g} if certain, and {real:g}")


def shared_weights_are_those_of_the_network(space: SearchSpace) -> None:
    """One path of the supernet computes what the network with copied weights does, and trains its groups alone."""
    supernet = Supernet(space, torch.Generator().manual_seed(0))
    for arch in samples(space, NETWORKS):
        x = images(space, arch)
        # In training mode both normalise by the batch, so statistics that one of them lacks play no part.
        network = supernet.subnet(arch).train()
        # None, and not zero, says of a parameter that it took no part.
        supernet.zero_grad(set_to_none=True)
        logits = supernet(x, arch)
        require(torch.allclose(logits, network(x), rtol=1e-4, atol=1e-5), f"the supernet's {arch} is another network")
        torch.nn.functional.cross_entropy(logits, torch.arange(len(x)) % space.classes).backward()  # type: ignore[no-untyped-call]
        nodes = [node for node in network.graph.priced if trainable(node)]
        own = {parameter_key(node.weights, name) for node in nodes for name in trainable(node)}
        trained = {key for key, parameter in supernet.shared.items() if parameter.grad is not None}
        require(trained <= own, f"{arch} trains {sorted(trained - own)}, which it does not use")


def onnx_computes_what_the_network_does(space: SearchSpace) -> None:
    """The exported model gives the network's logits."""
    from edgenas.exporters.onnx import to_bytes, to_onnx
    from edgenas.exporters.session import outputs

    for arch in samples(space, NETWORKS):
        network = fresh_network(space, arch, 0, "cpu")
        # Fresh statistics, 0 and 1, would hide a fault in folding them.
        reestimate_batch_norm(network, [(images(space, arch, 8), torch.zeros(8))])
        x = images(space, arch, 4, seed=1)
        with torch.no_grad():
            expected = network(x).numpy()
        found = outputs(to_bytes(to_onnx(network.graph, network.folded())), x.numpy())
        # Logits of random weights may be large, and so is the error that float32 allows them.
        most = max(1.0, float(np.abs(expected).max()))
        require(
            np.allclose(found, expected, rtol=1e-4, atol=1e-4 * most), f"the ONNX model of {arch} gives other logits"
        )


def other_architectures_are_refused(space: SearchSpace) -> None:
    """An architecture with an option too many is refused."""
    try:
        space.check((*samples(space, 1)[0], 0))
    except UsageError:
        return
    require(False, "an architecture with too many options is accepted")


CHECKS = (
    architectures_are_read_and_written,
    variants_are_valid,
    programs_classify_images,
    a_key_is_one_kernel,
    live_nodes_are_those_of_the_network,
    costs_are_what_fvcore_counts,
    expected_costs_are_means,
    shared_weights_are_those_of_the_network,
    onnx_computes_what_the_network_does,
    other_architectures_are_refused,
)
