"""`edgenas baseline`: what each trained network takes at each resolution, before any search, and which fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgenas.devices.timed_graphs import time_graphs
from edgenas.errors import BudgetError, UsageError
from edgenas.runtimes.decide import keeps
from edgenas.runtimes.summary import Timing
from edgenas.runtimes.waiting import Waiting
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import never, waiting_for
from edgenas.workflows.given import Given
from edgenas.workflows.pretrained import whole_maker
from edgenas.workflows.result import Result
from edgenas.workflows.whole_networks import Baseline, WholeNetwork, by_table, whole_networks

SECONDS_EACH = 1.0  # of timing one network
NEAR = (0.7, 1.4)  # of the budget: what is predicted within is measured


def baseline(config: Config, reporter: Reporter) -> list[Baseline]:
    """Return the trained networks at each resolution: priced, and measured where that decides.

    Where the machine is too busy to tell whether one fits, the prediction does.

    Args:
        config: names the budget, and the network, else all that are known are looked at; and the device.
        reporter: who is told of stages.

    Raises:
        UsageError: there is no budget, or no network.
    """
    if config.budget_ms is None:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    rows = list(whole_networks(config))
    if not rows:
        raise UsageError("there is no trained network here; pip install 'edgenas[lite]', or allow --download")
    if config.device is not None:
        return by_table(config, rows)
    waiting = waiting_for(config.wait_minutes, reporter)
    ends = {name: (group[len(group) // 2], group[-1]) for name, group in _by_network(rows).items()}
    once = list({row.name: row for pair in ends.values() for row in pair}.values())
    times = _timed(config, once, reporter, waiting, "time each network at two sizes")
    prices = {row.name: _price(row, *ends[row.network], times) for row in rows}
    near = [row for row in rows if NEAR[0] <= prices[row.name] / config.budget_ms <= NEAR[1] and row.name not in times]
    if near:
        times |= _timed(config, near, reporter, waiting, "time what is near the budget")
    found = []
    for row in rows:
        predicted, timing = prices[row.name], times.get(row.name)
        fits = predicted <= config.budget_ms
        if timing is not None:
            within = keeps(timing.ms, timing.repeat_error, config.budget_ms, clean=timing.clean)
            fits = fits if within is None else within
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
    return search(config, reporter, stop, Given(space=whole_maker(config)))


def _by_network(rows: Sequence[WholeNetwork]) -> dict[str, list[WholeNetwork]]:
    """The resolutions of each network, largest first."""
    groups: dict[str, list[WholeNetwork]] = {}
    for row in rows:
        groups.setdefault(row.network, []).append(row)
    return groups


def _price(row: WholeNetwork, middle: WholeNetwork, least: WholeNetwork, times: Mapping[str, Timing]) -> float:
    """The ms of a network at one resolution, on the line through two others, by MACs.

    What a call costs beside its MACs is a third of the smallest: in proportion to MACs alone it would be far too cheap.
    """
    high, low = times[middle.name].ms, times[least.name].ms
    if middle.macs == least.macs:
        return high * row.macs / middle.macs
    rate = max(0.0, high - low) / (middle.macs - least.macs)
    return low + rate * (row.macs - least.macs)


def _timed(
    config: Config, rows: Sequence[WholeNetwork], reporter: Reporter, waiting: Waiting, title: str
) -> dict[str, Timing]:
    with reporter.stage(title) as progress:
        return time_graphs(
            {row.name: row.space.graph(row.arch) for row in rows},
            config.runtime,
            config.threads,
            seconds=SECONDS_EACH * len(rows),
            rng=np.random.default_rng(config.seed),
            precision=config.precision or "fp32",
            waiting=waiting,
            progress=progress,
        )


def _best(config: Config, rows: Sequence[Baseline], names: Sequence[str], reporter: Reporter) -> str:
    """The network whose features are best at the largest resolution that fits."""
    from edgenas.evaluators.features import FeaturesEvaluator
    from edgenas.workflows.setup import checked_names, plain_task

    scores = {}
    with reporter.stage(f"compare the features of {len(names)} networks") as progress:
        for i, name in enumerate(names):
            task = plain_task(checked_names(replace(config, pretrained=name), Given()), Given(), reporter)
            evaluator = FeaturesEvaluator(task.space, task.data, config.seed, task.torch_device)
            fitting = max((r for r in rows if r.network == name and r.fits), key=lambda row: row.macs)
            scores[name] = evaluator(task.space.parse(fitting.arch))["accuracy"]
            progress(i + 1, len(names), f"{name} {scores[name]:.1%}")
    return max(scores, key=lambda name: scores[name])
