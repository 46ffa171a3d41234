"""What a plugin must have: all that is missing is named at once."""

import pytest

from edgenas.errors import UsageError
from edgenas.system.contracts import check_contract


class Whole:
    reward_form, options, trains_weights = "hard", {}, False

    @classmethod
    def build(cls, priced, ctx, options):
        return cls()

    def ask(self, n=1):
        return []

    def tell(self, trials):
        pass

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Lacking(Whole):
    ask = None

    def tell(self):
        pass


@pytest.mark.parametrize("plugin", [Whole, Whole()])
def test_what_has_all_is_taken(plugin):
    check_contract("strategies", plugin, "Mine")


def test_all_that_is_missing_is_named():
    with pytest.raises(UsageError, match=r"^Mine is no strategy of edgenas, it lacks: ask\(n\); tell cannot be called"):
        check_contract("strategies", Lacking(), "Mine")
    with pytest.raises(UsageError, match="it lacks: reward_form; options; trains_weights; build"):
        check_contract("strategies", object(), "Mine")


def test_a_function_that_cannot_be_looked_into_is_taken():
    class Built(Whole):
        state_dict = dict

    check_contract("strategies", Built(), "Mine")
