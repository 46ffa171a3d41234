from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from edgenas.cost.memory import PeakBytes
from edgenas.errors import UsageError
from edgenas.exploration.feasible import network_keys
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.strategies.milp import Milp
from tests._toys import Cell, all_archs
from tests.strategies._synthetic import COSTS, GATE, Toy, forget, leads_over_random, load_json, synthetic

WIDTHS = Toy(4).restrict({"e0": [1], "k1": [0, 2]})
SPACE, SHAPES = WIDTHS.restrict({"width": [1]}), list(WIDTHS.all_statics())


def told(strategy: Milp, problem: Problem, steps: int, **fields) -> list[Arch]:
    asked = []
    for _ in range(steps):
        for arch in strategy.ask(1):
            quality = problem.evaluate(arch)["accuracy"]
            strategy.tell([Trial(len(asked), arch, {"accuracy": quality}, quality, True, **fields)])
            asked.append(arch)
    return asked


def empty_study(folder, problem: Problem) -> Study:
    return Study(folder, problem.objective, forget, load_json)


class Additive:
    """Accuracy that is a sum of scores."""

    def __init__(self, space) -> None:
        rng = np.random.default_rng(3)
        self.scores = [rng.random(len(choice.options)) / len(space.choices) for choice in space.choices]

    def __call__(self, arch: Arch) -> dict[str, float]:
        return {"accuracy": float(sum(row[option] for row, option in zip(self.scores, arch, strict=True)))}


def additive(space=SPACE) -> tuple[Problem, float]:
    """A problem whose quality is a sum of scores, and the best quality within its budget."""
    problem = Problem(space, COSTS, synthetic(space, 0.3).objective, Additive(space))
    archs = np.array(all_archs(space))[problem.feasible(all_archs(space))].tolist()
    return problem, max(problem.evaluator(tuple(arch))["accuracy"] for arch in archs)


def test_a_budget_that_is_no_sum_is_refused_before_the_search(rng):
    problem = Problem(SPACE, (*COSTS, PeakBytes()), Objective({GATE: 1.0, "peak_bytes": 1e6}), Additive(SPACE))
    with pytest.raises(UsageError, match="peak_bytes is no sum over a network's kernels.*leave that budget out"):
        Milp(problem, np.random.default_rng(0))


def test_costs_without_a_budget_may_be_anything(rng):
    problem = Problem(SPACE, (*COSTS, PeakBytes()), Objective({GATE: 1.0}), Additive(SPACE))
    assert Milp(problem, rng).ask(2)


def test_founders_show_every_option_that_fits(rng):
    strategy = Milp(synthetic(SPACE, 1.0), rng, initial=8)
    columns = zip(*strategy.ask(8), strict=True)
    assert [set(column) for column in columns] == [set(allowed) for allowed in SPACE.allowed]


def test_the_optimum_of_additive_qualities_is_found_and_proven(tmp_path, rng):
    problem, best = additive()
    strategy = Milp(problem, rng, initial=12)
    asked = told(strategy, problem, 24)
    assert max(problem.evaluator(arch)["accuracy"] for arch in asked) == pytest.approx(best)
    first = strategy.recommend(empty_study(tmp_path, problem), 3)[0]
    assert problem.evaluator(first)["accuracy"] == pytest.approx(best)
    assert len(strategy.notes) == 1 and "optimum of the learned scores proven in" in strategy.notes[0]
    expected, bound = (float(strategy.notes[0].split(word)[1].split(",")[0]) for word in ("quality", "bound"))
    assert expected == bound == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("budget_share", [0.15, 0.6])
def test_does_not_lose_to_random(tmp_path, budget_share):
    """Mean of 3 seeds at equal evaluations, under a tight and a loose budget."""
    leads = leads_over_random(tmp_path, partial(Milp, initial=8), Toy(4), budget_share, seeds=3, trials=20)
    assert leads.mean() > 0


@pytest.mark.parametrize("space", [SPACE, Cell()], ids=lambda space: space.name)
def test_a_feasible_set_in_fragments_is_found_whole(space, rng):
    """The few cheapest networks: samples rarely meet any, and one is no neighbour of the other."""
    archs = all_archs(space)
    keys, costs = np.array(network_keys(space, archs), dtype=object), COSTS[0].many(space, archs)
    budget = next(b for b in np.unique(costs)[::-1] if len(set(keys[costs <= b])) <= 16)
    problem = Problem(space, COSTS, Objective({GATE: budget * (1 + 1e-6)}), Additive(space))
    strategy = Milp(problem, rng, initial=4)
    asked = network_keys(space, told(strategy, problem, 20))
    assert set(asked) == set(keys[costs <= budget]) and len(asked) == len(set(asked)) > 1
    assert strategy.ask(1) == [] and strategy.notes == ["milp: proven that no other network meets the budgets"]


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_it_says_what_is_best_within_another_budget(rng, factor):
    problem, _ = additive(WIDTHS)
    budgets = {metric: factor * bound for metric, bound in problem.objective.budgets.items()}
    other = replace(problem, objective=Objective(budgets))
    strategy = Milp(problem, rng)
    assert strategy.within(other) == [], "nothing is known yet"
    accuracy = {a: problem.evaluator(a)["accuracy"] for a in all_archs(WIDTHS) if other.feasible([a])[0]}
    strategy.expect(problem.evaluator.scores)
    best = {shape: max((accuracy[a] for a in accuracy if WIDTHS.statics(a) == shape), default=None) for shape in SHAPES}
    found = strategy.within(other)
    assert [accuracy[arch] for arch in found] == pytest.approx([x for x in best.values() if x is not None])
    told(strategy, problem, 24)
    learned = strategy.within(other)
    assert accuracy[learned[0]] == pytest.approx(max(accuracy.values()), abs=0.02)
    assert len(set(network_keys(WIDTHS, learned))) == len(learned) > len(SHAPES) and set(learned) <= set(accuracy)


def test_a_budget_out_of_reach_is_proven_to_be(rng):
    strategy = Milp(Problem(SPACE, COSTS, Objective({GATE: 1e-6}), Additive(SPACE)), rng)
    assert strategy.ask(3) == [] and strategy.notes == ["milp: proven that no architecture meets the budgets"]


def test_out_of_time_it_proposes_what_is_feasible_and_says_so(tmp_path, rng):
    problem = synthetic(SPACE, 0.3)
    strategy = Milp(problem, rng, initial=2, seconds=0.0)
    asked = told(strategy, problem, 5)
    assert len(asked) == 5 and problem.feasible(asked).all()
    study = empty_study(tmp_path, problem)
    strategy.recommend(study, 2)
    assert strategy.notes == [
        "milp: no architecture was found within 0 s",
        "milp: 3 proposals were not proven the best within 0 s each",
    ]


def test_where_it_is_known_what_options_cost_the_first_proposals_are_the_optima_of_that(rng):
    problem, best = additive(WIDTHS)
    strategy = Milp(problem, rng, initial=4)
    strategy.expect([[100 * score for score in row] for row in problem.evaluator.scores])  # in a unit of their own
    shapes = {WIDTHS.statics(arch) for arch in all_archs(WIDTHS) if problem.feasible([arch])[0]}
    asked = told(strategy, problem, 6)
    assert problem.evaluator(asked[0])["accuracy"] == pytest.approx(best)
    assert {WIDTHS.statics(arch) for arch in asked[: len(shapes)]} == shapes and len(shapes) > 1
    assert len(set(network_keys(WIDTHS, asked))) == 6 and problem.feasible(asked).all()


def test_trials_correct_what_was_expected_of_options(tmp_path, rng):
    """What was expected is the opposite of what is true."""
    problem, best = additive()
    strategy = Milp(problem, rng, initial=8)
    strategy.expect([[-score for score in row] for row in problem.evaluator.scores])
    told(strategy, problem, 40)
    first = strategy.recommend(empty_study(tmp_path, problem), 1)[0]
    assert problem.evaluator(first)["accuracy"] == pytest.approx(best, abs=0.02)


def test_newer_weights_make_older_rewards_nothing(rng):
    problem = synthetic(SPACE, 0.5)
    strategy = Milp(problem, rng, initial=2)
    told(strategy, problem, 4)
    newer = told(strategy, problem, 2, weights_version=1)
    assert [arch for arch, _ in strategy.rewards] == newer


def test_failed_trials_teach_nothing(rng):
    strategy = Milp(synthetic(SPACE, 0.5), rng)
    strategy.tell([Trial(0, strategy.ask(1)[0], {}, -1.0, False, error="out of memory")])
    assert strategy.rewards == []


def test_narrowed_it_proposes_from_what_is_left(rng):
    problem = synthetic(SPACE, 0.5)
    strategy = Milp(problem, rng, initial=3)
    told(strategy, problem, 5)
    space = SPACE.restrict({"k0": [2], "depth": [0]})
    strategy.narrow(space)
    for arch in told(strategy, problem, 4):
        assert arch[space.index["k0"]] == 2 and arch[space.index["depth"]] == 0
