"""Shared weights that a run has trained."""

from edgenas.system.progress import SilentReporter
from edgenas.workflows.given import Given
from edgenas.workflows.trained_run import open_trained_run
from edgenas.workflows.trained_weights import trained_weights


def test_what_was_trained_reaches_beyond_the_budget_by_what_any_reward_scores(searched):
    run = open_trained_run(searched, SilentReporter())
    supernet, trained = trained_weights(run.priced, Given(), run.context)
    for limit in run.priced.task.limits:
        assert trained.objective.budgets[limit.metric] == 1.5 * limit.bound
    assert supernet.space.spec == run.priced.space.spec
