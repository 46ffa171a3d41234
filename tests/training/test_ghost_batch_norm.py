import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgenas.errors import UsageError
from edgenas.nn.network import Network
from edgenas.system import distributed
from edgenas.training.ghost_batch_norm import GhostBatches, split_batch
from tests._toys import Shared


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, 3, 8, 8, generator=generator), torch.arange(12) % 4


def network():
    space = Shared()
    return Network(space.graph(tuple(0 for _ in space.choices)), torch.Generator().manual_seed(0)).train()


def backward(module):
    def gradients(x, y, step):
        loss = F.cross_entropy(module(x), y)
        loss.backward()
        return loss.detach()

    return gradients


def as_process(rank, world, make):
    token = distributed._place.set(distributed.Place(rank, world))
    try:
        return make()
    finally:
        distributed._place.reset(token)


@pytest.mark.parametrize(
    "images, ghost_batch, sizes", [(8, 4, [4, 4]), (10, 4, [3, 3, 4]), (3, 8, [3]), (8, None, [8])]
)
def test_ghost_batches_are_nearly_equal(images, ghost_batch, sizes):
    assert np.diff(split_batch(images, ghost_batch).edges).tolist() == sizes


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("ghost_batch", [4, 5, None])
def test_processes_share_a_batch_in_order(world, ghost_batch):
    shares = [as_process(rank, world, lambda: split_batch(32, ghost_batch)) for rank in range(world)]
    rows = [row for share in shares for row in range(32)[share.rows]]
    assert rows == list(range(32)) and len({share.edges for share in shares}) == 1
    assert all(share.last > share.first for share in shares)


def test_more_processes_than_ghost_batches_are_refused():
    with pytest.raises(UsageError, match="1 ghost batches for 2 processes"):
        as_process(0, 2, lambda: split_batch(16, 16))


def test_a_step_has_the_mean_gradient_and_the_mean_statistics_of_its_ghost_batches(batch):
    x, y = batch
    module = network()
    loss = split_batch(12, 3).step(module, backward(module), x, y, 0)
    parts = []
    for part in range(4):
        alone = network()
        rows = slice(3 * part, 3 * part + 3)
        parts.append((backward(alone)(x[rows], y[rows], 0), alone))
    assert loss == pytest.approx(np.mean([float(found) for found, _ in parts]), abs=1e-6)
    for name, parameter in module.named_parameters():
        gradients = torch.stack([dict(alone.named_parameters())[name].grad for _, alone in parts])
        torch.testing.assert_close(parameter.grad, gradients.mean(0))
    for name, buffer in module.named_buffers():
        torch.testing.assert_close(buffer, torch.stack([dict(a.named_buffers())[name] for _, a in parts]).mean(0))


@pytest.mark.parametrize("count", [4, 6])
def test_the_sum_of_two_processes_is_that_of_one_bit_for_bit(batch, count, monkeypatch):
    x, y = batch
    whole = split_batch(12, 12 // count)
    parts: list[list[torch.Tensor]] = []
    monkeypatch.setattr(distributed, "summed", lambda tensors: parts.append(list(tensors)) or list(tensors))
    for ghosts in (whole, GhostBatches(whole.edges, 0, count // 2), GhostBatches(whole.edges, count // 2, count)):
        module = network()
        ghosts.step(module, backward(module), x[ghosts.rows], y[ghosts.rows], 0)
    one, first, second = parts
    assert all(torch.equal(a, b + c) for a, b, c in zip(one, first, second, strict=True))


def test_one_ghost_batch_is_an_ordinary_step(batch):
    ours, plain = network(), network()
    split_batch(12, None).step(ours, backward(ours), *batch, 0)
    backward(plain)(*batch, 0)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), plain.buffers(), strict=True))
