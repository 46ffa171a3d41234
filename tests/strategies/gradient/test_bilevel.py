"""Bilevel training: what it sees, what it steers to, what the guards do, and what discretising changes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.cost.bounds import largest_arch
from edgenas.cost.counts import CountCost
from edgenas.data.base import cycled
from edgenas.exploration.driver import run_search
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.nn.layers import trainable
from edgenas.nn.mixture import Mixture
from edgenas.nn.supernet import parameter_key
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.bilevel import one_size
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining, halves, largest_first
from edgenas.strategies.gradient.collapse import MOST_SKIPS, CollapseDetector, Eigenvalue, full_cells, skips_by_cell
from edgenas.strategies.gradient.relaxations import BinaryGates, Gumbel, HardConcrete, Softmax
from edgenas.system import plugins
from edgenas.training.context import TrainingContext
from edgenas.training.settings import Settings as Training
from tests._toys import Cell
from tests.strategies._synthetic import COSTS, GATE, Toy, built, forget, load_json, noise, synthetic

TINY = Toy(3).restrict({"width": [0]})
DATA = noise(TINY.shape, TINY.classes)
RELAXATIONS = (Softmax(), Gumbel(), HardConcrete(), BinaryGates())
every_relaxation = pytest.mark.parametrize("relaxation", RELAXATIONS, ids=lambda w: type(w).__name__)


def training(relaxation=RELAXATIONS[0], problem=None, *, epochs=4, change=lambda s: s, **settings) -> BilevelTraining:
    problem = problem or synthetic(TINY, 0.4)
    kept = change(BilevelSettings(Training(epochs, 32), **settings))
    rng = np.random.default_rng(0)
    return BilevelTraining(problem, DATA.train, relaxation, kept, rng, seed=0, device="cpu")


def test_weights_and_alphas_learn_from_disjoint_halves_of_all_training_images_and_of_no_others():
    first, second = halves(DATA.train, 0)
    rows = [set(half.rows.tolist()) for half in (first, second)]
    assert not rows[0] & rows[1] and rows[0] | rows[1] == set(DATA.train.rows.tolist())
    counts = [np.bincount(half.labels.numpy(), minlength=len(DATA.classes)) for half in (first, second)]
    assert np.abs(counts[0] - counts[1]).max() <= 1


def test_batches_cycle_through_a_half_and_go_on_from_any_step():
    half = halves(DATA.train, 0)[0]
    per_epoch = len(half) // 32

    def labels(step: int, count: int) -> list[tuple[int, ...]]:
        batches = cycled(half, 32, 8, 0, step)
        return [tuple(next(batches)[1].tolist()) for _ in range(count)]

    whole = labels(0, 3 * per_epoch)
    assert whole[per_epoch + 1 :] == labels(per_epoch + 1, 2 * per_epoch - 1)
    epochs = [Counter(sum(whole[i : i + per_epoch], ())) for i in range(0, len(whole), per_epoch)]
    assert all(sum(epoch.values()) == 32 * per_epoch for epoch in epochs) and whole[0] != whole[per_epoch]


@every_relaxation
def test_in_the_end_every_choice_is_nearly_made(relaxation):
    t = training(relaxation)
    t.advance(t.steps, TrainingContext())
    assert t.probabilities().amax(1).min() >= 0.9


@every_relaxation
def test_with_the_largest_first_its_weights_alone_learn_before_alphas_do(relaxation):
    t = training(relaxation, change=largest_first)
    largest = largest_arch(t.alphas.space, CountCost("macs"))
    nodes = [node for node in t.supernet.space.graph(largest).priced if trainable(node)]
    own = {parameter_key(node.weights, name) for node in nodes for name in trainable(node)}
    before = {name: p.detach().clone() for name, p in t.supernet.shared.items()}
    alphas = t.alphas.logits.detach().clone()
    t.advance(int(t.steps * t.settings.warm_up), TrainingContext())
    moved = {name for name, p in t.supernet.shared.items() if not torch.equal(p, before[name])}
    assert moved and moved < set(before) and moved <= own
    assert torch.equal(t.alphas.logits, alphas)
    t.advance(t.steps, TrainingContext())
    assert not torch.equal(t.alphas.logits, alphas)


@every_relaxation
def test_stopped_and_loaded_it_goes_on_as_if_it_had_not(relaxation):
    whole, first, second = training(relaxation), training(relaxation), training(relaxation)
    whole.advance(whole.steps, TrainingContext())
    first.advance(5, TrainingContext())
    second.load(first.state())
    second.advance(second.steps, TrainingContext())
    assert torch.equal(whole.alphas.logits, second.alphas.logits)
    for a, b in zip(whole.supernet.parameters(), second.supernet.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_expected_cost_is_steered_to_the_budget_from_both_sides(share):
    """With nothing else to learn: images are noise."""
    problem = synthetic(Toy(5).restrict({"width": [0]}), share)
    t = training(Gumbel(), problem, epochs=24, warm_up=0.1)
    t.advance(t.steps, TrainingContext())
    expected = t.lagrangian.expected(t.alphas.rows(t.probabilities()))[GATE]
    assert expected == pytest.approx(t.settings.lagrangian.target * problem.objective.budgets[GATE], rel=0.15)


def test_without_a_budget_nothing_is_added():
    t = training(problem=replace(synthetic(TINY, 0.4), objective=Objective({})))
    assert float(t.lagrangian.loss(t.alphas.rows(t.probabilities()))) == 0


def test_alphas_that_ceased_to_learn_follow_the_budget_and_nothing_else():
    problem = synthetic(Toy(5).restrict({"width": [0]}), 0.25)
    steered = training(problem=problem, epochs=24, warm_up=0.1)
    free = training(problem=replace(problem, objective=Objective({})))
    for t in (steered, free):
        t.learns = False
    before = free.alphas.logits.detach().clone()
    steered.advance(steered.steps, TrainingContext())
    with torch.no_grad():
        assert abs(float(steered.lagrangian.violation(steered.alphas.rows(steered.probabilities())))) < 0.15
    free.advance(free.steps, TrainingContext())
    assert torch.equal(free.alphas.logits, before)


class Skipping(Toy):
    """Whatever is 1 counts as a skip connection."""

    skip_options = frozenset({1})


def skipping(**allowed: list[int]) -> SearchSpace:
    return Skipping(6).restrict({"width": [0], "depth": [2], **{f"e{i}": [1] for i in range(6)}, **allowed})


@pytest.mark.parametrize("learns", [True, False])
def test_a_full_cell_loses_its_least_likely_skips_and_no_others(learns):
    space = skipping()
    t = training(problem=synthetic(space, 0.4))
    t.step, t.learns = t.steps - 1, learns
    with torch.no_grad():
        t.alphas.logits[:, 0] = 3.0 + torch.arange(6)
    assert len(skips_by_cell(space, t.alphas.decode())[""]) == 6
    guard = CollapseDetector(t)
    guard.check()
    assert skips_by_cell(space, t.alphas.decode())[""] == ["k3", "k4", "k5"] and len(guard.notes) >= 1
    assert guard.withdrawn == 6 - MOST_SKIPS


def test_skips_that_nothing_else_is_offered_for_stay():
    space = skipping(**{f"k{i}": [0] for i in range(5)})
    t = training(problem=synthetic(space, 0.4))
    t.step = t.steps - 1
    CollapseDetector(t).check()
    assert skips_by_cell(space, t.alphas.decode())[""] == [f"k{i}" for i in range(5)]


@pytest.mark.parametrize("guards", ["on", "off"])
def test_a_guarded_search_draws_no_full_cells(guards):
    strategy = built("gdas", synthetic(skipping(), 0.8), guards=guards)
    t = strategy.training
    with torch.no_grad():
        t.alphas.logits[:, 0] = 1.0
    drawn = strategy._likely(np.random.default_rng(0))[1:]  # behind the alphas' own
    assert len(drawn) > 10 and any(full_cells(t.alphas.space, arch) for arch in drawn) == (guards == "off")


@pytest.mark.parametrize(("growth", "noticed"), [(1.0, False), (1.02, False), (1.1, True)])
def test_the_largest_eigenvalue_is_found_and_its_rise_is_noticed(growth, noticed):
    curvature = torch.diag(torch.tensor([1.0, 5.0, 2.0]))
    eigenvalue = Eigenvalue()
    rises = [
        eigenvalue.rises(lambda a, factor=growth**check: factor * curvature @ a, torch.zeros(3), iterations=20)
        for check in range(12)
    ]
    assert eigenvalue.values[-1] == pytest.approx(5 * growth**11, rel=1e-3) and any(rises) == noticed


def test_one_size_is_one_that_holds_the_largest_feasible_networks():
    problem = synthetic(Toy(4), 0.5)
    one = one_size(problem, np.random.default_rng(0))
    assert len(list(one.space.all_statics())) == 1 and one.costs == COSTS


def test_a_step_that_draws_nothing_but_none_leaves_alphas_to_the_budget():
    class Nothing(Gumbel):
        def for_alphas(self, probabilities, options, rng, progress):
            taken = probabilities[:, 0]
            return [Mixture((0,), row[None]) for row in 1 + taken - taken.detach()]

    space = Cell((3, 8, 8), 4)
    t = training(Nothing(), synthetic(space, 0.4))
    assert not t.alpha_gradient(next(t.batches(1))).any()
    t._step_alphas(next(t.batches(1)))
    assert t.alphas.logits.grad.any()


@pytest.mark.parametrize("name", plugins.names("spaces"))
def test_steps_on_every_space(name):
    """Two steps on the smallest size: alphas move, and what is asked of the weights has a gradient."""
    space = build_space(name, (3, 32, 32), TINY.classes)
    space = space.restrict({space.choices[i].name: [0] for i in space.static_indices})
    problem = Problem(space, (), Objective({}), lambda arch: {})
    images = noise(space.shape, space.classes).train
    kept, rng = BilevelSettings(Training(1, 8), warm_up=0.0), np.random.default_rng(0)
    t = BilevelTraining(problem, images, Gumbel(), kept, rng, seed=0, device="cpu")
    before = t.alphas.logits.detach().clone()
    t.advance(2, TrainingContext())
    assert not torch.equal(before, t.alphas.logits) and torch.isfinite(t.alphas.logits).all()


def test_a_person_is_told_how_sure_the_alphas_became(tmp_path):
    """Trap: a temperature that is annealed too early, or never, shows in the entropy alone."""
    problem = synthetic(TINY, 0.4)
    strategy = built("gdas", problem)
    run_search(problem, strategy, study := Study(tmp_path, problem.objective, forget, load_json), max_trials=24)
    strategy.recommend(study, 1)
    (line,) = [note for note in strategy.notes if "entropy" in note]
    shown = [float(value) for value in line.rpartition(": ")[2].split(", ")]
    assert len(shown) == 6 and shown[0] > 0.9 and shown[-1] < 0.3
