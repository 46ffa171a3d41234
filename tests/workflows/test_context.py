"""Stages, random streams, and where trainings are kept."""

import numpy as np
import pytest

from edgenas.errors import Interrupted
from edgenas.system.run_folder import RunFolder
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
