"""A small space with an analytic accuracy and additive costs: a search on it takes milliseconds."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from edgenas.cost.base import AdditiveCost
from edgenas.data.base import Augment, Data
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.exploration import driver
from edgenas.exploration.objective import Metrics, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study, Trial
from edgenas.graph.graph import Arch, Builder, Choice, Node
from edgenas.graph.ops import Conv, Shape
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.random import Random
from edgenas.system import plugins
from edgenas.training.context import TrainingContext

GATE = "latency_ms@test"
KERNELS, EXPANSIONS = (1, 3, 5), (1, 4)


class Toy(SearchSpace):
    """A chain of blocks: a kernel and an expansion each; the last two blocks may be absent."""

    name = "toy"

    def __init__(self, blocks: int = 6) -> None:
        super().__init__((3, 8, 8), 4)
        self.depths = (blocks - 2, blocks - 1, blocks)
        self.choices = (
            Choice("width", (4, 8), static=True),
            Choice("depth", self.depths),
            *(Choice(f"k{i}", KERNELS) for i in range(blocks)),
            *(Choice(f"e{i}", EXPANSIONS) for i in range(blocks)),
        )

    def emit(self, g: Builder) -> None:
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
        self.metric = metric
        self.price = functools.cache(price)

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        return np.array([self.price(node) for node in nodes])


def macs(node: Node) -> float:
    """Multiply-adds of convolutions; enough for a fake."""
    if not isinstance(node.op, Conv):
        return 0.0
    _, height, width = node.shape
    return node.op.out * node.in_shapes[0][0] / node.op.groups * node.op.kernel**2 * height * width


def latency_ms(node: Node) -> float:
    """Overhead and throughput, worse for depthwise convolutions: not proportional to multiply-adds."""
    slow = 4.0 if isinstance(node.op, Conv) and node.op.groups > 1 else 1.0
    return 0.01 + 1e-6 * slow * macs(node)


COSTS = (PerNode(GATE, latency_ms), PerNode("macs", macs))


class Accuracy:
    """Analytic: a taste for some options, pairs that go together, and diminishing returns of work; in 0..1."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sizes = [len(choice.options) for choice in space.choices]
        self.space = space
        self.taste = [rng.normal(size=size) for size in sizes]
        self.pairs = [rng.normal(size=pair) for pair in zip(sizes, sizes[1:], strict=False)]

    def __call__(self, arch: Arch) -> Metrics:
        taste = np.mean([row[option] for row, option in zip(self.taste, arch, strict=True)])
        pairs = np.mean([table[a, b] for table, a, b in zip(self.pairs, arch, arch[1:], strict=False)])
        work = np.log10(COSTS[1].many(self.space, [arch])[0])
        return {"accuracy": float(1 / (1 + np.exp(-(taste + 0.5 * pairs + 0.5 * (work - 5.0)))))}


def synthetic(space: SearchSpace, budget_share: float, *, form: str = "hard", seed: int = 0) -> Problem:
    """A problem whose budget is at this share of the way from the space's first options to its last ones."""
    ends = [tuple(options[end] for options in space.allowed) for end in (0, -1)]
    smallest, largest = COSTS[0].many(space, ends).tolist()
    budget = smallest + budget_share * (largest - smallest)
    return Problem(space, COSTS, Objective({GATE: budget}, form=form), Accuracy(space, seed))


@dataclass(frozen=True)
class Settings:
    trials: int = 60
    seed: int = 0
    search_epochs: int | None = 24
    supernet_epochs: int | None = 1
    scratch_epochs: int | None = 1
    ghost_batch: int | None = None
    scores: str | None = None
    scores_name: str | None = None


@functools.cache
def noise(shape: Shape, classes: int) -> Data:
    """Images with nothing in them: enough to train on for a few steps."""
    pixels = np.random.default_rng(0).integers(0, 256, (180, *shape), dtype=np.uint8)
    labels, names = np.arange(len(pixels)) % classes, tuple(map(str, range(classes)))
    splits = split_rows(labels, {"train": np.arange(len(labels))}, names, validation_share=0.1, seed=0, where="noise")
    return data_from_pixels("noise", names, pixels, labels, splits, augment=Augment(), device="cpu")


@dataclass(frozen=True)
class Priced:
    """What `build` of a strategy gets first."""

    problem: Problem
    config: Settings = field(default_factory=Settings)
    torch_device: str = "cpu"
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Data:
        return noise(self.problem.space.shape, self.problem.space.classes)


@dataclass(frozen=True)
class Context:
    """What `build` of a strategy gets then."""

    seed: int = 0

    def training(self, name: str, identity: dict[str, Any]) -> TrainingContext:
        return TrainingContext()

    def rng(self, name: str) -> Generator:
        return np.random.default_rng([self.seed, *name.encode()])


def built(name: str, problem: Problem, seed: int = 0, *, trials: int = 24, **options: str) -> Strategy:
    """A strategy by name, with the first value of each option that is not given."""
    cls = plugins.load("strategies", name)
    chosen = {option: values[0] for option, values in cls.options.items()} | options
    strategy: Strategy = cls.build(Priced(problem, Settings(trials)), Context(seed), chosen)
    return strategy


def save_json(path: Path, payload: dict[str, Any]) -> None:
    path.write_text(json.dumps(payload))


def load_json(path: Path) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(path.read_text())
    return payload


def forget(path: Path, payload: dict[str, Any]) -> None:
    """A `save` for searches that are never resumed."""


def best_found(folder: Path, problem: Problem, strategy: Strategy, trials: int) -> float:
    """The best feasible accuracy after a search of so many trials."""
    study = Study(folder, problem.objective, forget, load_json)
    driver.run_search(problem, strategy, study, max_trials=trials)
    return max((trial.metrics["accuracy"] for trial in study.trials if trial.feasible), default=0.0)


def leads_over_random(
    folder: Path,
    build: Callable[[Problem, Generator], Strategy],
    space: SearchSpace,
    budget_share: float,
    *,
    seeds: int,
    trials: int,
    form: str = "hard",
) -> np.ndarray:
    """How much better than random search's the best accuracy found is, after equal trials: one number per seed."""
    leads = []
    for seed in range(seeds):
        problem = synthetic(space, budget_share, form=form, seed=seed)
        control = synthetic(space, budget_share, seed=seed)
        rngs = np.random.default_rng(seed).spawn(2)
        leads.append(
            best_found(folder / f"{seed} searched", problem, build(problem, rngs[0]), trials)
            - best_found(folder / f"{seed} random", control, Random(control, rngs[1]), trials)
        )
    return np.array(leads)


def rewarded(archs: Sequence[Arch], rewards: Sequence[float], weights_version: int = 0) -> list[Trial]:
    """Trials with these rewards and nothing else."""
    return [
        Trial(i, arch, {}, reward, True, weights_version)
        for i, (arch, reward) in enumerate(zip(archs, rewards, strict=True))
    ]
