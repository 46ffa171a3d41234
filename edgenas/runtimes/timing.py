"""How edgenas times anything: many short, interleaved, gated rounds, and the low quantile of their medians.

A *sample* is a batch of runs long enough for the clock; it is clean when nobody else used the core meanwhile. A *round*
is the median over a few milliseconds of clean samples of one session. The figure of a model, `Timing.ms`, is the 10 %
quantile of its rounds, pooled over several sessions of it. All times are monotonic; nothing here knows what a model is.

Standard library and numpy only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

LOW_QUANTILE = 0.1  # the minimum repeats as well, but one lucky round decides it; the median follows the neighbours
MAX_WALL_PER_CPU = 1.05
MIN_CLEAN_SHARE = 0.2
MAX_REPEAT_ERROR = 0.04  # above it a figure does not count, and is measured again
MIN_ROUNDS = 8
SLOW_REFERENCE = 1.25  # quiet rounds stay within 16 %
REPEATS_OF_SLOW_ROUNDS = 2
ATTEMPTS = 3
PAUSE_S = 2.0
WARM_UP_RUNS, WARM_UP_MS = 3, 10.0
# Of a latency table, wherever it is measured.
SESSIONS, ROUND_MS = 3, 5.0
PROTOCOL = f"10 % quantile of round medians, interleaved rounds of {ROUND_MS:g} ms, {SESSIONS} sessions a model"
# A sample is at least 100 ticks of the clock, and long beside the 3 us that reading all gauges takes.
MIN_TICKS, MIN_SAMPLE_NS = 100, 200_000


K = TypeVar("K")


class TooNoisy(RuntimeError):
    """Too few clean samples, however often the measurement was repeated."""


class Session(Protocol):
    """A model loaded by a runtime, ready to run, timed inside the runtime's own process or page."""

    def run(self, x: np.ndarray[Any, Any] | None = None) -> list[np.ndarray[Any, Any]]:
        """All outputs for the first input `x`; None: the session's own fixed random input."""

    def rounds(self, n: int, ms: float) -> list[float]:
        """`n` rounds of about `ms` milliseconds: the median time of one run in ms, nan without a clean sample.

        Each may be a `Round`, which also says what it was made of; a plain number counts as one run.
        """

    def close(self) -> None:
        """Free the model; a second call does nothing."""


class Round(float):
    """The median time of one run in ms over a round's clean samples (nan: none), its runs, and its clean share."""

    runs: int
    clean_share: float

    def __new__(cls, ms: float, runs: int = 1, clean_share: float | None = None) -> Round:
        """A plain number is one run, clean unless nan."""
        self = super().__new__(cls, ms)
        self.runs = runs
        self.clean_share = float(not math.isnan(ms)) if clean_share is None else clean_share
        return self


@dataclass(frozen=True)
class Timing:
    """What `measure` says of one item.

    `ms` and `p90_ms` are the 10 % and 90 % quantiles of its rounds; `repeat_error` compares even with odd rounds;
    `runs` were timed, of which `clean_share` counted.
    """

    ms: float
    p90_ms: float
    repeat_error: float
    runs: int
    clean_share: float


@dataclass(frozen=True)
class Gauges:
    """What a sample is read from: monotonic wall time, CPU time of the same work, how often the core was taken away."""

    wall_ns: Callable[[], int]
    cpu_ns: Callable[[], int] | None
    switches: Callable[[], int]
    tick_ns: int


def gauges(threads: int = 1) -> Gauges:
    """The gauges that this platform offers for work on `threads` threads.

    CPU time is compared only for one thread: with more, the caller sleeps whenever another thread is the last to
    finish, so wall time rightly exceeds its CPU time; the involuntary switches of the whole process remain as the gate.
    """
    fine_cpu_clock = (
        threads == 1 and hasattr(time, "thread_time_ns") and time.get_clock_info("thread_time").resolution < 1e-5
    )
    return Gauges(
        wall_ns=time.perf_counter_ns,
        cpu_ns=time.thread_time_ns if fine_cpu_clock else None,
        switches=_switch_counter(threads),
        tick_ns=_tick_ns(time.perf_counter_ns),
    )


def _switch_counter(threads: int) -> Callable[[], int]:
    """Involuntary context switches so far, of this thread (Linux) or process; a constant where nothing counts them."""
    try:
        import resource
    except ImportError:  # Windows
        return lambda: 0
    one_thread = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    who = one_thread if threads == 1 else resource.RUSAGE_SELF
    return lambda: resource.getrusage(who).ru_nivcsw


def _tick_ns(clock: Callable[[], int]) -> int:
    """The smallest step the clock shows, in ns; the platform's own word on it is often far too good."""
    steps = []
    for _ in range(5):
        start = now = clock()
        while now == start:
            now = clock()
        steps.append(now - start)
    return min(steps)


def timed_round(run: Callable[[], object], ms: float, using: Gauges) -> Round:
    """Run for about `ms` milliseconds, at least one sample, and take the median of what was clean."""
    batch = _runs_per_sample(run, using)
    now = using.wall_ns()
    end = now + ms * 1e6
    clean: list[int] = []
    samples = 0
    while samples == 0 or now < end:
        spent_ns, is_clean = _sample(run, batch, using)
        samples += 1
        if is_clean:
            clean.append(spent_ns)
        now = using.wall_ns()
    median_ms = float(np.median(clean)) / batch / 1e6 if clean else math.nan
    return Round(median_ms, runs=samples * batch, clean_share=len(clean) / samples)


def _runs_per_sample(run: Callable[[], object], using: Gauges) -> int:
    """How many runs the clock can tell from none. Finding out also brings the caches back to this model."""
    needed_ns = max(MIN_TICKS * using.tick_ns, MIN_SAMPLE_NS)
    batch = 1
    while (spent_ns := _wall_ns(run, batch, using)) < needed_ns:
        batch = max(2 * batch, math.ceil(batch * needed_ns / max(spent_ns, using.tick_ns)))
    return batch


def _wall_ns(run: Callable[[], object], batch: int, using: Gauges) -> int:
    """Wall time of `batch` runs in ns."""
    start = using.wall_ns()
    for _ in range(batch):
        run()
    return using.wall_ns() - start


def _sample(run: Callable[[], object], batch: int, using: Gauges) -> tuple[int, bool]:
    """Wall time of `batch` runs in ns, and whether the core was theirs alone."""
    switches = using.switches()
    # CPU time is read outside wall time, so that the reading itself never makes a clean sample look interrupted.
    cpu = using.cpu_ns() if using.cpu_ns else 0
    wall = _wall_ns(run, batch, using)
    busy = using.cpu_ns() - cpu if using.cpu_ns else wall
    return wall, using.switches() == switches and wall < MAX_WALL_PER_CPU * busy


def summarise(rounds: Sequence[float]) -> Timing:
    """One item's rounds, in the order taken, as a Timing: low and high quantile, even against odd rounds.

    Rounds that are nan count against the clean share only; ms is nan if all are, and the repeat error is infinite where
    either half is empty.
    """
    made_of = [_as_round(figure) for figure in rounds]
    runs = sum(r.runs for r in made_of)
    clean_runs = sum(r.runs * r.clean_share for r in made_of)
    return Timing(
        ms=_quantile(rounds, LOW_QUANTILE),
        p90_ms=_quantile(rounds, 1 - LOW_QUANTILE),
        repeat_error=repeat_error(rounds),
        runs=runs,
        clean_share=clean_runs / runs if runs else 0.0,
    )


def repeat_error(rounds: Sequence[float]) -> float:
    """How far the low quantile of the even rounds is from that of the odd rounds, as a share; inf without both."""
    even, odd = _quantile(rounds[0::2], LOW_QUANTILE), _quantile(rounds[1::2], LOW_QUANTILE)
    return math.inf if math.isnan(even) or math.isnan(odd) else abs(even / odd - 1)


def _quantile(rounds: Sequence[float], share: float) -> float:
    """Quantile of the rounds that are numbers; nan if none is."""
    numbers = [float(r) for r in rounds if not math.isnan(r)]
    return float(np.quantile(numbers, share)) if numbers else math.nan


def repeat_error_of_table(timings: Mapping[str, Timing]) -> float:
    """One figure for a whole table: nine rows of ten repeat within it (the 90 % quantile over the rows)."""
    return float(np.quantile([timing.repeat_error for timing in timings.values()], 0.9, method="lower"))


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
    progress: Callable[[int, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Timing]:
    """Time every item in `rounds` interleaved rounds of about `round_ms` each, in a new random order every round.

    An item is one or more sessions of the same model, used in turn. `reference` names the item by which whole rounds
    are judged: one in which it is far slower than in its own good rounds is taken again, at most twice, else dropped.
    The reference is an item like any other in what is returned, and divides nothing. After `seconds` no further round
    begins, once there are eight. While one item of ten repeats worse than `max_repeat_error`, as many rounds are added
    to those that are there, up to `patience` times as many in all: a machine that is fast in one second and slow in the
    next gives the low quantile only to those who look often. `progress(done, total)` is called after each round, and
    begins anew with each attempt and addition.

    Raises:
        TooNoisy: an item without a figure, or under 20 % of samples clean over all items, in each of three attempts.
    """
    for sessions in items.values():
        for session in sessions:
            warm_up(session)

    def take(slot: int) -> dict[str, float]:
        return _interleaved(items, slot, round_ms, rng)

    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(PAUSE_S * attempt)
        table: list[dict[str, float]] = []
        for _ in range(patience):
            timings = _more(table, take, rounds, reference, seconds, progress)
            if repeat_error_of_table(timings) <= max_repeat_error:
                break
        problem = _doubt(timings)
        if problem is None:
            return timings
    raise TooNoisy(f"{problem} in {ATTEMPTS} attempts; close other programs and measure again")


def _doubt(timings: Mapping[str, Timing]) -> str | None:
    """Why these timings cannot be used, None if they can."""
    # The mean over items, all timed equally long; by number of runs the fastest op would speak for all.
    share = float(np.mean([timing.clean_share for timing in timings.values()]))
    if share < MIN_CLEAN_SHARE:
        return f"only {share:.0%} of the timing samples were clean"
    bare = [name for name, timing in timings.items() if math.isnan(timing.ms)]
    return f"no timing sample of {bare[0]!r} was clean" if bare else None


def warm_up(session: Session) -> None:
    """By count, because first runs allocate and choose kernels; by time, because clocks rise slowly."""
    for _ in range(WARM_UP_RUNS):
        session.run()
    session.rounds(1, WARM_UP_MS)


def _more(
    table: list[dict[str, float]],
    take: Callable[[int], dict[str, float]],
    rounds: int,
    reference: str | None,
    seconds: float | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Timing]:
    """Add so many rounds to `table`, those with a slow reference again; the timings of all that it then holds."""
    started = time.monotonic()
    new = range(len(table), len(table) + rounds)
    table += [{} for _ in new]
    due, done = list(new), 0
    for _ in range(1 + REPEATS_OF_SLOW_ROUNDS):
        total = done + len(due)
        for slot in due:
            if seconds is not None and done >= MIN_ROUNDS and time.monotonic() - started > seconds:
                break
            table[slot] = take(slot)
            done += 1
            if progress:
                progress(done, total)
        due = [slot for slot in _slow_rounds(table, reference) if slot in new]
    if progress:
        progress(done, done)
    return summarise_slots(table, reference)


def summarise_slots(slots: Sequence[Mapping[K, float]], reference: K | None) -> dict[K, Timing]:
    """Timings of what was measured in these rounds; one in which the reference was slow counts for nobody."""
    slow = set(_slow_rounds(slots, reference))
    names = dict.fromkeys(name for row in slots for name in row)
    return {
        name: summarise([_counted(row[name], slot in slow) for slot, row in enumerate(slots) if name in row])
        for name in names
    }


def _interleaved(
    items: Mapping[str, Sequence[Session]], slot: int, round_ms: float, rng: np.random.Generator
) -> dict[str, float]:
    """One round of every item. An even round and the odd one after it use the same sessions, lest these differ."""
    names = list(items)
    row = {}
    for i in rng.permutation(len(names)):
        sessions = items[names[i]]
        row[names[i]] = sessions[slot // 2 % len(sessions)].rounds(1, round_ms)[0]
    return row


def _slow_rounds(table: Sequence[Mapping[K, float]], reference: K | None) -> list[int]:
    """Rounds in which the reference had no clean sample, or was far above its own low quantile."""
    if reference is None:
        return []
    known = [row.get(reference, math.nan) for row in table]
    limit = SLOW_REFERENCE * _quantile(known, LOW_QUANTILE)
    return [slot for slot, row in enumerate(table) if row and not known[slot] <= limit]


def _counted(figure: float, dropped: bool) -> float:
    """An item's figure in a round; one that is dropped keeps its runs, none of them clean, and its place in the row."""
    return Round(math.nan, _as_round(figure).runs, clean_share=0.0) if dropped else figure


def _as_round(figure: float) -> Round:
    """Rounds as they are; a runtime that only tells medians made one run each."""
    return figure if isinstance(figure, Round) else Round(figure)
