"""Ops and networks of all kinds and sizes, for tables meant for networks that edgenas did not build."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Act, Add, Concat, Conv, GlobalPool, Linear, Op, Pool, Shape, SqueezeExcite
from edgenas.latency.general_space import NAME
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample

# Shape and classes of the images that most published networks take, ImageNet's.
SHAPE, CLASSES = (3, 224, 224), 1000
# Whole networks behind the correction of a machine's own table.
NETS = 40
# No op takes more than about 30 ms on one core of a small board, at 5 to 10 MACs a nanosecond for dense convolutions
# and a tenth of it for those that runtimes do not block.
MOST_MACS, MOST_NET_MACS, MOST_PARAMS = 2.4e8, 1.5e9, 2.4e6
MOST_ELEMENTS = 1_300_000  # of a feature map: 96 channels at 112x112

Draw = Callable[[np.random.Generator], tuple[Op, tuple[Shape, ...]]]


def general_ops(limit: int = 400, seed: int = 0) -> list[Node]:
    """Draw at most `limit` distinct ops of every kind: up to 224x224 pixels and 2048 channels, maps from 4 pixels on.

    Each kind has a fixed share; sizes are uniform in their logarithm, most channels multiples of 8.

    Args:
        limit: how many ops.
        seed: equal seeds draw equal ops.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Node] = {}
    total = sum(share for _, share in _KINDS)
    for number, (draw, _) in enumerate(_KINDS, start=1):
        # Cumulative, so that rounding never adds up: the kinds together are `limit`.
        wanted = round(limit * sum(share for _, share in _KINDS[:number]) / total)
        while len(found) < wanted:
            node = _node(*draw(rng))
            if node_macs(node) <= MOST_MACS and sum(map(prod, node.parameters.values())) <= MOST_PARAMS:
                found.setdefault(node.key, node)
    return list(found.values())


def general_space() -> SearchSpace:
    """Return the space of networks of all usual blocks."""
    return build_space(NAME, SHAPE, CLASSES)


def general_nets(limit: int = NETS, seed: int = 0) -> list[tuple[SearchSpace, Arch]]:
    """Draw whole networks of all usual blocks, evenly over the logarithm of their MACs.

    Args:
        limit: how many networks at most; levels that no drawn network is near to are left out.
        seed: equal seeds draw equal networks.
    """
    rng = np.random.default_rng(seed)
    space = general_space()
    drawn = {arch: _macs(space.graph(arch)) for arch in (sample(space, rng) for _ in range(4 * limit))}
    fitting = sorted((arch for arch in drawn if drawn[arch] <= MOST_NET_MACS), key=lambda arch: drawn[arch])
    log_macs = np.log([drawn[arch] for arch in fitting])
    # A network may be the nearest to several levels: a set keeps it once.
    levels = np.linspace(log_macs[0], log_macs[-1], limit)
    nearest = {int(abs(log_macs - level).argmin()) for level in levels}
    return [(space, fitting[i]) for i in sorted(nearest)]


def node_macs(node: Node) -> float:
    """Return the MACs of a node: weights times the positions where each is used; without bias."""
    positions = prod(node.shape[1:]) if isinstance(node.op, Conv) else 1
    return float(positions * sum(prod(shape) for shape in node.parameters.values() if len(shape) > 1))


def _macs(graph: Graph) -> float:
    return sum(node_macs(node) for node in graph.priced)


def _node(op: Op, shapes: tuple[Shape, ...]) -> Node:
    names = tuple(f"x{i}" for i in range(len(shapes)))
    return Node("op", op, names, shapes, op.shape(*shapes), "op")


# The functions below draw sizes.


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number that is uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _channels(rng: np.random.Generator, low: float, high: float) -> int:
    """Draw a number of channels: four of five are multiples of 8; runtimes treat the others apart."""
    step = 8 if rng.random() < 0.8 else 2
    return max(step, round(_log_uniform(rng, low, high) / step) * step)


def _side(rng: np.random.Generator, high: int = 112) -> int:
    """Draw the side of a feature map: half of them are those of networks on 224x224 images."""
    return int(rng.choice([7, 14, 28, 56, 112])) if rng.random() < 0.5 else round(_log_uniform(rng, 4, high))


def _image(rng: np.random.Generator, low: int = 8, high: int = 2048) -> Shape:
    """Draw a feature map; wide ones have few channels, as in networks."""
    side = _side(rng)
    most = min(high, MOST_ELEMENTS / side**2, 24_000 / side)
    return _channels(rng, max(low, min(16, 500 / side)), max(low, most)), side, side


def _pick(rng: np.random.Generator, *options: str) -> str:
    return str(rng.choice(list(options)))


# The functions below draw one kind of op each, with the shapes of its inputs.


def _pointwise(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    x = _image(rng)
    out = min(2048, _channels(rng, max(8, x[0] / 6), 6 * x[0]), int(MOST_ELEMENTS / x[1] ** 2) // 8 * 8)
    return Conv(max(8, out), 1, int(rng.choice([1, 1, 1, 1, 2])), 1, _pick(rng, "none", "relu", "relu6", "hswish")), (
        x,
    )


def _depthwise(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    x = _image(rng, high=1200)
    kernel, stride = int(rng.choice([3, 3, 3, 5, 5, 7])), int(rng.choice([1, 1, 2]))
    return Conv(x[0], kernel, stride, x[0], _pick(rng, "none", "relu", "relu6", "hswish")), (x,)


def _dense(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    x = _image(rng, high=512)
    out = _channels(rng, max(8, x[0] / 2), min(512, 4 * x[0]))
    return Conv(out, int(rng.choice([3, 3, 3, 5])), int(rng.choice([1, 1, 2])), 1, _pick(rng, "none", "relu")), (x,)


def _stem(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    side = int(rng.choice([64, 96, 128, 160, 192, 224]))
    op = Conv(_channels(rng, 8, 64), int(rng.choice([3, 3, 5, 7])), 2, 1, _pick(rng, "relu", "relu6", "hswish"))
    return op, ((int(rng.choice([1, 3, 3, 3])), side, side),)


def _grouped(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    width, (channels, side, _) = int(rng.choice([4, 8, 8, 16, 24, 32])), _image(rng, high=1024)
    groups = max(2, min(channels, int(2e5 / side**1.5)) // width)
    x = (groups * width, side, side)
    return Conv(x[0], 3, int(rng.choice([1, 1, 2])), groups, "relu"), (x,)


def _squeeze(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    x = _image(rng, low=16, high=1200)
    return SqueezeExcite(_channels(rng, max(8, x[0] / 16), max(8, x[0] / 3))), (x,)


def _activation(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    return Act(_pick(rng, "relu", "relu6", "hswish", "sigmoid")), (_image(rng),)


def _sum(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    return Add(), (_image(rng),) * 2


def _joined(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    x = _image(rng, high=512)
    return Concat(), (x, x if rng.random() < 0.7 else (_channels(rng, 8, 512), *x[1:]))


def _pooled(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    op = Pool(_pick(rng, "max", "max", "avg"), int(rng.choice([3, 3, 5])), int(rng.choice([1, 2])))
    return op, (_image(rng, high=512),)


def _mean(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    return GlobalPool(), (_image(rng),)


def _classifier(rng: np.random.Generator) -> tuple[Op, tuple[Shape, ...]]:
    out = 1000 if rng.random() < 0.4 else round(_log_uniform(rng, 10, 1024))
    return Linear(out), ((_channels(rng, 32, 4096), 1, 1),)


# Shares of the set: pointwise and depthwise convolutions are most of what small networks compute.
_KINDS: tuple[tuple[Draw, int], ...] = (
    (_pointwise, 100),
    (_depthwise, 72),
    (_dense, 60),
    (_stem, 16),
    (_grouped, 36),
    (_squeeze, 28),
    (_activation, 24),
    (_sum, 14),
    (_joined, 14),
    (_pooled, 14),
    (_mean, 10),
    (_classifier, 12),
)
