"""Values of settings."""

import pytest

from edgenas.errors import UsageError
from edgenas.workflows.values import budgets, options, pairs


def test_pairs_are_read_from_the_right():
    assert pairs("--options", ["a=1", "b=c=2"], "NAME=VALUE", "guards=off") == {"a": "1", "b=c": "2"}


@pytest.mark.parametrize(
    "texts, message",
    [(["a"], "'a' is not NAME=VALUE"), (["=1"], "is not NAME=VALUE"), (["a=1", "a=2"], "two values for a: 1 and 2")],
)
def test_what_is_no_pair_is_refused(texts, message):
    with pytest.raises(UsageError, match=message):
        pairs("--options", texts, "NAME=VALUE", "guards=off")


def test_budgets_become_numbers_and_keep_their_order():
    assert budgets("--budget-ms", {"pi5": "20", "pi4": 40}) == {"pi5": 20.0, "pi4": 40.0}
    assert list(budgets("--budget-ms", {"b": 1, "a": 2})) == ["b", "a"]


@pytest.mark.parametrize("value", ["pi5=20", ["pi5=20"], {"pi5": 0}, {"pi5": "20ms"}, {"": 20}, {3: 20}])
def test_what_is_no_budget_is_refused(value):
    with pytest.raises(UsageError, match="^--budget-ms"):
        budgets("--budget-ms", value)


@pytest.mark.parametrize("value", ["guards=off", {"guards": 0}, {"guards": None}])
def test_what_is_no_option_is_refused(value):
    with pytest.raises(UsageError, match="^--options"):
        options("--options", value)
