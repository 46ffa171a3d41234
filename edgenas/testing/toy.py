"""A small space with an analytic accuracy and additive costs: a search on it takes milliseconds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator

from edgenas.cost.base import AdditiveCost, CostModel
from edgenas.data.base import Augment, Data
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.exploration.objective import Metrics, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.graph.graph import Arch, Builder, Choice, Graph, Node
from edgenas.graph.ops import Conv, Shape
from edgenas.spaces.base import SearchSpace
from edgenas.training.context import TrainingContext
from edgenas.training.distillation import Teacher
from edgenas.training.settings import Settings

GATE = "latency_ms@test"  # the metric that has a budget
KERNELS, EXPANSIONS = (1, 3, 5), (1, 4)
IMAGES = 180  # of noise: some steps of training an epoch, and some to validate on


def require(condition: object, sentence: str) -> None:
    """Raise AssertionError with `sentence` unless `condition` holds; unlike `assert`, under `python -O` too."""
    if not condition:
        raise AssertionError(sentence)


class ToySpace(SearchSpace):
    """A chain of blocks: a kernel and an expansion each; the last two blocks may be absent."""

    name = "toy"

    def __init__(self, blocks: int = 6) -> None:
        """Classify images of 3 x 8 x 8 into 4 classes, by at most `blocks` blocks."""
        super().__init__((3, 8, 8), 4)
        self.depths = (blocks - 2, blocks - 1, blocks)
        self.choices = (
            Choice("width", (4, 8), static=True),
            Choice("depth", self.depths),
            *(Choice(f"k{i}", KERNELS) for i in range(blocks)),
            *(Choice(f"e{i}", EXPANSIONS) for i in range(blocks)),
        )

    def emit(self, g: Builder) -> None:
        """Write stem, blocks and classifier."""
        width = int(g.pick("width"))
        x = g.conv("stem", g.input, out=width, act="relu")
        ends = {}
        for i in range(self.depths[-1]):
            expansions = {}
            for e in EXPANSIONS:
                h = g.conv(f"b{i}.e{e}.expand", x, out=width * e)
                kernels = {k: g.depthwise(f"b{i}.e{e}.k{k}", h, kernel=k) for k in KERNELS}
                h = g.choose(f"k{i}", kernels, name=f"b{i}.e{e}.kernel")
                expansions[e] = g.conv(f"b{i}.e{e}.project", h, out=width)
            x = g.choose(f"e{i}", expansions)
            ends[i + 1] = x
        x = g.choose("depth", {depth: ends[depth] for depth in self.depths})
        g.linear("head", g.global_pool("pool", x), out=self.classes)


class PerNode(AdditiveCost):
    """A price for each node."""

    def __init__(self, metric: str, price: Callable[[Node], float]) -> None:
        """Price every node by a function of it."""
        self.metric = metric
        self.price = functools.cache(price)

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the prices (len(nodes),)."""
        return np.array([self.price(node) for node in nodes])


def macs(node: Node) -> float:
    """Return the MACs of a convolution, 0 for all else: enough for a size."""
    if not isinstance(node.op, Conv):
        return 0.0
    _, height, width = node.shape
    return node.op.out * node.in_shapes[0][0] / node.op.groups * node.op.kernel**2 * height * width


def latency_ms(node: Node) -> float:
    """Return overhead and time at work, longer for depthwise convolutions: not proportional to MACs."""
    slow = 4.0 if isinstance(node.op, Conv) and node.op.groups > 1 else 1.0
    return 0.01 + 1e-6 * slow * macs(node)


class Islands(CostModel):
    """Few architectures are cheap, and hardly any of them are neighbours."""

    metric = GATE

    def __call__(self, graph: Graph) -> float:
        """Return a cost that jumps between neighbours."""
        require(graph.arch is not None, "only architectures have this cost")
        # A change of one choice shifts the sum modulo 7, so that neighbours of a cheap architecture are rarely cheap.
        # Within 1.5 is one in seven.
        return 1.0 + sum(i * option for i, option in enumerate(graph.arch or (), start=1)) % 7


COSTS = (PerNode(GATE, latency_ms), PerNode("macs", macs))


class Accuracy:
    """Analytic: a taste for some options, pairs that go together, and diminishing returns of size; in 0..1."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        """Draw the tastes."""
        rng = np.random.default_rng(seed)
        sizes = [len(choice.options) for choice in space.choices]
        self.space = space
        self.taste = [rng.normal(size=size) for size in sizes]
        self.pairs = [rng.normal(size=pair) for pair in zip(sizes, sizes[1:], strict=False)]

    def __call__(self, arch: Arch) -> Metrics:
        """Return the accuracy."""
        taste = np.mean([row[option] for row, option in zip(self.taste, arch, strict=True)])
        pairs = np.mean([table[a, b] for table, a, b in zip(self.pairs, arch, arch[1:], strict=False)])
        # Random architectures have about 10^5 MACs: the logistic function stays where it is steep.
        work = np.log10(COSTS[1].many(self.space, [arch])[0])
        return {"accuracy": float(1 / (1 + np.exp(-(taste + 0.5 * pairs + 0.5 * (work - 5.0)))))}


def toy_problem(space: SearchSpace, budget_share: float, *, form: str = "hard", seed: int = 0) -> Problem:
    """Return a problem of accuracy against latency on a toy space.

    Args:
        space: of the architectures.
        budget_share: where the budget is between the latencies of the first options and of the last ones, 0 to 1.
        form: of the reward.
        seed: of the accuracy.
    """
    # The first option of each choice is its smallest here, and the last its largest.
    ends = [tuple(options[end] for options in space.allowed) for end in (0, -1)]
    smallest, largest = COSTS[0].many(space, ends).tolist()
    budget = smallest + budget_share * (largest - smallest)
    return Problem(space, COSTS, Objective({GATE: budget}, form=form), Accuracy(space, seed))


@functools.cache
def noise(shape: Shape, classes: int) -> Data:
    """Return images with nothing in them: enough to train on for a few steps."""
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape), dtype=np.uint8)
    labels, names = np.arange(len(pixels)) % classes, tuple(map(str, range(classes)))
    splits = split_rows(labels, {"train": np.arange(len(labels))}, names, validation_share=0.1, seed=0, where="noise")
    return data_from_pixels("noise", names, pixels, labels, splits, augment=Augment(), device="cpu")


@dataclass(frozen=True)
class ToySettings:
    """The part of a configuration that strategies and evaluators read, for short trainings."""

    trials: int = 60
    seed: int = 0
    search_epochs: int | None = 24
    supernet_epochs: int | None = 1
    scratch_epochs: int | None = 1
    ghost_batch: int | None = None
    scores: str | None = None
    scores_name: str | None = None


@dataclass(frozen=True)
class ToyPriced:
    """What the `build` of a strategy or an evaluator gets first: a problem, and noise to train on."""

    problem: Problem
    config: ToySettings = field(default_factory=ToySettings)
    torch_device: str = "cpu"
    teacher: Teacher | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Data:
        """The noise."""
        return noise(self.problem.space.shape, self.problem.space.classes)


@dataclass(frozen=True)
class ToyContext:
    """What it gets then: random streams, and trainings that are kept nowhere."""

    seed: int = 0

    def planned(
        self, name: str, settings: Settings, images: int, step_seconds: Callable[[], float], share: float = 1.0
    ) -> Settings:
        """Return the settings as they are: there is time for all."""
        return settings

    def training(self, name: str, identity: Mapping[str, Any]) -> TrainingContext:
        """Return a context without a checkpoint."""
        return TrainingContext()

    def rng(self, name: str) -> Generator:
        """Return a stream by seed and name."""
        return np.random.default_rng([self.seed, *name.encode()])


def build_strategy(
    cls: type[Strategy],
    problem: Problem,
    seed: int = 0,
    *,
    settings: ToySettings | None = None,
    options: Mapping[str, str] | None = None,
) -> Strategy:
    """Build a strategy as a search does.

    Args:
        cls: of the strategy.
        problem: what it searches.
        seed: of its random streams.
        settings: the configuration.
        options: values of its options; the others have their first value.
    """
    chosen = {option: values[0] for option, values in cls.options.items()} | dict(options or {})
    return cls.build(ToyPriced(problem, settings or ToySettings()), ToyContext(seed), chosen)
