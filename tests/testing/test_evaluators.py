"""An evaluator that breaks its contract is told so."""

from __future__ import annotations

import math

import pytest

from edgenas.evaluators.tabular import TabularEvaluator
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToySpace

SPACE = ToySpace(3)
ARCH = (0,) * len(SPACE.choices)


def evaluator(accuracy: float = 0.5) -> TabularEvaluator:
    return TabularEvaluator(SPACE, {ARCH: accuracy}, 0, "cpu")


def test_an_evaluator_that_keeps_the_contract_passes():
    evaluator_contract(evaluator(), SPACE, [ARCH])


@pytest.mark.parametrize("accuracy, sentence", [(math.nan, "no finite float"), (90.0, "not within 0 to 1")])
def test_scores_that_are_no_accuracies_are_named(accuracy, sentence):
    with pytest.raises(AssertionError, match=sentence):
        evaluator_contract(evaluator(accuracy), SPACE, [ARCH])


def test_another_networks_weights_are_noticed():
    class Other(TabularEvaluator):
        def network(self, arch):
            return super().network((1, *arch[1:]))

    with pytest.raises(AssertionError, match="is the network of"):
        evaluator_contract(Other(SPACE, {ARCH: 0.5}, 0, "cpu"), SPACE, [ARCH])


def test_scores_that_are_given_away_are_noticed():
    class Shared(TabularEvaluator):
        scores = {"accuracy": 0.5}

        def __call__(self, arch):
            return self.scores

    with pytest.raises(AssertionError, match="two scores"):
        evaluator_contract(Shared(SPACE, {ARCH: 0.5}, 0, "cpu"), SPACE, [ARCH])
