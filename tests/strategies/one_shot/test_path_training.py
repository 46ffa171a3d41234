"""Weights that train path by path: which paths, what they move, and that nothing but (seed, step) decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import BudgetError, EdgeNASError, Interrupted
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.nn.layers import trainable
from edgenas.nn.supernet import Supernet, parameter_key
from edgenas.spaces.sampling import is_allowed
from edgenas.strategies.controllers.lstm import Controller
from edgenas.strategies.one_shot.path_samplers import PolicyPaths, fair_group, fair_paths, group_size, uniform_paths
from edgenas.strategies.one_shot.path_training import PathTraining
from edgenas.training.context import TrainingContext
from edgenas.training.settings import Settings
from tests.strategies._synthetic import COSTS, GATE, Accuracy, Toy, noise, synthetic

SPACE = Toy(4)
PROBLEM = synthetic(SPACE, 0.5)


def training(device: str = "cpu", epochs: int = 20) -> PathTraining:
    supernet = Supernet(SPACE, torch.Generator().manual_seed(0)).to(device)
    return PathTraining(supernet, noise(SPACE.shape, SPACE.classes).train, Settings(epochs, 32), seed=3)


def draw(rng, step):
    return uniform_paths(PROBLEM, rng, step)


def weights(made: PathTraining) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in made.supernet.parameters()])


# Paths


@given(st.sets(st.integers(0, 2), min_size=1), st.sets(st.integers(0, 1), min_size=1), st.integers(0, 999))
def test_a_fair_group_has_every_option_of_the_widest_choices_once(kernels, expansions, seed):
    space = SPACE.restrict({"k0": sorted(kernels), "e1": sorted(expansions)})
    group = fair_group(space, np.random.default_rng(seed))
    assert len(group) == group_size(space) == 3 and all(is_allowed(space, arch) for arch in group)
    for i, options in enumerate(space.allowed):
        counts = Counter(arch[i] for arch in group)
        assert set(counts) == set(options) and max(counts.values()) - min(counts.values()) <= 1


def test_fair_groups_are_those_nearest_to_the_budget():
    def violation(groups):
        return np.mean([PROBLEM.violation(group).sum() for group in groups])

    rng = np.random.default_rng(0)
    chosen = list(islice(fair_paths(PROBLEM, rng, 0), 50))
    assert violation(chosen) < violation([fair_group(SPACE, rng) for _ in range(50)])


@pytest.mark.parametrize("form", ["hard", "absolute"])
@pytest.mark.parametrize("budget_share", [0.01, 0.3, 2.0])
def test_only_what_the_objective_scores_is_trained(form, budget_share, rng):
    problem = synthetic(SPACE, budget_share, form=form)
    policy = PolicyPaths(Controller(SPACE.allowed, 8, rng), 20)
    for paths in (uniform_paths, policy):
        archs = [arch for group in islice(paths(problem, rng, 0), 150) for arch in group]
        previews = problem.preview(archs, [GATE])
        assert len(archs) == 150 and all(problem.objective.scored(metrics) for metrics in previews)


def test_uniform_paths_have_every_option_equally_often(rng):
    problem = replace(PROBLEM, objective=Objective({}))
    archs = np.array([arch for (arch,) in islice(uniform_paths(problem, rng, 0), 6000)])
    for i, options in enumerate(SPACE.allowed):
        np.testing.assert_allclose(np.bincount(archs[:, i]) / len(archs), 1 / len(options), atol=0.03)


def test_a_budget_out_of_reach_has_no_paths(rng):
    problem = Problem(SPACE, COSTS, Objective({GATE: 1e-6}), Accuracy(SPACE, 0))
    with pytest.raises(BudgetError):
        next(uniform_paths(problem, rng, 0))


def test_policy_paths_turn_from_random_ones_to_the_policys_own(rng):
    problem = replace(PROBLEM, objective=Objective({}))
    controller = Controller(SPACE.allowed, 8, rng)
    with torch.no_grad():
        controller.heads.mul_(1e4)
    favourite = Counter(controller.sample(200, rng)).most_common(1)[0][0]
    kept = [
        np.mean(np.equal(favourite, arch)) for (arch,) in islice(PolicyPaths(controller, 600)(problem, rng, 0), 900)
    ]
    early, middle, late = np.mean(kept[:150]), np.mean(kept[225:375]), np.mean(kept[600:])
    assert early < middle < late and early < 0.6


# Training


def test_only_parameters_on_a_path_move():
    made = training()
    before = {name: p.clone() for name, p in made.supernet.shared.items()}
    (arch,) = next(draw(np.random.default_rng(0), 0))
    images = torch.randn(8, *SPACE.shape), torch.arange(8) % SPACE.classes
    made.update(images, [arch])
    used = {parameter_key(node.weights, name) for node in SPACE.graph(arch).priced for name in trainable(node)}
    moved = {name for name, p in made.supernet.shared.items() if not torch.equal(p, before[name])}
    assert moved == used < set(before)


def test_several_architectures_give_the_mean_of_their_gradients():
    made = training()
    archs = next(fair_paths(PROBLEM, np.random.default_rng(0), 0))
    images = torch.randn(8, *SPACE.shape), torch.arange(8) % SPACE.classes
    losses = [training().update(images, [arch]) for arch in archs]
    torch.testing.assert_close(made.update(images, archs), torch.stack(losses).mean())


def test_training_follows_from_seed_and_step():
    first, again = training(), training()
    for made in (first, again):
        made.advance(12, draw, TrainingContext())
    other = training()
    other.seed = 4
    other.advance(12, draw, TrainingContext())
    assert torch.equal(weights(first), weights(again)) and not torch.equal(weights(first), weights(other))


def test_loaded_after_a_part_equals_uninterrupted():
    whole, halted = training(), training()
    for until in (7, 15):
        whole.advance(until, draw, TrainingContext())
    halted.advance(7, draw, TrainingContext())
    state = halted.state()
    halted.advance(9, draw, TrainingContext())  # what comes after does not change the state
    resumed = training()
    resumed.load(state)
    resumed.advance(15, draw, TrainingContext())
    assert resumed.step == 15 and torch.equal(weights(whole), weights(resumed))


def test_stopped_within_a_part_goes_on_there(tmp_path):
    whole, asked = training(), iter([False] * 4 + [True] * 9)
    whole.advance(12, draw, TrainingContext())
    halted = training()
    with pytest.raises(Interrupted):
        halted.advance(12, draw, TrainingContext(tmp_path / "paths.pt", stop=lambda: next(asked)))
    resumed, steps = training(), []
    told = TrainingContext(tmp_path / "paths.pt", progress=lambda done, total, text: steps.append(done))
    before = resumed.update
    resumed.update = lambda *batch: steps.append("update") or before(*batch)  # type: ignore[method-assign]
    resumed.advance(12, draw, told)
    assert torch.equal(weights(whole), weights(resumed))
    assert 0 < steps.count("update") < 12


def test_a_checkpoint_of_another_part_is_left_alone(tmp_path):
    stale = training()
    stale.advance(5, draw, TrainingContext())
    asked = iter([False, True, True])
    context = TrainingContext(tmp_path / "paths.pt", stop=lambda: next(asked))
    with pytest.raises(Interrupted):
        stale.advance(9, draw, context)
    fresh, whole = training(), training()
    fresh.advance(5, draw, TrainingContext(tmp_path / "paths.pt"))
    whole.advance(5, draw, TrainingContext())
    assert torch.equal(weights(fresh), weights(whole))


def test_a_loss_that_is_no_number_ends_the_training():
    made = training()
    with torch.no_grad():
        next(iter(made.supernet.parameters())).fill_(torch.nan)
    with pytest.raises(EdgeNASError, match="diverged"):
        made.advance(20, draw, TrainingContext())


def test_a_step_never_waits_for_the_device():
    """On `meta`, whatever needs a number on the host fails."""
    made = training("meta")
    images = torch.empty(8, *SPACE.shape, device="meta"), torch.empty(8, dtype=torch.int64, device="meta")
    loss = made.update(images, next(fair_paths(PROBLEM, np.random.default_rng(0), 0)))
    assert loss.is_meta


def test_training_learns():
    made = training(epochs=60)
    x = torch.randn(32, *SPACE.shape)
    y = (x.mean(dim=(1, 2, 3)) > 0).long()
    arch = next(draw(np.random.default_rng(0), 0))
    first = float(made.update((x, y), arch))
    for _ in range(40):
        made.step += 1
        last = float(made.update((x, y), arch))
    assert last < 0.7 * first
