"""Stages, random streams, and where trainings are kept."""

import numpy as np
import pytest

from edgenas.errors import Interrupted
from edgenas.system.run_folder import RunFolder
from edgenas.training.settings import Settings
from edgenas.workflows.context import Context
from tests.workflows._tasks import context


def test_streams_are_told_apart_by_name_and_by_seed(tmp_path):
    ctx = context(tmp_path)
    draws = [ctx.rng("a").random(4), ctx.rng("b").random(4), Context(ctx.folder, 1).rng("a").random(4)]
    assert len({tuple(draw) for draw in draws}) == 3
    assert np.array_equal(ctx.rng("a").random(4), draws[0])


def test_progress_reaches_the_stage_that_is_under_way_and_no_other(tmp_path):
    told = []

    class Reporter:
        def stage(self, title):
            from contextlib import nullcontext

            return nullcontext(lambda done, total, text="": told.append((title, done, total)))

        def log(self, text):
            told.append(text)

    ctx = Context(RunFolder(tmp_path, resume=True), 0, Reporter())
    training = ctx.training("one", {"a": 1})
    training.progress(1, 2, "lost")
    with ctx.stage("first", "the first"):
        training.progress(1, 2, "")
    with ctx.stage("second", "the second"):
        training.progress(2, 2, "")
    assert told == [("the first", 1, 2), ("the second", 2, 2)]
    assert training.checkpoint == tmp_path / "one.pt" and training.identity == {"a": 1}
    assert set(ctx.folder.seconds) == {"first", "second"}


def test_a_run_that_is_to_stop_begins_no_stage(tmp_path):
    ctx = Context(RunFolder(tmp_path, resume=True), 0, stop=lambda: True)
    with pytest.raises(Interrupted, match="stopped before: the first"), ctx.stage("first", "the first"):
        pytest.fail("it was begun")


def test_stages_share_what_is_left_of_the_minutes_and_a_resumed_training_keeps_its_epochs(tmp_path):
    def measured() -> float:
        return 2.0

    settings = Settings(6, batch_size=32)
    ctx = Context(RunFolder(tmp_path, resume=True), 0, minutes=10.0)
    assert ctx.left_s() == pytest.approx(0.95 * 600)
    ctx.folder.add_seconds("profile", 270.0)
    ctx.folder.add_seconds("search", 100.0)
    assert ctx.left_s() == pytest.approx(200) and ctx.left_s("search") == pytest.approx(300)
    assert ctx.planned("teacher", settings, 320, measured, 0.3).epochs == 3, "60 s, and an epoch takes 20"
    ctx.folder.add_seconds("teacher", 190.0)
    assert ctx.planned("teacher", settings, 320, measured, 0.3).epochs == 3
    assert ctx.planned("finalist", settings, 320, measured).epochs == 1


def test_without_a_bound_a_training_has_the_epochs_that_it_is_to_have(tmp_path):
    ctx = context(tmp_path)
    assert ctx.left_s() == np.inf
    assert ctx.planned("teacher", Settings(6), 320, lambda: 1.0) == Settings(6)
    assert ctx.planned("supernet", Settings(0), 320, lambda: 1 / 0) == Settings(0), "nothing is measured for it"
