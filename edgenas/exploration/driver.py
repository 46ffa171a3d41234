"""The search loop: ask, evaluate, tell, checkpoint. It knows nothing about kinds of strategies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from edgenas.errors import EdgeNASError
from edgenas.exploration.problem import Outcome, Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.system import distributed

FAILURES_IN_A_ROW = 5
Ending = Literal["trials", "minutes", "exhausted", "stopped"]


class Map(Protocol):
    """The built-in `map`, or one that spreads the calls over workers. Results come in the order of the inputs."""

    def __call__(self, function: Callable[[Arch], Outcome], archs: Sequence[Arch], /) -> Iterable[Outcome]:
        """One outcome per architecture; an error without metrics if the call was lost with its worker."""
        ...


def search(
    problem: Problem,
    strategy: Strategy,
    study: Study,
    *,
    max_trials: int,
    minutes: float = math.inf,
    batch: int = 1,
    weights_version: Callable[[], int] = lambda: 0,
    map_: Map = map,
    stop: Callable[[], bool] = lambda: False,
    prune: Callable[[Study], None] = lambda study: None,
    progress: Callable[[Study], None] = lambda study: None,
    clock: Callable[[], float] = time.monotonic,
) -> Ending:
    """Advance `study` until it holds `max_trials`, `minutes` have passed, `stop` says so, or no proposal is left.

    A resumed search continues where the checkpoint was, on the clock too: `minutes` are those that a person waits,
    however many workers there are. `stop` is asked between batches; the history depends on the batch size and not on
    how many workers share a batch. `weights_version` says of which weights a batch's scores are. `prune` may narrow the
    strategy after each batch, before the checkpoint. Returns why it ended.

    Raises:
        EdgeNASError: five trials in a row failed; the last cause is named.
    """
    begun = clock() - study.seconds
    failures = 0
    while True:
        room = max_trials - len(study.trials)
        ending = _bound(room, distributed.broadcast(clock() - begun >= 60.0 * minutes), stop)
        if ending is not None:
            break
        archs = distributed.broadcast(strategy.ask(min(batch, room)))  # processes never disagree by a rounding
        if not archs:
            ending = "exhausted"
            break
        trials = []
        for arch, outcome in zip(archs, map_(problem.attempt, archs), strict=True):
            metrics = outcome.metrics or problem.preview([arch])[0]
            trial = study.add(
                arch, metrics, seconds=outcome.seconds, error=outcome.error, weights_version=weights_version()
            )
            failures = failures + 1 if trial.error else 0
            if failures == FAILURES_IN_A_ROW:
                raise EdgeNASError(
                    f"{failures} trials in a row failed, the last with {trial.error}; mend it and resume"
                )
            trials.append(trial)
        strategy.tell(trials)
        prune(study)
        study.seconds = clock() - begun
        study.checkpoint(strategy)
        progress(study)
    distributed.first(lambda: study.checkpoint(strategy, force=True))
    return ending


def _bound(room: int, late: bool, stop: Callable[[], bool]) -> Ending | None:
    """The bound that ends the search here, if any."""
    if room <= 0:
        return "trials"
    if stop():
        return "stopped"
    return "minutes" if late else None
