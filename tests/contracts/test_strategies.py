"""What every strategy promises, for every strategy file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.exploration.driver import run_search
from edgenas.exploration.study import Study
from edgenas.spaces.build import build_space
from edgenas.system import plugins
from edgenas.testing.strategies import CHECKS, Candidate
from edgenas.testing.toy import toy_problem

pytestmark = pytest.mark.parametrize("name", plugins.names("strategies"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(name: str, check: Callable[[Candidate], None]):
    check(Candidate(plugins.load("strategies", name)))


def test_works_on_mbconv(tmp_path: Path, name: str):
    space = build_space("mbconv", (3, 32, 32), 10).restrict({"width": [0], "resolution": [0]})
    problem = toy_problem(space, 0.2)
    study = Study(tmp_path, problem.objective)
    run_search(problem, Candidate(plugins.load("strategies", name)).build(problem), study, max_trials=3, batch=3)
    assert len(study.trials) == 3 and all(problem.objective.scored(trial.metrics) for trial in study.trials)
