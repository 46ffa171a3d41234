"""The whole network, fine-tuned before anything is cut out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from edgenas.nn.network import fresh_network
from edgenas.system import checkpoint
from edgenas.testing.toy import noise
from edgenas.workflows.stages.teacher import teach
from edgenas.workflows.task import price
from tests.latency.tables import table_of
from tests.pretrained.converter.test_space import space_of
from tests.workflows._tasks import context, table, toy_task


def taught(folder):
    space = space_of("lite", 32, classes=3)[1].restrict({"width": [0]})
    task = replace(toy_task(final_epochs=1), space=space, data=noise((3, 32, 32), 3))
    priced = price(task, table_of(space))
    return priced, teach(priced, context(folder))


def test_cuts_begin_with_the_teacher_s_weights(tmp_path):
    before, after = taught(tmp_path)
    teacher, space = after.teacher, after.space
    assert before.teacher is None and teacher is not None and space.allowed == before.space.allowed
    whole, x = fresh_network(space, space.whole, 0, "cpu").eval(), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert (teacher.network(x) - whole(x)).abs().max() < 1e-4
    assert not whole.needs_head
    again = taught(tmp_path)[1]
    assert all(np.array_equal(array, again.space.trained[name]) for name, array in space.trained.items())


def test_a_larger_teacher_teaches_the_whole_network_and_its_cuts(tmp_path, monkeypatch):
    larger = space_of("resnet", 32, classes=3)[1]
    monkeypatch.setattr("edgenas.workflows.stages.teacher.teacher_space", lambda config, shape, classes: larger)
    _, after = taught(tmp_path)
    assert after.teacher is not None and after.teacher.network.graph.arch == larger.whole
    assert len(after.teacher.network.graph.nodes) == len(larger.graph(larger.whole).nodes)
    for name in ("teacher.pt", "whole.pt"):
        assert (tmp_path / name).exists()
    whole = checkpoint.load(tmp_path / "whole.pt")["module"]
    again = fresh_network(after.space, after.space.whole, 0, "cpu")
    assert not again.needs_head and len(whole) == len(again.state_dict())


def test_a_space_without_a_trained_network_stays_as_it_is(tmp_path):
    priced = price(toy_task(), table())
    assert teach(priced, context(tmp_path)) is priced
