"""One-shot: weights of random paths, uniform or fair, then a predictor."""

from __future__ import annotations

import pytest

from edgenas.strategies.one_shot.path_samplers import fair_paths, uniform_paths
from edgenas.strategies.predictors.guided import GuidedSearch
from tests.strategies._synthetic import Toy, built, synthetic

SPACE = Toy(3)


@pytest.mark.parametrize("sampling, paths", [("uniform", uniform_paths), ("fair", fair_paths)])
def test_sampling_is_an_option(sampling, paths):
    strategy = built("oneshot", synthetic(SPACE, 0.5), sampling=sampling)
    assert strategy.paths is paths and isinstance(strategy.inner, GuidedSearch)


def test_what_scores_is_what_trains():
    strategy = built("oneshot", synthetic(SPACE, 0.5))
    assert strategy.evaluator.supernet is strategy.training.supernet and strategy.trains_weights
