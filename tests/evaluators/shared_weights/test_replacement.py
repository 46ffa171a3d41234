"""What each option costs by itself, as far from a teacher as it takes the network."""

from __future__ import annotations

import pytest
import torch

from edgenas.data.base import Data
from edgenas.evaluators.shared_weights.replacement import Divergence, option_losses
from edgenas.nn.network import fresh_network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet
from edgenas.testing.toy import noise
from edgenas.training.distillation import Teacher
from tests.pretrained.converter.test_space import space_of


def test_the_whole_network_is_at_its_teacher_and_cuts_are_not():
    _, space = space_of("lite", 32, classes=3)
    data: Data = noise((3, 32, 32), 3)
    teacher = fresh_network(space, space.whole, 0, "cpu")
    reestimate_batch_norm(teacher, data.train.batches(len(data.train), size=32))
    with torch.no_grad():  # so that it tells these images apart
        teacher.layer(teacher.graph.output.name).weights["weight"].mul_(1e3)
    space = space.retrained(teacher.grouped(), {})
    divergence = Divergence(Supernet(space, torch.Generator().manual_seed(0)), Teacher(teacher), data.train)
    smallest = tuple(len(choice.options) - 1 for choice in space.choices)
    assert 0 <= divergence(space.whole) < 0.1 * divergence(smallest)
    assert divergence(smallest, smallest) == pytest.approx(0, abs=1e-6)
    assert divergence(smallest, space.whole) == pytest.approx(divergence(smallest), rel=0.2), "the teacher is the whole"


def test_options_go_on_from_the_network_that_they_are_tried_in(monkeypatch):
    space = space_of("lite", 32, classes=3)[1].restrict({"width": [0]})
    data, teacher = noise((3, 32, 32), 3), Teacher(fresh_network(space, space.whole, 0, "cpu"))
    supernet, counted = Supernet(space, torch.Generator().manual_seed(0)), []
    plain, begun = (Divergence(supernet, teacher, data.train) for _ in range(2))
    begun.begin(space.whole)
    run = Supernet.run

    def counting(self, graph, x, values, part, **how):
        counted.append(len(graph.nodes[part]))
        return run(self, graph, x, values, part, **how)

    monkeypatch.setattr(Supernet, "run", counting)
    found, nodes = [], []
    for divergence in (plain, begun):
        counted.clear()
        found.append(option_losses(divergence, space, space.whole, lambda *_: None))
        nodes.append(sum(counted))
    assert found[0] == found[1] and nodes[1] < 0.8 * nodes[0]


def test_options_are_changed_one_at_a_time_and_only_where_allowed():
    _, space = space_of("lite", 64)
    space = space.restrict({"width": [0], space.choices[-1].name: [0]})
    seen, references = [], []

    def divergence(arch, reference):
        seen.append(arch)
        references.append(reference)
        return float(sum(arch))

    found = option_losses(divergence, space, space.whole, lambda *_: None)
    assert all(sum(a != b for a, b in zip(arch, space.whole, strict=True)) <= 1 for arch in seen)
    assert len(seen) == sum(map(len, space.allowed))
    shapes = sum(len(space.allowed[place]) for place in space.static_indices)
    assert references == [None] * shapes + [space.whole] * (len(seen) - shapes), "blocks from what they are tried in"
    assert found[space.index["width"]] == [0.0, None, None] and found[0] == [float(i) for i in range(len(found[0]))]
