"""Bilevel training: what it sees, what it learns, and what it goes on from."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from edgenas.cost.bounds import largest_arch
from edgenas.cost.counts import CountCost
from edgenas.data.base import cycled
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.nn.layers import trainable
from edgenas.nn.mixture import Mixture
from edgenas.nn.supernet import parameter_key
from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining, halves, largest_first
from edgenas.strategies.gradient.relaxations import Gumbel
from edgenas.system import plugins
from edgenas.training.context import TrainingContext
from edgenas.training.settings import Settings as Training
from tests._toys import Cell
from tests.strategies._synthetic import noise, synthetic
from tests.strategies.gradient._training import DATA, TINY, every_relaxation, training


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


@every_relaxation
def test_a_bad_batch_leaves_alphas_as_they_are(relaxation):
    made = training(relaxation, warm_up=0.0)
    x, y = next(made.batches(1))
    made._step_alphas((x, y))
    before = made.alphas.logits.detach().clone()
    made._step_alphas((x * float("nan"), y))
    assert torch.equal(made.alphas.logits, before)
    made._step_alphas((x, y))
    assert made.alphas.logits.isfinite().all() and not torch.equal(made.alphas.logits, before)
