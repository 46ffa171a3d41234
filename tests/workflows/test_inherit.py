"""The task of a run on another one's weights."""

from edgenas.system.progress import SilentReporter
from edgenas.workflows.context import never
from edgenas.workflows.given import Given
from edgenas.workflows.inherit import inherit
from edgenas.workflows.run_start import keep_config
from edgenas.workflows.setup import completed, run_in
from edgenas.workflows.source_run import settings, take_over


def test_a_larger_budget_keeps_within_what_was_trained(searched, tmp_path):
    given = {"budget_ms": 0.1, "output": str(tmp_path / "run"), "device": "amd-epyc-zen4"}
    config = completed(settings(searched, given), Given())
    with run_in(config, SilentReporter(), never) as ctx:
        take_over(searched, ctx.folder.path)
        keep_config(config, ctx)
        task, evaluator = inherit(config, Given(), ctx)
    assert [limit.metric.startswith("trained_") for limit in task.limits] == [False, True]
    assert task.inherited is not None and task.inherited.name == searched.name
    assert {cost.metric for cost in task.costs} >= {task.limits[1].metric}
    assert evaluator.supernet.space.allowed == task.space.allowed
