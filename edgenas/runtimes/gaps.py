"""Timing on a machine that is never quiet for long: clean rounds are collected in its gaps until there are enough.

What has too few when the time is over counts by its disturbed samples, and is marked so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgenas.runtimes.base import Round, Session
from edgenas.runtimes.summary import Timing, as_round, summarise, summarise_disturbed
from edgenas.runtimes.timing import MIN_CLEAN_SHARE, MIN_ROUNDS, TooNoisy, measure, warm_up
from edgenas.runtimes.waiting import Waiting

# Between two looks at a machine that is busy: gaps last seconds, such as between two files that are compiled.
PAUSE_S = 1.0


def measure_or_wait(
    items: Mapping[str, Sequence[Session]],
    waiting: Waiting | None,
    *,
    rounds: int,
    round_ms: float,
    rng: np.random.Generator,
    **options: object,
) -> dict[str, Timing]:
    """Time items as `measure` does; where the machine is too busy, in its gaps, and at last disturbed.

    Args:
        items: one or more sessions of the same model by name.
        waiting: how long gaps are waited for; None has a busy machine refused, as `measure` does.
        rounds, round_ms, rng: as in `measure`.
        options: further ones of `measure`.

    Raises:
        TooNoisy: nobody may wait, or there is no figure at all.
    """
    if waiting is None:
        return measure(items, rounds=rounds, round_ms=round_ms, rng=rng, **options)  # type: ignore[arg-type]
    try:
        return measure(items, rounds=rounds, round_ms=round_ms, rng=rng, attempts=1, **options)  # type: ignore[arg-type]
    except TooNoisy as error:
        with waiting.turn(str(error)) as seconds:
            timings = measure_in_gaps(
                items,
                rounds=rounds,
                round_ms=round_ms,
                rng=rng,
                seconds=seconds,
                taken=error.taken,
                clock=waiting.clock,
                sleep=waiting.sleep,
            )
    if not all(timing.clean for timing in timings.values()):
        waiting.in_vain()
    return timings


def measure_in_gaps(
    items: Mapping[str, Sequence[Session]],
    *,
    rounds: int,
    round_ms: float,
    rng: np.random.Generator,
    seconds: float,
    taken: Sequence[Mapping[str, float]] = (),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Timing]:
    """Collect clean rounds of every item for a while; an item that has eight of them is clean.

    Args:
        items: one or more sessions of the same model by name, used in turn.
        rounds: how many clean rounds of an item are enough.
        round_ms: about how long one round takes, in ms.
        rng: gives the order of the items.
        seconds: how long clean rounds are waited for. Eight rounds of each are taken all the same.
        taken: rounds from before, ms by item, which count too.
        clock: in seconds.
        sleep: pauses for seconds.

    Raises:
        TooNoisy: an item has no figure at all, as its runtime does not tell those of disturbed samples.
    """
    for sessions in items.values():
        for session in sessions:
            warm_up(session)
    until = clock() + seconds
    every = {name: [as_round(row[name]) for row in taken if name in row] for name in items}
    # With fewer clean samples a figure tells of the other programs, as for whole measurements.
    clean = {name: [figure for figure in every[name] if figure.clean_share >= MIN_CLEAN_SHARE] for name in items}
    while due := [name for name in items if len(clean[name]) < rounds]:
        late = clock() >= until
        if late and all(len(every[name]) >= MIN_ROUNDS for name in due):
            break
        shares = []
        for i in rng.permutation(len(due)):
            name = due[i]
            # An even one and the odd one after it use the same session, as in `measure`.
            session = items[name][len(every[name]) // 2 % len(items[name])]
            figure = as_round(session.rounds(1, round_ms)[0])
            every[name].append(figure)
            shares.append(figure.clean_share)
            if figure.clean_share >= MIN_CLEAN_SHARE:
                clean[name].append(figure)
        if not late and float(np.mean(shares)) < MIN_CLEAN_SHARE:
            sleep(PAUSE_S)
    timings = {name: _summary(clean[name], every[name]) for name in items}
    bare = [name for name, timing in timings.items() if math.isnan(timing.ms)]
    if bare:
        raise TooNoisy(f"no timing sample of {bare[0]!r} was clean; close other programs and measure again")
    return timings


def _summary(clean: Sequence[Round], every: Sequence[Round]) -> Timing:
    return summarise(clean) if len(clean) >= MIN_ROUNDS else summarise_disturbed(every)
