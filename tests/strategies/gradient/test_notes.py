"""What a person is told of a gradient search."""

from __future__ import annotations

from edgenas.exploration.driver import run_search
from edgenas.exploration.study import Study
from tests.strategies._synthetic import built, forget, load_json, synthetic
from tests.strategies.gradient._training import TINY


def test_a_person_is_told_how_sure_the_alphas_became(tmp_path):
    """Trap: a temperature that is annealed too early, or never, shows in the entropy alone."""
    problem = synthetic(TINY, 0.4)
    strategy = built("gdas", problem)
    run_search(problem, strategy, study := Study(tmp_path, problem.objective, forget, load_json), max_trials=24)
    strategy.recommend(study, 1)
    (line,) = [note for note in strategy.notes if "entropy" in note]
    shown = [float(value) for value in line.rpartition(": ")[2].split(", ")]
    assert len(shown) == 6 and shown[0] > 0.9 and shown[-1] < 0.3
