"""From a task to one that has prices."""

from dataclasses import replace

import pytest

from edgenas.errors import BudgetError
from edgenas.exploration.objective import Limit
from edgenas.latency.table import write_table
from edgenas.workflows.stages.pricing import check_together, profile
from edgenas.workflows.task import Inherited, price
from tests.workflows._tasks import ARCHS, SPACE, context, table, toy_task


def test_a_table_in_the_folder_is_all_it_takes(tmp_path):
    write_table(tmp_path / "table.csv", table())
    ctx, task = context(tmp_path), toy_task(budget_ms=0.05, shape_choices=1)
    priced = profile(task, ctx)
    assert len(priced.space.allowed[0]) == 1, "one width is kept"
    assert {"bounds.json", "narrow.json"} <= {path.name for path in tmp_path.iterdir()}
    again = profile(task, ctx)
    assert again.space.allowed == priced.space.allowed
    assert (again.costs.latency.many(SPACE, ARCHS) == priced.costs.latency.many(SPACE, ARCHS)).all()


def test_a_budget_below_the_fastest_is_refused_with_what_the_weights_reach(tmp_path):
    write_table(tmp_path / "table.csv", table())
    task = toy_task(budget_ms=0.002)
    with pytest.raises(BudgetError, match="no tests._toys network is sure to run in 0.002 ms on bench"):
        profile(task, context(tmp_path))
    reach = Inherited("other", (Limit("trained_params", 5.0, "--max-params ", "parameters"),), (), "width 4", {})
    with pytest.raises(BudgetError, match=r"\. The weights are those of other, trained at width 4, up to 5 parameters"):
        profile(replace(task, inherited=reach), context(tmp_path))


def test_limits_that_exclude_each_other_are_refused_together(tmp_path):
    task = toy_task(budget_ms=0.05)
    params = Limit("params", 1.0, "--max-params ", "parameters")
    with pytest.raises(BudgetError, match="0.05 ms and 1 parameters together"):
        check_together(price(replace(task, limits=(*task.limits, params)), table()), context(tmp_path))
