"""The search loop: ask, evaluate, tell, checkpoint. It knows nothing about kinds of strategies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal, Protocol

from edgenas.errors import EdgeNASError
from edgenas.exploration.problem import Outcome, Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.system import distributed

FAILURES_IN_A_ROW = 5  # after which it is not bad luck with architectures, but a fault that hits every one of them
# Why a search ended. Only "stopped" leaves trials that were asked for: the run is then interrupted, not finished.
Ending = Literal["trials", "minutes", "exhausted", "stopped"]


class Map(Protocol):
    """The built-in `map`, or one that spreads the calls over workers. Results come in the order of the inputs."""

    def __call__(self, function: Callable[[Arch], Outcome], archs: Sequence[Arch], /) -> Iterable[Outcome]:
        """Return one outcome per architecture; an error without metrics if the call was lost with its worker."""
        ...


def run_search(
    problem: Problem,
    strategy: Strategy,
    study: Study,
    *,
    max_trials: int,
    minutes: float = math.inf,
    batch: int = 1,
    weights_version: Callable[[], int] | None = None,
    map_: Map = map,
    stop: Callable[[], bool] = lambda: False,
    prune: Callable[[Study], None] = lambda study: None,
    progress: Callable[[Study], None] = lambda study: None,
    clock: Callable[[], float] = time.monotonic,
) -> Ending:
    """Advance `study` until it holds `max_trials`, `minutes` have passed, `stop` says so, or no proposal is left.

    A search goes on where its study was: open the folder again, call `study.restore(strategy)` with a strategy built as
    the first was, and it proposes what it would have proposed. The history depends on the batch size, and not on how
    many workers share a batch.

    Args:
        problem: what is searched; its evaluator scores each architecture that the objective wants scored.
        strategy: what proposes; built for the same space, costs and objective.
        study: where trials are kept.
        max_trials: how many trials the study holds in the end, those from before included.
        minutes: that a person waits, those from before included, however many workers there are.
        batch: how many architectures are asked for, and told of, at once.
        weights_version: which weights the scores of the last batch are of; by default what the evaluator says, if it
            says anything.
        map_: the built-in `map`, or one that spreads the trials of a batch over workers.
        stop: whether to stop, asked between batches.
        prune: called after each batch and before the checkpoint; it may narrow the strategy.
        progress: called after each batch.
        clock: seconds, for tests.

    Returns:
        Why it ended.

    Raises:
        EdgeNASError: five trials in a row failed; the last cause is named.

    A search for the most accurate of the feasible architectures of a space, where accuracy is a formula:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from edgenas.cost.counts import CountCost
    >>> from edgenas.exploration.objective import Objective
    >>> from edgenas.exploration.problem import Problem
    >>> from edgenas.exploration.study import Study
    >>> from edgenas.graph.graph import Choice
    >>> from edgenas.spaces.base import SearchSpace
    >>> class Tiny(SearchSpace):
    ...     choices = (Choice("kernel", (1, 3, 5)), Choice("channels", (4, 8, 16)))
    ...     def emit(self, g):
    ...         body = {n: g.choose("kernel", {k: g.conv(f"c{n}.k{k}", g.input, out=n, kernel=k) for k in (1, 3, 5)},
    ...                             name=f"kernel{n}") for n in (4, 8, 16)}
    ...         x = g.choose("channels", {n: g.conv(f"p{n}", x, out=16) for n, x in body.items()})
    ...         g.linear("head", g.global_pool("pool", x), out=10)
    >>> space = Tiny((3, 16, 16), 10)
    >>> objective = Objective({"macs": 200_000})
    >>> problem = Problem(space, (CountCost("macs"),), objective, lambda arch: {"accuracy": 0.5 + 0.1 * sum(arch)})
    >>> from edgenas.strategies import Evolution
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Study(Path(folder), objective)
    ...     run_search(problem, Evolution(problem, np.random.default_rng(0)), study, max_trials=20)
    ...     [(space.values(trial.arch), trial.metrics["macs"]) for trial in study.best(1)]
    'exhausted'
    [({'kernel': 3, 'channels': 16}, 176288.0)]
    """
    if weights_version is None:
        # A plain function may be the evaluator: it has no weights that change. Any other is asked at each trial.
        weights_version = partial(getattr, problem.evaluator, "weights_version", 0)
    # Time before a resume counts: who allows an hour does not mean an hour after each interruption.
    begun = clock() - study.seconds
    failures = 0
    while True:
        room = max_trials - len(study.trials)
        # The clocks of processes differ. All take the first one's answer, or some would go on to wait for the others.
        ending = _bound(room, distributed.broadcast(clock() - begun >= 60.0 * minutes), stop)
        if ending is not None:
            break
        archs = distributed.broadcast(strategy.ask(min(batch, room)))  # processes never disagree by a rounding
        if not archs:
            ending = "exhausted"
            break
        trials = []
        for arch, outcome in zip(archs, map_(problem.attempt, archs), strict=True):
            # A trial that was lost with its worker brings no metrics, but its costs are known without it.
            metrics = outcome.metrics or problem.preview([arch])[0]
            trial = study.add(
                arch, metrics, seconds=outcome.seconds, error=outcome.error, weights_version=weights_version()
            )
            failures = failures + 1 if trial.error else 0
            if failures == FAILURES_IN_A_ROW:
                # The trials of this batch lie beyond the last checkpoint, so a resumed search tries them again.
                raise EdgeNASError(
                    f"{failures} trials in a row failed, the last with {trial.error}; mend it and resume"
                )
            trials.append(trial)
        strategy.tell(trials)
        # Before the checkpoint: a resumed search narrows as far as its trials say, then loads a state from after that.
        prune(study)
        study.seconds = clock() - begun
        study.checkpoint(strategy)
        progress(study)
    # The last batches may be younger than the time between checkpoints; every process waits until they are on disk.
    distributed.first(lambda: study.checkpoint(strategy, force=True))
    return ending


def _bound(room: int, late: bool, stop: Callable[[], bool]) -> Ending | None:
    """Return the bound that ends the search here, if any does."""
    # First of all: a search that has all its trials is finished, even if it is told to stop at the same moment.
    if room <= 0:
        return "trials"
    if stop():
        return "stopped"
    return "minutes" if late else None
