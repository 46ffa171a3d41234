"""A strategy that breaks its contract is told so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgenas.errors import UsageError
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.strategies.random import Random
from edgenas.testing import strategy_contract


class Generous(Random):
    def ask(self, n: int = 1) -> list[Arch]:
        return super().ask(n + 1)


class Forgetful(Random):
    """Proposes what it has proposed before."""

    def ask(self, n: int = 1) -> list[Arch]:
        self.proposed.load([])
        return super().ask(n)


class Careless(Random):
    """Its state lacks what was proposed."""

    def load_state_dict(self, state) -> None:
        self.rng.bit_generator.state = state["rng"]


class Reckless(Random):
    """Recommends without a look at the budget."""

    def recommend(self, study: Study, k: int) -> list[Arch]:
        return [tuple(options[-1] for options in self.problem.space.allowed)]


class Deaf(Random):
    """Cannot be told anything."""

    def tell(self) -> None:  # type: ignore[override]
        pass


class Formless(Random):
    reward_form = "harsh"


class Fragile(Random):
    """Learns from qualities that may be missing."""

    def tell(self, trials: Sequence) -> None:
        assert all("accuracy" in trial.metrics for trial in trials), "an accuracy is missing"


def test_a_strategy_that_keeps_the_contract_passes():
    strategy_contract(Random)


@pytest.mark.parametrize(
    "strategy, error, sentence",
    [
        (Generous, AssertionError, r"Generous: ask\(\d+\) gave \d+ architectures"),
        (Forgetful, AssertionError, "Forgetful: .* networks"),
        (Careless, AssertionError, "Careless: .* resumed, it searches otherwise"),
        (Reckless, AssertionError, "Reckless: it recommends what is beyond the budget"),
        (Formless, AssertionError, "reward_form is 'harsh'"),
        (Fragile, AssertionError, "an accuracy is missing"),
        (Deaf, UsageError, "tell cannot be called"),
    ],
)
def test_what_breaks_it_is_named(strategy, error, sentence):
    with pytest.raises(error, match=sentence):
        strategy_contract(strategy)
