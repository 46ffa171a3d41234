from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgenas.data.base import Augment
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import CheckpointError, EdgeNASError, Interrupted
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.training import train as engine
from edgenas.training.context import TrainingContext
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import RECIPES, Settings, batch_size_for, rate
from edgenas.training.train import Stepper, evaluate, make_optimizer, supervised, train

SETTINGS = Settings(epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def data():
    """96 images in 3 classes that brightness tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    pixels = (rng.integers(0, 60, (120, 1, 28, 28)) + 80 * labels[:, None, None, None]).astype(np.uint8)
    classes = ("dark", "grey", "bright")
    splits = split_rows(labels, {"train": np.arange(120)}, classes, validation_share=0.1, seed=0, where="toy")
    return data_from_pixels("toy", classes, pixels, labels, splits, augment=Augment(shift=0.1), device="cpu")


@pytest.fixture(scope="module")
def space():
    return build_space("mbconv", (1, 28, 28), 3)


def network(space):
    return Network(space.graph(tuple(0 for _ in space.choices)), torch.Generator().manual_seed(0))


def fit(module, data, context=None, settings=SETTINGS):
    train(
        module,
        supervised(module, settings),
        data.train,
        settings,
        size=20,
        seed=3,
        context=context or TrainingContext(),
    )
    return module


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_rate_rises_then_falls_to_zero():
    steps = [rate(Settings(1, learning_rate=1.0, warm_up=0.1), step, 100) for step in range(100)]
    assert steps[0] == pytest.approx(0.1) and steps[9] == 1.0 and max(steps) == 1.0
    assert all(a >= b for a, b in zip(steps[10:], steps[11:], strict=False)) and steps[-1] < 0.01


@pytest.mark.parametrize("images, batch", [(10, 64), (9_999, 64), (10_000, 128)])
def test_batch_size(images, batch):
    assert batch_size_for(images) == batch


def test_training_learns(space, data):
    module = fit(network(space), data, settings=Settings(epochs=12, batch_size=16))
    scores = evaluate(module, data.validation.batches(64, size=20))
    assert scores.accuracy > 0.8 and scores.images == len(data.validation)


def test_frozen_statistics_stay_as_they_are_while_weights_learn(space, data):
    before = network(space).state_dict()
    after = fit(network(space), data, settings=replace(SETTINGS, frozen_statistics=True)).state_dict()
    statistics = {name for name in before if name.endswith((".mean", ".variance"))}
    assert statistics and all(torch.equal(before[name], after[name]) for name in statistics)
    assert not any(torch.equal(before[name], after[name]) for name in before.keys() - statistics)
    moved = fit(network(space), data).state_dict()
    assert not any(torch.equal(before[name], moved[name]) for name in statistics)


def test_same_seed_same_weights(space, data):
    assert equal(fit(network(space), data), fit(network(space), data))


@pytest.mark.parametrize("stop_after", [1, 5, 7])
def test_stopped_and_resumed_equals_uninterrupted(space, data, tmp_path, stop_after):
    whole = fit(network(space), data)
    calls = []

    def stop():
        return len(calls) >= stop_after

    context = TrainingContext(tmp_path / "a.pt", {"seed": 3}, lambda done, total, text: calls.append(done), stop)
    with pytest.raises(Interrupted):
        fit(network(space), data, context)
    resumed = fit(network(space), data, TrainingContext(tmp_path / "a.pt", {"seed": 3}))
    assert equal(whole, resumed)
    assert equal(
        whole, fit(network(space), data, TrainingContext(tmp_path / "a.pt", {"seed": 3}))
    )  # nothing left to do


def test_a_checkpoint_of_another_run_is_refused(space, data, tmp_path):
    fit(network(space), data, TrainingContext(tmp_path / "a.pt", {"seed": 3}))
    with pytest.raises(CheckpointError, match="seed = 3, this run has 4"):
        fit(network(space), data, TrainingContext(tmp_path / "a.pt", {"seed": 4}))


def test_one_bad_batch_is_skipped_and_many_stop(space, data, monkeypatch):
    module = network(space)
    bad_steps = {2}

    def gradients(x, y, step):
        loss = F.cross_entropy(module(x), y) * (float("nan") if step in bad_steps else 1.0)
        loss.backward()
        return loss.detach()

    train(module, gradients, data.train, SETTINGS, size=20, seed=0, context=TrainingContext())
    assert all(torch.isfinite(p).all() for p in module.parameters())
    monkeypatch.setattr(engine, "BAD_STEPS_IN_A_ROW", 3)
    bad_steps |= set(range(100))
    with pytest.raises(EdgeNASError, match="diverged"):
        train(module, gradients, data.train, SETTINGS, size=20, seed=0, context=TrainingContext())


def test_weight_decay_spares_scales_and_biases(space):
    kernels, others = make_optimizer(network(space), SETTINGS).param_groups
    assert kernels["weight_decay"] > 0 == others["weight_decay"]
    assert all(p.dim() > 1 for p in kernels["params"]) and all(p.dim() <= 1 for p in others["params"])


@pytest.mark.parametrize("optimizer, kind", [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_optimizers(space, optimizer, kind):
    assert isinstance(make_optimizer(network(space), Settings(1, optimizer=optimizer)), kind)


def test_sandwich_trains_every_path_and_students_follow_the_teacher(space, rng):
    supernet = Supernet(space, torch.Generator().manual_seed(0))
    archs = [sample(space, rng) for _ in range(3)]
    x, y = torch.randn(8, 1, 28, 28), torch.randint(3, (8,))
    sandwich(supernet, SETTINGS, lambda step: archs)(x, y, 0)
    together = {name: p.grad.clone() for name, p in supernet.shared.items() if p.grad is not None}
    supernet.zero_grad()
    sandwich(supernet, SETTINGS, lambda step: archs[:1])(x, y, 0)
    alone = {name: p.grad for name, p in supernet.shared.items() if p.grad is not None}
    assert set(alone) <= set(together)
    assert any(not torch.equal(alone[name], together[name]) for name in alone)
    assert not any(g.requires_grad for g in together.values())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_skipped_step_leaves_everything_as_it_was(space, optimizer):
    module = network(space)
    settings = Settings(1, optimizer=optimizer)
    stepper = Stepper(module, make_optimizer(module, settings), settings.clip)
    before = [p.detach().clone() for p in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    stepper.step()
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    stepper.step()
    assert all(
        torch.isfinite(p).all() and not torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True)
    )


@pytest.mark.parametrize("ghost_batch", [None, 8])
def test_ghost_batches_train_and_resume(space, data, tmp_path, ghost_batch):
    settings = Settings(epochs=1, batch_size=16, ghost_batch=ghost_batch, cutout=0.3)
    whole = fit(network(space), data, settings=settings)
    steps: list[int] = []
    context = TrainingContext(
        tmp_path / "a.pt", {}, lambda done, total, text: steps.append(done), lambda: len(steps) == 2
    )
    with pytest.raises(Interrupted):
        fit(network(space), data, context, settings)
    assert equal(whole, fit(network(space), data, TrainingContext(tmp_path / "a.pt"), settings))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_start_below_their_rate_and_end_at_zero(name):
    settings = RECIPES[name] or Settings(6)
    rates = [rate(settings, step, 1000) for step in range(1000)]
    assert max(rates) == pytest.approx(settings.learning_rate) and rates[-1] < 1e-4 * settings.learning_rate


def test_the_published_recipe():
    """DARTS, arXiv:1806.09055, appendix A.2."""
    recipe = RECIPES["darts600"]
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.learning_rate) == (600, 96, "sgd", 0.025)
    assert (recipe.momentum, recipe.weight_decay, recipe.clip, recipe.cutout * 32) == (0.9, 3e-4, 5.0, 16)
