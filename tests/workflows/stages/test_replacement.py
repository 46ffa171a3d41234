"""Who is told what each option costs by itself, and what it is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.nn.network import fresh_network
from edgenas.nn.supernet import Supernet
from edgenas.testing.toy import noise
from edgenas.training.distillation import Teacher
from edgenas.workflows.stages.replacement import expect
from tests.pretrained.converter.test_space import space_of
from tests.workflows._tasks import context


class Told:
    """A strategy that remembers what it was told."""

    def __init__(self, *, expects: bool = True) -> None:
        self.expects, self.scores = expects, []

    def expect(self, scores):
        self.scores.append(scores)


@pytest.fixture(scope="module")
def priced():
    space = space_of("lite", 96, classes=3)[1].restrict({"width": [0], "resolution": [0, 1, 2]})
    teacher = Teacher(fresh_network(space, space.whole, 0, "cpu"))
    space = space.retrained(teacher.network.grouped(), {})
    data = noise((3, 96, 96), 3)
    return SimpleNamespace(task=SimpleNamespace(teacher=teacher), space=space, data=data)


@pytest.fixture(scope="module")
def evaluator(priced):
    return SupernetEvaluator(Supernet(priced.space, torch.Generator().manual_seed(0)), priced.data)


def test_it_is_told_the_worth_of_each_option_and_the_same_again_in_a_resumed_run(priced, evaluator, tmp_path):
    strategy = Told()
    for _ in range(2):
        expect(priced, evaluator, strategy, context(tmp_path))
    assert strategy.scores[0] == strategy.scores[1]
    assert [len(row) for row in strategy.scores[0]] == [len(choice.options) for choice in priced.space.choices]
    assert all(score <= 0 for row in strategy.scores[0] for score in row)
    assert '"base": "1' in (tmp_path / "replacement.json").read_text(), "the middle one of three resolutions"


def test_whoever_cannot_use_it_waits_for_nothing(priced, evaluator, tmp_path):
    without = SimpleNamespace(task=SimpleNamespace(teacher=None), space=priced.space, data=priced.data)
    for run, by, strategy in (
        (without, evaluator, Told()),
        (priced, evaluator, Told(expects=False)),
        (priced, object(), Told()),
    ):
        expect(run, by, strategy, context(tmp_path))
        assert strategy.scores == [] and not (tmp_path / "replacement.json").exists()
