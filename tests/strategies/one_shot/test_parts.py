"""Training in parts: stopped within one, it goes on there."""

from __future__ import annotations

import pytest
import torch

from edgenas.errors import EdgeNASError, Interrupted
from edgenas.training.context import TrainingContext
from tests.strategies.one_shot._paths import draw, training, weights


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
