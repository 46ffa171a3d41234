"""What a strategy has without writing it: a recommendation, a narrower space, and its wiring."""

from __future__ import annotations

import numpy as np

from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.strategies.random import Random
from edgenas.testing.toy import ToyContext, ToyPriced, ToySpace, toy_problem

SPACE = ToySpace(3)
PROBLEM = toy_problem(SPACE, 0.5)


class Listed(Strategy):
    """Writes no more than it must."""

    reward_form = "hard"

    def __init__(self, problem, rng):
        self.problem, self.rng = problem, rng

    def ask(self, n=1):
        return []

    def tell(self, trials):
        pass

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_by_default_it_is_built_with_a_stream_of_its_own_name():
    made = Listed.build(ToyPriced(PROBLEM), ToyContext(3), {})
    assert isinstance(made, Listed) and made.problem is PROBLEM
    assert made.rng.random() == ToyContext(3).rng("listed").random()
    assert not made.trains_weights and made.evaluator is None and made.options == {}


def test_by_default_the_best_trials_are_recommended(tmp_path):
    study = Study(tmp_path, PROBLEM.objective)
    archs = Random(PROBLEM, np.random.default_rng(0)).ask(4)
    for arch, accuracy in zip(archs, (0.2, 0.9, 0.5, 0.7), strict=True):
        study.add(arch, PROBLEM.preview([arch])[0] | {"accuracy": accuracy})
    assert Listed(PROBLEM, None).recommend(study, 2) == [archs[1], archs[3]]


def test_narrowing_changes_the_space_and_nothing_else():
    made, part = Listed(PROBLEM, None), SPACE.restrict({"k0": [1]})
    made.narrow(part)
    assert made.problem.space is part and made.problem.objective is PROBLEM.objective
