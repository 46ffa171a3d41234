"""Time graphs with random weights on this machine, in one interleaved run, when it is quiet or as quiet as it gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from edgenas.devices.probes import random_model
from edgenas.devices.quietest import TRIES, quietest
from edgenas.errors import NoisyMachine
from edgenas.graph.graph import Graph
from edgenas.runtimes import reference
from edgenas.runtimes.base import Session
from edgenas.runtimes.decide import SLOWER_BY
from edgenas.runtimes.gaps import measure_or_wait
from edgenas.runtimes.summary import Timing, summarise_rounds
from edgenas.runtimes.timing import ROUND_MS, SESSIONS, TooNoisy, interleaved
from edgenas.runtimes.waiting import Waiting
from edgenas.system import plugins
from edgenas.system.progress import ProgressCallback

# Rounds of each model, whatever the seconds: enough for a low quantile, and no more than anybody should wait for.
FEWEST_ROUNDS, MOST_ROUNDS = 16, 48
# A first look at the machine: of few models, as it is there to be over soon.
LOOK_MODELS, LOOK_ROUNDS = 3, 24


def time_graphs(
    graphs: dict[str, Graph],
    runtime: str,
    threads: int,
    *,
    seconds: float,
    rng: np.random.Generator,
    precision: str = "fp32",
    models: Mapping[str, bytes] = MappingProxyType({}),
    quiet_ms: float = math.inf,
    max_repeat_error: float = math.inf,
    patience: int = 1,
    tries: int = TRIES,
    waiting: Waiting | None = None,
    look: Callable[[Mapping[str, Timing]], None] | None = None,
    progress: ProgressCallback = lambda done, total, text="": None,
) -> dict[str, Timing]:
    """Time graphs with random weights in one interleaved run; the reference is in what is returned.

    The run is taken again while the reference is over 8 % slower than at its best, or a figure repeats too badly; the
    run with the fastest reference counts. A machine that stays far slower is waited for.

    Args:
        graphs: by name.
        runtime: the plugin that runs them.
        threads: of the runtime.
        seconds: about how long one run takes.
        rng: draws the weights, and the order of the rounds.
        precision: fp32 or int8.
        models: ONNX models that are timed with the graphs, as they are.
        quiet_ms: the reference's time on this machine at its best; infinite if that is not known.
        max_repeat_error: the worst that a figure may repeat.
        patience: as in `measure`.
        tries: how many runs are taken at most.
        waiting, look: as in `extend_table`.
        progress: called with what is done of what is due.

    Raises:
        NoisyMachine: too few clean samples, and nobody waits.
    """
    open_session = plugins.load("runtimes", runtime).open
    sessions: dict[str, list[Session]] = {}
    for name, model in models.items():
        sessions[name] = [open_session(model, threads) for _ in range(SESSIONS)]
    for i, (name, graph) in enumerate(graphs.items()):
        model = random_model(graph, precision, rng)
        sessions[name] = [open_session(model, threads) for _ in range(SESSIONS)]
        progress(i, 2 * len(graphs), "building")
    sessions[reference.NAME] = [open_session(reference.reference_model(), threads)]
    # The reference is one more item, but short beside most: it is left out of the count.
    count = len(graphs) + len(models)
    rounds = int(np.clip(seconds * 1000 / (ROUND_MS * count), FEWEST_ROUNDS, MOST_ROUNDS))

    def report(done: int, total: int) -> None:
        progress(total + done, 2 * total, f"round {done} of {total}")

    if look is not None:
        look(first_look(sessions, rng))

    def run() -> dict[str, Timing]:
        return measure_or_wait(
            sessions,
            waiting,
            rounds=rounds,
            round_ms=ROUND_MS,
            rng=rng,
            reference=reference.NAME,
            seconds=1.5 * seconds,
            max_repeat_error=max_repeat_error,
            patience=patience,
            may_lack=look is not None,
            progress=report,
        )

    def slowed(timings: Mapping[str, Timing]) -> float:
        clean = all(timing.clean for timing in timings.values())
        return timings[reference.NAME].ms / quiet_ms if clean else math.inf

    def is_good(timings: Mapping[str, Timing]) -> bool:
        return slowed(timings) <= SLOWER_BY and max(t.repeat_error for t in timings.values()) <= max_repeat_error

    try:
        timings = quietest(run, slowed, is_good, tries=tries, waiting=waiting)
    except TooNoisy as error:
        raise NoisyMachine(str(error)) from error
    finally:
        for several in sessions.values():
            for session in several:
                session.close()
    # What all rows are net of, and what tells how busy the machine was.
    if lacking := [name for name in (*models, reference.NAME) if name not in timings]:
        raise NoisyMachine(f"no timing sample of {lacking[0]!r} was clean; close other programs and measure again")
    return timings


def first_look(sessions: Mapping[str, Sequence[Session]], rng: np.random.Generator) -> dict[str, Timing]:
    """Time the reference and a few of the models for about half a second: what the machine is like now."""
    others = [name for name in sessions if name != reference.NAME]
    picks = {others[i] for i in np.linspace(0, len(others) - 1, LOOK_MODELS).round().astype(int)} if others else set()
    few = {name: sessions[name] for name in sorted(picks | {reference.NAME})}
    # As noise is what is looked for, no number of rounds makes the machine too noisy.
    rows = [interleaved(few, number, ROUND_MS, rng) for number in range(LOOK_ROUNDS)]
    return summarise_rounds(rows, None)
