"""From rounds to the figures of a model: the low quantile of its rounds, and how well it repeats.

`Timing.ms` is the 10 % quantile of a model's rounds, pooled over several sessions of it. A reference op, timed in every
round, says which rounds were disturbed as a whole; it divides nothing.

Standard library and numpy only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from edgenas.runtimes.base import Round

# The minimum repeats as well, but one lucky round decides it; the median follows what else runs on the machine.
LOW_QUANTILE = 0.1
# A figure that repeats worse than by 4 % does not count, and is measured again: on a quiet machine the low
# quantile repeats within 3 %.
MAX_REPEAT_ERROR = 0.04
# A round whose reference took this much longer than its own low quantile is disturbed; quiet rounds stay within 16 %.
SLOW_REFERENCE = 1.25

K = TypeVar("K")


@dataclass(frozen=True)
class Timing:
    """What is known of one model.

    `ms` and `p90_ms` are the 10 % and 90 % quantiles of its rounds; `repeat_error` compares even with odd rounds;
    `runs` were timed, of which `clean_share` counted. A figure that is not `clean` is of disturbed samples: the machine
    had no quiet moment, and `repeat_error` then holds the spread of the rounds as well.
    """

    ms: float
    p90_ms: float
    repeat_error: float
    runs: int
    clean_share: float
    clean: bool = True


def summarise(rounds: Sequence[float]) -> Timing:
    """Summarise one item's rounds, in the order taken: low and high quantile, and even against odd rounds.

    Rounds that are nan count against the clean share only; ms is nan if all are, and the repeat error is infinite where
    either half is empty.
    """
    made_of = [as_round(figure) for figure in rounds]
    runs = sum(r.runs for r in made_of)
    clean_runs = sum(r.runs * r.clean_share for r in made_of)
    return Timing(
        ms=_quantile(rounds, LOW_QUANTILE),
        p90_ms=_quantile(rounds, 1 - LOW_QUANTILE),
        repeat_error=repeat_error(rounds),
        runs=runs,
        clean_share=clean_runs / runs if runs else 0.0,
    )


def summarise_disturbed(rounds: Sequence[float]) -> Timing:
    """Summarise rounds of which too few are clean: a disturbed one counts by the time that its samples had a core.

    The low quantile takes the least disturbed ones. The repeat error is no less than the distance from there to the
    median: what half of the rounds differ by, the figure may be off. It is 1 where there are too few rounds to tell.
    """
    made_of = [as_round(figure) for figure in rounds]
    timing = summarise([Round(r.disturbed_ms if math.isnan(r) else r, r.runs, r.clean_share) for r in made_of])
    figures = [r.disturbed_ms if math.isnan(r) else float(r) for r in made_of]
    error = max(timing.repeat_error, _quantile(figures, 0.5) / timing.ms - 1)
    return replace(timing, repeat_error=error if math.isfinite(error) else 1.0, clean=False)


def summarise_rounds(rounds: Sequence[Mapping[K, float]], reference: K | None) -> dict[K, Timing]:
    """Summarise every item of a table of rounds; a round in which the reference was slow counts for no item.

    Args:
        rounds: what was measured in each round, ms by item; an item may be missing from some.
        reference: the item by which whole rounds are judged; None keeps all rounds.
    """
    slow = set(slow_rounds(rounds, reference))
    names = dict.fromkeys(name for row in rounds for name in row)
    return {
        name: summarise([_counted(row[name], number in slow) for number, row in enumerate(rounds) if name in row])
        for name in names
    }


def slow_rounds(rounds: Sequence[Mapping[K, float]], reference: K | None) -> list[int]:
    """Return the numbers of the rounds in which the reference had no clean sample, or was far slower than usual.

    Args:
        rounds: ms by item in each round.
        reference: the item to go by; None finds no round slow.
    """
    if reference is None:
        return []
    reference_ms = [row.get(reference, math.nan) for row in rounds]
    limit = SLOW_REFERENCE * _quantile(reference_ms, LOW_QUANTILE)
    # `not <=` instead of `>`: a reference without a figure is nan, and counts as slow.
    return [number for number, row in enumerate(rounds) if row and not reference_ms[number] <= limit]


def repeat_error(rounds: Sequence[float]) -> float:
    """Return how far the low quantile of the even rounds is from that of the odd rounds, as a share; inf if unknown."""
    even, odd = _quantile(rounds[0::2], LOW_QUANTILE), _quantile(rounds[1::2], LOW_QUANTILE)
    return math.inf if math.isnan(even) or math.isnan(odd) else abs(even / odd - 1)


def repeat_error_of_table(timings: Mapping[str, Timing]) -> float:
    """Return one figure for a whole table: nine rows of ten repeat within it (the 90 % quantile over the rows)."""
    return float(np.quantile([timing.repeat_error for timing in timings.values()], 0.9, method="lower"))


def _quantile(rounds: Sequence[float], share: float) -> float:
    """Return a quantile of the rounds that are numbers; nan if none is."""
    numbers = [float(r) for r in rounds if not math.isnan(r)]
    return float(np.quantile(numbers, share)) if numbers else math.nan


def _counted(figure: float, dropped: bool) -> float:
    """Return an item's figure in a round; a dropped one keeps its runs, none of them clean, and its place."""
    return Round(math.nan, as_round(figure).runs, clean_share=0.0) if dropped else figure


def as_round(figure: float) -> Round:
    """Return rounds as they are; a runtime that only tells medians made one run each."""
    return figure if isinstance(figure, Round) else Round(figure)
