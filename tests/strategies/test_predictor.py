"""Predictor-guided search by name: sizes follow from the trials that are planned."""

from __future__ import annotations

import pytest

from edgenas.strategies.predictor import PredictorGuided
from tests.strategies._synthetic import Toy, built, synthetic


@pytest.mark.parametrize("trials, initial", [(10, 4), (50, 10), (500, 16)])
def test_few_trials_have_few_initial_individuals(trials, initial):
    made = built("predictor", synthetic(Toy(3), 0.5), trials=trials)
    assert isinstance(made, PredictorGuided) and made.initial == initial and len(made.makers) == 2
