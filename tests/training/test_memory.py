import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgenas.data.base import Augment
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import EnvironmentFault, Interrupted, TooLarge
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import BinaryGates, Gumbel, HardConcrete, Softmax
from edgenas.strategies.one_shot.path_samplers import uniform_paths
from edgenas.strategies.one_shot.path_training import PathTraining
from edgenas.training import memory
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch_norm import split_batch
from edgenas.training.memory import WORKSPACE_BYTES, MicroBatch, StepMemory, choose, fit, measure
from edgenas.training.settings import Settings
from edgenas.training.train import supervised, train
from tests._toys import Shared
from tests.strategies._synthetic import Toy, noise, synthetic

SHAPE = (3, 8, 8)
GB = 1_000_000_000


def plain():
    """A network without batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))


def normalised():
    space = Shared()
    return Network(space.graph(tuple(0 for _ in space.choices)), torch.Generator().manual_seed(0)).train()


def backward(module):
    def step(x, y, number=0):
        loss = F.cross_entropy(module(x), y)
        loss.backward()
        return loss.detach()

    return step


@pytest.fixture
def free(monkeypatch):
    """Set how much memory may be used, by a process that holds nothing yet."""

    def set_free(count):
        monkeypatch.setattr(memory, "free_bytes", lambda: int(count / memory.FREE_SHARE) + 1)
        monkeypatch.setattr(memory, "resident_bytes", lambda: 0)

    set_free(64 * GB)
    return set_free


def test_what_a_step_keeps_is_measured():
    module = plain()
    found = measure(module, backward(module), SHAPE)
    weights = sum(p.numel() for p in module.parameters())
    # its input, what ReLU gives, that in a row for the linear layer, and the logarithms of the probabilities
    kept = 3 * 8 * 8 + 2 * 6 * 6 * 6 + 4
    assert found.weights_bytes == 4 * weights
    assert kept <= found.image_bytes / 4 <= kept + 8


def test_several_networks_in_turn_need_what_the_largest_needs():
    module = plain()
    once = measure(module, backward(module), SHAPE)

    def thrice(x, y):
        for _ in range(3):
            backward(module)(x, y)

    assert measure(module, thrice, SHAPE).image_bytes == pytest.approx(once.image_bytes, rel=0.02)


def test_measuring_changes_nothing():
    module = normalised()
    before, generator = copy.deepcopy(module.state_dict()), torch.get_rng_state()

    def noisy(x, y):
        backward(module)(x + torch.rand_like(x), y)

    measure(module, noisy, SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), module.state_dict().values(), strict=True))
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(generator, torch.get_rng_state())


@pytest.mark.parametrize(
    "whole, usable_images, images",
    [(64, 64, 64), (64, 63, 32), (64, 9, 8), (64, 3, 4), (96, 50, 48), (96, 2, 6), (3, 1, 3), (1, 1, 1)],
)
def test_batches_are_halved_until_they_fit(whole, usable_images, images):
    step = StepMemory(10**6, 10**8)
    assert choose(step, whole, 1, step.of(usable_images)).images == images


def test_sums_of_gradients_need_memory_too():
    step = StepMemory(10**6, 10**8)
    assert step.of(8, 1) < step.of(8, 2) < step.of(8, 8)
    assert choose(step, 16, 2, step.of(8)).images == 4


@pytest.mark.parametrize("images", [32, 16, 5])
def test_the_record_of_smaller_micro_batches_says_what_those_need(images):
    step = StepMemory(10**6, 10**8)
    record = choose(step, 64, 2, step.of(64, 2))
    assert record.of(images).needed_bytes == step.of(images, 2 * -(-64 // images)) < record.needed_bytes
    assert MicroBatch(64, 10**9, 10**9).of(32) == MicroBatch(32, 10**9, 10**9), "an earlier version's"


def test_where_memory_suffices_nothing_changes(free):
    ghosts = split_batch(16, None)
    module = plain()
    assert fit(ghosts, module, backward(module), SHAPE, TrainingContext()) is ghosts


def test_gradients_of_micro_batches_are_those_of_the_batch(free):
    torch.manual_seed(1)
    x, y = torch.randn(16, *SHAPE), torch.randint(4, (16,))
    whole, parts = plain(), plain()
    free(measure(parts, backward(parts), SHAPE).of(5, 4))
    ghosts = fit(split_batch(16, None), parts, backward(parts), SHAPE, TrainingContext())
    assert ghosts.count == 4
    split_batch(16, None).step(whole, backward(whole), x, y, 0)
    ghosts.step(parts, backward(parts), x, y, 0)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_ghost_batches_that_fit_stay_and_others_shrink(free):
    module = normalised()
    needed = measure(module, backward(module), SHAPE).of
    free(needed(8, 4))
    assert fit(split_batch(32, 8), module, backward(module), SHAPE, TrainingContext()).count == 4
    free(needed(7, 8))
    assert fit(split_batch(32, 8), module, backward(module), SHAPE, TrainingContext()).count == 8


def test_the_ceiling_holds_where_more_is_free(free):
    module = normalised()
    ceiling = int(measure(module, backward(module), SHAPE).of(8, 4) / memory.FREE_SHARE) + 1
    ghosts = fit(split_batch(32, None), module, backward(module), SHAPE, TrainingContext(ceiling_bytes=ceiling))
    assert ghosts.count == 4


def test_the_ceiling_alone_refuses_nothing(free):
    module = normalised()
    ghosts = fit(split_batch(32, None), module, backward(module), SHAPE, TrainingContext(ceiling_bytes=1))
    assert ghosts.count == 32 // memory.SMALLEST


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 255, (48, 3, 8, 8)).astype(np.uint8), np.arange(48) % 4
    splits = split_rows(labels, {"train": np.arange(48)}, tuple("abcd"), validation_share=0.1, seed=0, where="toy")
    return data_from_pixels("toy", tuple("abcd"), pixels, labels, splits, augment=Augment(), device="cpu").train


def fitted(images, context):
    module = normalised()
    settings = Settings(epochs=3, batch_size=16)
    train(module, supervised(module, settings), images, settings, size=8, seed=0, context=context)
    return module.state_dict()


def needed(images, parts=1):
    module = normalised()
    return measure(module, backward(module), SHAPE).of(images, parts)


def test_a_refusal_comes_before_anything_is_trained(free, images, tmp_path):
    free(WORKSPACE_BYTES)
    steps = []
    context = TrainingContext(tmp_path / "a.pt", progress=lambda *step: steps.append(step))
    with pytest.raises(EnvironmentFault, match=r"a: even 4 images at once need about .* GB .*--image-size"):
        fitted(images, context)
    assert not steps and not list(tmp_path.iterdir())


def of_a_gpu_with_room_for(most, module, settings):
    inner = supervised(module, settings)

    def gradients(x, y, step):
        if len(x) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return inner(x, y, step)

    return gradients


def test_a_gpu_that_runs_out_of_memory_computes_half_of_each_batch_at_once(images, tmp_path):
    settings, lines = Settings(epochs=2, batch_size=16), []
    found = []
    for most in (16, 8):
        torch.manual_seed(0)
        module = plain()
        context = TrainingContext(tmp_path / f"{most}.pt", log=lines.append)
        gradients = of_a_gpu_with_room_for(most, module, settings)
        train(module, gradients, images, settings, size=8, seed=0, context=context)
        found.append(module.state_dict())
    for a, b in zip(*(state.values() for state in found), strict=True):
        torch.testing.assert_close(a, b)
    assert any("8: the GPU has no memory for 16 images at once; 8 are computed" in line for line in lines)
    record = memory.read_artefact(tmp_path, "8-memory", MicroBatch)
    assert record.images == 8 and record.parts == 2
    assert record.needed_bytes == record.step.of(8, 2) == choose(record.step, 16, 1, record.step.of(8, 2)).needed_bytes
    module = plain()
    with pytest.raises(TooLarge, match="no memory for 8 images at once"):
        gradients = of_a_gpu_with_room_for(4, module, settings)
        train(module, gradients, images, settings, size=8, seed=0, context=TrainingContext())


def test_micro_batches_are_logged_and_kept_by_a_resumed_training(free, images, tmp_path):
    lines, steps = [], []
    free(needed(5, 4))
    whole = fitted(images, TrainingContext(tmp_path / "whole.pt", log=lines.append))
    assert "micro-batches of 4 images, which batch norm sees at once, not 16" in lines[0]
    context = TrainingContext(
        tmp_path / "a.pt", progress=lambda *step: steps.append(step), stop=lambda: len(steps) == 2
    )
    with pytest.raises(Interrupted):
        fitted(images, context)
    assert json.loads((tmp_path / "a-memory.json").read_text())["images"] == 4
    free(64 * GB)  # more is free by now, and the training goes on as it began
    resumed = fitted(images, TrainingContext(tmp_path / "a.pt"))
    unlimited = fitted(images, TrainingContext())
    assert all(torch.equal(a, b) for a, b in zip(whole.values(), resumed.values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(whole.values(), unlimited.values(), strict=True))


def test_a_resumed_training_that_does_not_fit_any_more_is_refused(free, images, tmp_path):
    steps = []
    stopping = TrainingContext(
        tmp_path / "a.pt", progress=lambda *step: steps.append(step), stop=lambda: len(steps) == 2
    )
    with pytest.raises(Interrupted):
        fitted(images, stopping)
    free(needed(8) // 2)
    with pytest.raises(EnvironmentFault, match="a was begun with 16 images at once"):
        fitted(images, TrainingContext(tmp_path / "a.pt"))


def test_a_training_that_is_done_needs_no_memory(free, images, tmp_path):
    whole = fitted(images, TrainingContext(tmp_path / "a.pt"))
    free(0)
    again = fitted(images, TrainingContext(tmp_path / "a.pt"))
    assert all(torch.equal(a, b) for a, b in zip(whole.values(), again.values(), strict=True))


def test_the_record_says_what_was_decided(free, tmp_path):
    module = normalised()
    fit(split_batch(8, None), module, backward(module), SHAPE, TrainingContext(tmp_path / "a.pt"))
    record = memory.read_artefact(tmp_path, "a-memory", MicroBatch)
    assert record.images == 8 and record.needed_bytes == needed(8) <= record.usable_bytes


# The loops of strategies, which train in parts

SPACE = Toy(3).restrict({"width": [0]})
IMAGES = noise(SPACE.shape, SPACE.classes).train
LOOPS = ["paths", "Softmax", "Gumbel", "HardConcrete", "BinaryGates"]


def loop(name):
    """Return a training of two epochs, what advances it by a number of steps, and the bytes of a batch in eights."""
    problem, settings = synthetic(SPACE, 0.5), Settings(2, batch_size=32)
    if name == "paths":
        supernet = Supernet(SPACE, torch.Generator().manual_seed(0))
        made = PathTraining(supernet, IMAGES, settings, seed=3)

        def advance(steps, context):
            made.advance(made.step + steps, lambda rng, step: uniform_paths(problem, rng, step), context)

        return made, advance
    relaxation = {"Softmax": Softmax, "Gumbel": Gumbel, "HardConcrete": HardConcrete, "BinaryGates": BinaryGates}[name]
    bilevel, rng = BilevelSettings(settings, warm_up=0.0), np.random.default_rng(0)
    made = BilevelTraining(problem, IMAGES, relaxation(), bilevel, rng, seed=0, device="cpu")
    return made, lambda steps, context: made.advance(made.step + steps, context)


def limit(monkeypatch, usable):
    """Let a step use so much, and measure one as if the process itself needed nothing."""
    monkeypatch.setattr(memory, "WORKSPACE_BYTES", 0)
    monkeypatch.setattr(memory, "usable_bytes", lambda device, ceiling: usable)


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_fits_its_batches_once_and_a_resumed_one_keeps_them(name, monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(memory, "measure", lambda *args: found.append(measure(*args)) or found[-1])
    _, advance = loop(name)
    advance(1, TrainingContext())
    limit(monkeypatch, found[0].of(9, 4) - WORKSPACE_BYTES)
    whole, advance = loop(name)
    for steps in (2, 1):
        advance(steps, TrainingContext(tmp_path / "whole.pt"))
    assert whole.ghosts.count == 4 and len(found) == 2
    first, advance = loop(name)
    advance(2, TrainingContext(tmp_path / "a.pt"))
    second, advance = loop(name)
    second.load(first.state())
    limit(monkeypatch, 64 * GB)  # more is free by now
    advance(1, TrainingContext(tmp_path / "a.pt"))
    states = (whole.supernet.state_dict(), second.supernet.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


@pytest.mark.parametrize("name", LOOPS)
def test_measuring_draws_nothing_and_a_refused_loop_has_not_begun(name, monkeypatch):
    made, advance = loop(name)
    before = copy.deepcopy(made.state())
    monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    with pytest.raises(EnvironmentFault, match="even 4 images at once"):
        advance(1, TrainingContext())
    after = made.state()
    assert after["step"] == 0 and after.get("rng") == before.get("rng")
    for key, value in before["supernet"].items():
        assert torch.equal(value, after["supernet"][key])
