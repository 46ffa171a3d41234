"""A last layer on features: the best there is, found without touching anything else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.data.base import Data
from edgenas.data.from_arrays import from_arrays
from edgenas.nn.network import Network
from edgenas.testing.toy import ToySpace
from edgenas.training import head
from edgenas.training.head import fit_head
from edgenas.training.train import evaluate

SPACE = ToySpace(3)
ARCH = (0,) * len(SPACE.choices)


@pytest.fixture(scope="module")
def data() -> Data:
    """Noise around a brightness of its own for each class."""
    rng, (channels, height, width) = np.random.default_rng(0), SPACE.shape
    labels = np.arange(240) % SPACE.classes
    level = 40 + 160 * labels[:, None, None, None] / SPACE.classes
    pixels = (level + rng.normal(0, 10, (240, height, width, channels))).clip(0, 255).astype(np.uint8)
    return from_arrays(pixels if channels in (1, 3) else pixels[..., 0], labels)


@pytest.fixture
def network() -> Network:
    made = Network(SPACE.graph(ARCH), torch.Generator().manual_seed(0))
    made.needs_head = True
    return made


def accuracy(network: Network, data: Data) -> float:
    return evaluate(network, data.train.batches(64, size=network.graph.input.shape[1])).accuracy


def test_only_the_last_layer_changes_and_it_learns(network, data):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    last = network.position[network.graph.output.name]
    chance = accuracy(network, data)
    fit_head(network, data.train, seed=0)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"layers.{last}.weight", f"layers.{last}.bias"}
    assert accuracy(network, data) > max(0.5, chance + 0.2) and not network.needs_head


def test_features_that_do_not_vary_do_no_harm(network, data):
    for layer in network.layers[: network.position[network.graph.output.name]]:
        for weight in layer.weights.values():
            torch.nn.init.zeros_(weight)
    fit_head(network, data.train, seed=0)
    assert all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


def test_of_many_images_a_part_of_each_class_is_used(network, data, monkeypatch):
    monkeypatch.setattr(head, "MOST_IMAGES", 40)
    seen = []
    fit_head(network, data.train, seed=0, progress=lambda done, total, text: seen.append((done, total)))
    assert seen[-1] == (40, 40)


def test_the_regression_is_the_optimum():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((200, 5)).astype(np.float32)) * 3 + 1
    labels = (x[:, 0] > 1).long()
    weight, bias = head._softmax_regression(x, labels, 2)
    # At the optimum of a convex function its gradient vanishes; the decay is that of standardised features.
    w, b = ((v * x.std(0) if v.dim() > 1 else v).clone().requires_grad_() for v in (weight, bias))
    with torch.no_grad():
        b += weight @ x.mean(0)
    loss = torch.nn.functional.cross_entropy((x - x.mean(0)) / x.std(0) @ w.T + b, labels)
    (loss + head.DECAY * w.square().sum()).backward()
    assert w.grad.abs().max() < 1e-3 and b.grad.abs().max() < 1e-3 and w.abs().max() > 0.05
    assert w[1, 0] > 5 * w[1, 1:].abs().max(), "the first feature alone tells the classes apart"
