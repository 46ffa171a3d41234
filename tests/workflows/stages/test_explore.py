"""The search as a stage: it stops where it is told to, and goes on from there."""

import pytest

from edgenas.errors import Interrupted, UsageError
from edgenas.strategies.random import Random
from edgenas.workflows.config import make_config
from edgenas.workflows.context import Context
from edgenas.workflows.stages.explore import check_workers, explore
from edgenas.workflows.task import price
from tests.workflows._tasks import context, table, toy_task


class ByCode:
    """Scores an architecture by its digits."""

    weights_version, own_weights = 0, False

    def __call__(self, arch):
        return {"accuracy": 0.1 + sum(arch) / 10}


def explored(folder, stop=lambda: False):
    priced = price(toy_task(budget_ms=0.05, trials=6, batch=2, evaluator="supernet"), table())
    ctx = Context(context(folder).folder, 0, stop=stop)
    return explore(priced, ByCode(), Random(priced.problem, ctx.rng("random")), ctx)


def test_interrupted_and_resumed_it_finds_the_same(tmp_path):
    whole = explored(tmp_path / "whole")
    asked = iter(range(2))
    with pytest.raises(Interrupted):
        explored(tmp_path / "run", stop=lambda: next(asked, None) is None)
    resumed = explored(tmp_path / "run")
    assert [trial.arch for trial in resumed.trials] == [trial.arch for trial in whole.trials]
    assert len(whole.trials) == 6


def test_trials_that_share_weights_stay_in_one_process():
    with pytest.raises(UsageError, match="--workers 2: the evaluator supernet"):
        check_workers(make_config({"workers": 2, "evaluator": "supernet"}))
    check_workers(make_config({"evaluator": "supernet"}))
