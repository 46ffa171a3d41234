"""`edgenas baseline`: what each trained network takes at each resolution, before any search, and which fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.cost.counts import CountCost
from edgenas.devices import this_host
from edgenas.errors import BudgetError, EnvironmentFault, UsageError
from edgenas.graph.graph import Arch
from edgenas.graph.ops import Shape
from edgenas.latency.predictor import latency_interval
from edgenas.runtimes.bench import met
from edgenas.runtimes.summary import Timing
from edgenas.spaces.base import SearchSpace
from edgenas.system import plugins
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import never
from edgenas.workflows.given import Given
from edgenas.workflows.predict import table_of
from edgenas.workflows.pretrained import input_of, open_pretrained
from edgenas.workflows.result import Result

SECONDS_EACH = 1.0  # of timing one network
NEAR = (0.7, 1.4)  # of the budget: what is predicted within is measured


@dataclass(frozen=True)
class Baseline:
    """A trained network at one resolution.

    Args:
        network: as `--pretrained` takes it.
        resolution: side of its images, in pixels.
        arch: the code of the whole network at this resolution.
        macs: of one image.
        predicted_ms: from what the network takes at another resolution here, or from the device's table.
        measured_ms: None if it is not near the budget, or the device is elsewhere.
        repeat_error: of the measurement.
        fits: whether it meets the budget: as measured, else as predicted.
        is_here: whether its weights are on this machine.
    """

    network: str
    resolution: int
    arch: str
    macs: float
    predicted_ms: float
    measured_ms: float | None
    repeat_error: float | None
    fits: bool
    is_here: bool


def baseline(config: Config, reporter: Reporter) -> list[Baseline]:
    """Return the trained networks at each resolution: priced, and measured where that decides.

    Args:
        config: names the budget, and the network, else all that are known are looked at; and the device.
        reporter: who is told of stages.

    Raises:
        NoisyMachine: the machine is too busy to time on.
        UsageError: there is no budget, or no network.
    """
    if config.budget_ms is None:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    rows = list(_rows(config))
    if not rows:
        raise UsageError("there is no trained network here; pip install 'edgenas[lite]', or allow --download")
    if config.device is not None:
        return _by_table(config, rows)
    middle = {id(row): row for row in _middles(rows)}
    times = _timed(config, [row for row in rows if id(row) in middle], reporter, "time each network once")
    rates = {row.network: times[row.name].ms / row.macs for row in middle.values()}
    near = [r for r in rows if NEAR[0] <= rates[r.network] * r.macs / config.budget_ms <= NEAR[1]]
    near = [row for row in near if row.name not in times]
    if near:
        times |= _timed(config, near, reporter, "time what is near the budget")
    found = []
    for row in rows:
        predicted, timing = rates[row.network] * row.macs, times.get(row.name)
        fits = predicted <= config.budget_ms
        if timing is not None:
            fits = met(timing.ms, timing.repeat_error, config.budget_ms)
        ms, error = (None, None) if timing is None else (timing.ms, timing.repeat_error)
        found.append(row.as_baseline(predicted, ms, error, fits))
    return found


def train_baseline(
    config: Config, rows: Sequence[Baseline], reporter: Reporter, stop: Callable[[], bool] = never
) -> Result:
    """Fine-tune the best of the networks that fit, and deliver its bundle, as a search does.

    Of each network only whole ones are looked at, at every resolution; `features` says which is best.

    Args:
        config: the settings of the run, with the images.
        rows: what `baseline` found.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.

    Raises:
        BudgetError: none of the networks whose weights are here fits.
    """
    from edgenas.workflows.search import search

    names = list(dict.fromkeys(row.network for row in rows if row.fits and row.is_here))
    if not names:
        raise BudgetError(f"no trained network that is here fits {config.budget_ms:g} ms; raise it, or see --download")
    best = names[0] if len(names) == 1 else _best(config, rows, names, reporter)
    reporter.log(f"{best} is fine-tuned")
    config = replace(
        config, pretrained=best, strategy="random", evaluator="features", finalists=1, trials=8, shape_choices=8
    )
    network = open_pretrained(config)
    assert network is not None

    def whole(shape: Shape, classes: int) -> SearchSpace:
        space = network.space(shape, classes)
        return space.restrict({choice.name: [0] for choice in space.choices if not choice.static})

    return search(config, reporter, stop, Given(space=whole))


@dataclass(frozen=True)
class _Row:
    """A network at a resolution, before anything is known of its time."""

    network: str
    space: SearchSpace
    arch: Arch
    macs: float
    is_here: bool

    @property
    def resolution(self) -> int:
        return self.space.graph(self.arch).input.shape[1]

    @property
    def name(self) -> str:
        return f"{self.network} {self.resolution}"

    def as_baseline(self, predicted: float, ms: float | None, error: float | None, fits: bool) -> Baseline:
        code = self.space.code(self.arch)
        return Baseline(self.network, self.resolution, code, self.macs, predicted, ms, error, fits, self.is_here)


def _rows(config: Config) -> Iterator[_Row]:
    """Every network that is known, or the one that is named, at every resolution, the largest first."""
    known = [config.pretrained] if config.pretrained else list(_known())
    for name in known:
        config = replace(config, pretrained=name)
        network = open_pretrained(config)
        assert network is not None
        shape, classes = input_of(config, None, None, ((3, network.side, network.side), network.classes))
        space = network.space(shape, classes)
        count = CountCost("macs")
        for i in range(len(space.choices[0].options)):
            arch = (i, *space.whole[1:])
            yield _Row(name, space, arch, count(space.graph(arch)), network.is_here)


def _known() -> Iterator[str]:
    """The names of all trained networks whose library is installed."""
    for source in plugins.names("pretrained"):
        plugin = plugins.load("pretrained", source)
        for variant in plugin.variants():
            try:
                yield plugin.build(variant).name
            except EnvironmentFault:
                continue


def _middles(rows: Sequence[_Row]) -> list[_Row]:
    """Of each network the one at its middle resolution."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.network, []).append(row)
    return [group[len(group) // 2] for group in groups.values()]


def _timed(config: Config, rows: Sequence[_Row], reporter: Reporter, title: str) -> dict[str, Timing]:
    with reporter.stage(title) as progress:
        return this_host.time_graphs(
            {row.name: row.space.graph(row.arch) for row in rows},
            config.runtime,
            config.threads,
            seconds=SECONDS_EACH * len(rows),
            rng=np.random.default_rng(config.seed),
            precision=config.precision or "fp32",
            progress=progress,
        )


def _by_table(config: Config, rows: Sequence[_Row]) -> list[Baseline]:
    """The same for a device that is not here: by its table, of which what is missing is estimated."""
    table, budget = table_of(config, None), config.budget_ms
    assert budget is not None
    found = []
    for row in rows:
        latency, _, high = latency_interval(table, row.space, estimate_missing=True)
        graph = row.space.graph(row.arch)
        found.append(row.as_baseline(latency(graph), None, None, high(graph) <= budget))
    return found


def _best(config: Config, rows: Sequence[Baseline], names: Sequence[str], reporter: Reporter) -> str:
    """The network whose features are best at the largest resolution that fits."""
    from edgenas.evaluators.features import FeaturesEvaluator
    from edgenas.workflows.setup import checked_names, plain_task

    scores = {}
    with reporter.stage(f"compare the features of {len(names)} networks") as progress:
        for i, name in enumerate(names):
            task = plain_task(checked_names(replace(config, pretrained=name), Given()), Given())
            evaluator = FeaturesEvaluator(task.space, task.data, config.seed, task.torch_device)
            fitting = max((r for r in rows if r.network == name and r.fits), key=lambda row: row.macs)
            scores[name] = evaluator(task.space.parse(fitting.arch))["accuracy"]
            progress(i + 1, len(names), f"{name} {scores[name]:.1%}")
    return max(scores, key=lambda name: scores[name])
