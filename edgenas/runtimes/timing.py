"""How edgenas times anything: many short, interleaved rounds of all models, in a new random order every round.

Models that are timed in the same rounds see the same machine, so their ratios hold even on one that is never quiet.
What a round is: rounds.py; what becomes of the rounds: summary.py.

Standard library and numpy only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgenas.runtimes.base import Session
from edgenas.runtimes.summary import Timing, repeat_error_of_table, slow_rounds, summarise_rounds

# With fewer clean samples the figures tell of the other programs.
MIN_CLEAN_SHARE = 0.2
# However short the time, a repeat error compares at least four even with four odd rounds.
MIN_ROUNDS = 8
# How often a disturbed round, and a whole measurement, is taken again: more would wait for a machine that stays busy.
REPEATS_OF_SLOW_ROUNDS = 2
ATTEMPTS, PAUSE_S = 3, 2.0
# Three runs, because the first ones allocate and choose kernels; 10 ms, because clocks rise slowly.
WARM_UP_RUNS, WARM_UP_MS = 3, 10.0
# Settings of every latency table, wherever it is measured: sessions of one model differ by where they lie in memory.
SESSIONS, ROUND_MS = 3, 5.0
PROTOCOL = f"10 % quantile of round medians, interleaved rounds of {ROUND_MS:g} ms, {SESSIONS} sessions a model"


class TooNoisy(RuntimeError):
    """There are too few clean samples, however often the measurement was repeated.

    `taken` are the rounds of the last attempt, without those in which the reference was slow.
    """

    def __init__(self, text: str, taken: Sequence[Mapping[str, float]] = ()) -> None:
        """Say `text`; keep the rounds, ms by item, for those who go on with them."""
        super().__init__(text)
        self.taken = taken


def measure(
    items: Mapping[str, Sequence[Session]],
    *,
    rounds: int,
    round_ms: float,
    rng: np.random.Generator,
    reference: str | None = None,
    seconds: float | None = None,
    max_repeat_error: float = math.inf,
    patience: int = 1,
    attempts: int = ATTEMPTS,
    may_lack: bool = False,
    progress: Callable[[int, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Timing]:
    """Time every item in `rounds` interleaved rounds, in a new random order every round.

    The reference is an item like any other in what is returned, and divides nothing.

    Args:
        items: one or more sessions of the same model by name, used in turn.
        rounds: how many rounds each item gets.
        round_ms: about how long one item's round takes, in ms.
        rng: gives the order of the items in each round.
        reference: the item by which whole rounds are judged: a round in which it is far slower than in its own good
            rounds is taken again, at most twice, else dropped.
        seconds: after these no further round begins, once there are eight.
        max_repeat_error: while one item of ten repeats worse, as many rounds are added to those that are there. A
            machine that is fast in one second and slow in the next gives the low quantile only to those who look often.
        patience: times as many rounds, in all, as that may come to.
        attempts: how often all is measured before the machine counts as too busy. With one, eight rounds decide.
        may_lack: whether an item without a clean sample is left out of what is returned, where the others have enough.
        progress: called with the rounds done and due after each round; it begins again with each attempt and addition.
        sleep: pauses between attempts, in seconds.

    Raises:
        TooNoisy: an item without a figure, or under 20 % of samples clean over all items, in each of the attempts.
    """
    # All before the first round: a session that warms up in a round would slow that round alone.
    for sessions in items.values():
        for session in sessions:
            warm_up(session)

    def take(number: int) -> dict[str, float]:
        return interleaved(items, number, round_ms, rng)

    for attempt in range(attempts):
        if attempt:
            sleep(PAUSE_S * attempt)
        # Each attempt begins with an empty table: rounds of a busy time would spoil the quantiles of a quiet one.
        table: list[dict[str, float]] = []
        for _ in range(patience):
            timings = _add_rounds(table, take, rounds, reference, seconds, progress, hurried=attempts == 1)
            hopeless = attempts == 1 and clean_share(timings) < MIN_CLEAN_SHARE
            if hopeless or repeat_error_of_table(timings) <= max_repeat_error:
                break
        if may_lack and clean_share(timings) >= MIN_CLEAN_SHARE:
            return {name: timing for name, timing in timings.items() if not math.isnan(timing.ms)}
        problem = _doubt(timings)
        if problem is None:
            return timings
    if attempts == 1:
        slow = set(slow_rounds(table, reference))
        raise TooNoisy(str(problem), [row for number, row in enumerate(table) if number not in slow])
    raise TooNoisy(f"{problem} in {attempts} attempts; close other programs and measure again")


def warm_up(session: Session) -> None:
    """Run a session a few times, and for a while, before it is timed."""
    for _ in range(WARM_UP_RUNS):
        session.run()
    session.rounds(1, WARM_UP_MS)


def _add_rounds(
    table: list[dict[str, float]],
    take: Callable[[int], dict[str, float]],
    rounds: int,
    reference: str | None,
    seconds: float | None,
    progress: Callable[[int, int], None] | None,
    hurried: bool,
) -> dict[str, Timing]:
    """Add rounds to `table`, those with a slow reference again; return the timings of all that it then holds.

    One who is `hurried` ends after eight rounds that were hardly clean.
    """
    started = time.monotonic()
    new = range(len(table), len(table) + rounds)
    table += [{} for _ in new]
    due, done = list(new), 0
    for _ in range(1 + REPEATS_OF_SLOW_ROUNDS):
        total = done + len(due)
        for number in due:
            if seconds is not None and done >= MIN_ROUNDS and time.monotonic() - started > seconds:
                break
            table[number] = take(number)
            done += 1
            if progress:
                progress(done, total)
            if hurried and done == MIN_ROUNDS:
                timings = summarise_rounds(table, None)
                if clean_share(timings) < MIN_CLEAN_SHARE:
                    return timings
        # Slow rounds of before this call had their repeats.
        due = [number for number in slow_rounds(table, reference) if number in new]
    if progress:
        progress(done, done)  # the time may have ended it before all rounds were taken
    return summarise_rounds(table, reference)


def interleaved(
    items: Mapping[str, Sequence[Session]], number: int, round_ms: float, rng: np.random.Generator
) -> dict[str, float]:
    """Time one round of every item. An even round and the odd one after it use the same sessions.

    Else the repeat error, which compares even with odd rounds, would hold the difference between sessions.
    """
    names = list(items)
    row = {}
    for i in rng.permutation(len(names)):
        sessions = items[names[i]]
        row[names[i]] = sessions[number // 2 % len(sessions)].rounds(1, round_ms)[0]
    return row


def clean_share(timings: Mapping[str, Timing]) -> float:
    """Return the share of clean samples: the mean over items, all timed equally long."""
    # By number of runs the fastest op would speak for all.
    return float(np.mean([timing.clean_share for timing in timings.values()]))


def _doubt(timings: Mapping[str, Timing]) -> str | None:
    """Say why these timings cannot be used, None if they can."""
    share = clean_share(timings)
    if share < MIN_CLEAN_SHARE:
        return f"only {share:.0%} of the timing samples were clean"
    # Of so few rounds that nobody can tell how well a figure repeats, none is to be believed.
    bare = [name for name, t in timings.items() if math.isnan(t.ms) or math.isinf(t.repeat_error)]
    return f"hardly a timing sample of {bare[0]!r} was clean" if bare else None
