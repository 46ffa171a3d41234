"""Budgets, feasibility and the three reward forms.

Conventions: quality is maximised and lies in 0..1, costs are minimised and budgets are inclusive upper bounds. Every
reward is finite, and

    scored trials  >  trials that were not worth scoring  and  failed trials

holds for every form, so a strategy can rank whatever it is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgenas.errors import UsageError
from edgenas.system import text

Metrics = dict[str, float]

ACCURACY = "accuracy"
AGREEMENT = "agreement"  # of a cut with its teacher: exp(-divergence) of their soft labels, in 0..1

FORMS = ("hard", "soft", "absolute")
# MnasNet's exponent (arXiv:1807.11626, section 3), and the factor in the code released with TuNAS (arXiv:2008.06120).
EXPONENTS = {"hard": 0.0, "soft": -0.07, "absolute": -0.10}
# With shared weights an accuracy just above the budget costs little and tells a policy which way is back.
SCORED_UP_TO = {"hard": 1.0, "soft": 1.5, "absolute": 1.5}
# Rewards bottom out at this violation, a hundred budgets too much: one hopeless architecture must not drown the
# differences between the others.
WORST_VIOLATION = 100.0
# Violation of a budget by a cost that is not a number: more than any number of overrun budgets.
NOT_FINITE = 1e9


def standard_errors_below(accuracies: Sequence[float], images: int) -> list[int]:
    """Return by how many whole standard errors each accuracy is below the best: 0 of what cannot be told from it.

    Args:
        accuracies: shares of right answers, in 0..1.
        images: that they are shares of (binomial).

    >>> standard_errors_below([0.90, 0.89, 0.86], images=305)
    [0, 0, 2]
    """
    best = max(accuracies, default=0.0)
    standard_error = max(math.sqrt(max(0.0, best * (1 - best)) / images), 1e-9)  # never 0, as it divides
    return [int((best - accuracy) / standard_error) for accuracy in accuracies]


@dataclass(frozen=True)
class Limit:
    """A budget as the user gave it: an upper bound on `metric`, by a flag that takes multiples of `unit`.

    `flag` ends where its value begins; `what` says what the value counts.

    >>> limit = Limit("peak_bytes", 2e6, "--max-memory-mb ", "of activations", 1e6)
    >>> str(limit), limit.flag_for(2.3456e6)
    ('2 MB of activations', '--max-memory-mb 2.35')
    """

    metric: str
    bound: float
    flag: str
    what: str
    unit: float = 1.0

    def __str__(self) -> str:
        """Return the budget as a person reads it: `1 M parameters`."""
        return f"{text.figure(self.metric, self.bound)} {self.what}".rstrip()

    def flag_for(self, value: float) -> str:
        """Return the flag that allows `value`, rounded up to three digits."""
        step = 10.0 ** (math.floor(math.log10(value / self.unit)) - 2)
        return f"{self.flag}{math.ceil(value / self.unit / step) * step:g}"


def in_words(limits: Sequence[Limit]) -> str:
    """Join limits as a person says them: `20 ms, 1 M parameters and 2 MB of activations`."""
    *others, last = map(str, limits)
    return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True)
class Objective:
    """Asks for the most of `quality` within `budgets` (metric to upper bound, in the metric's unit).

    `form` is how the budget enters the reward:
        hard      quality where feasible; an infeasible architecture is not scored
        soft      quality x product of (value / budget)^w, above and below the budget (MnasNet, arXiv:1807.11626)
        absolute  quality + w |value / budget - 1| of the tightest budget (TuNAS, arXiv:2008.06120)
    `exponent` is w, at most 0; None takes the paper's.

    >>> objective = Objective({"latency_ms@pi5": 20.0}, form="soft")
    >>> round(objective.reward({"latency_ms@pi5": 40.0, "accuracy": 0.7}), 3)  # twice the budget: not scored
    -1.0
    >>> round(objective.reward({"latency_ms@pi5": 10.0, "accuracy": 0.7}), 3)
    0.735

    Raises:
        UsageError: unknown form, a budget that is not a positive number, an exponent that rewards violation.
    """

    budgets: Mapping[str, float] = field(default_factory=dict)
    quality: str = ACCURACY
    form: str = "hard"
    exponent: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.form not in FORMS:
            raise UsageError(f"no reward form {self.form!r}; there are {', '.join(FORMS)}")
        for metric, budget in self.budgets.items():
            if not (math.isfinite(budget) and budget > 0):
                raise UsageError(f"the budget of {metric} must be a positive number, not {budget}")
        if not (math.isfinite(self.weight) and self.weight <= 0):
            raise UsageError(f"the reward's exponent must be a number of at most 0, not {self.weight}")

    @property
    def weight(self) -> float:
        """The exponent w."""
        return EXPONENTS[self.form] if self.exponent is None else self.exponent

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return the constraint violation: relative overruns, summed; 0 if feasible, 0.5 at one and a half budgets."""
        total = 0.0
        for metric, budget in self.budgets.items():
            value = metrics[metric]
            # What is not finite is told apart first: `max(0.0, nan)` is 0.0, and would make it feasible.
            total += max(0.0, value - budget) / budget if math.isfinite(value) else NOT_FINITE
        return total

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Return whether every budget is met. A cost that is not a number meets none."""
        return all(metrics[metric] <= budget for metric, budget in self.budgets.items())

    def scored(self, metrics: Mapping[str, float]) -> bool:
        """Return whether the reward needs the quality: from the costs alone, before anything is trained."""
        widest = SCORED_UP_TO[self.form]
        return all(metrics[metric] <= widest * budget for metric, budget in self.budgets.items())

    def reward(self, metrics: Mapping[str, float]) -> float:
        """Return what a strategy maximises; always finite.

        A trial that is not scored gets minus its violation, one whose quality is missing or not a number gets one less,
        both below every scored trial.

        Raises:
            KeyError: the metric of a budget is missing.
        """
        violation = min(self.violation(metrics), WORST_VIOLATION)
        if not self.scored(metrics):
            return self._floor - violation
        quality = metrics.get(self.quality, math.nan)
        if not math.isfinite(quality):
            return self._floor - violation - 1.0
        ratios = [metrics[metric] / budget for metric, budget in self.budgets.items()]
        if self.form == "soft":
            # A cost of 0 would make the reward infinite; no real network is a millionth of its budget.
            return quality * math.prod(math.pow(max(ratio, 1e-6), self.weight) for ratio in ratios)
        # Of several budgets the one that is used most counts: the others are met if it is.
        if self.form == "absolute" and ratios:
            return quality + self.weight * abs(max(ratios) - 1.0)
        return quality

    @property
    def _floor(self) -> float:
        """The least reward of a scored trial: no quality, and all of the budget unused."""
        return self.weight if self.form == "absolute" else 0.0
