"""Objects where the command line has names."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.strategies.evolution import Evolution
from edgenas.strategies.gdas import Gdas
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given, options_of, split_given, strategy_of
from tests._toys import Shared
from tests.workflows._tasks import images

X, Y = np.zeros((4, 8, 8), dtype=np.uint8), np.arange(4)


def test_names_stay_names():
    named, given = split_given({"data": "digits", "space": "mbconv", "strategy": "evolution", "seed": 3})
    assert named == {"data": "digits", "space": "mbconv", "strategy": "evolution", "seed": 3}
    assert given == Given()


def test_a_path_is_never_a_name():
    assert split_given({"data": Path("photos")})[0]["data"] == "photos"
    assert Path(split_given({"data": Path("digits")})[0]["data"]).is_absolute()


@pytest.mark.parametrize("data, name", [((X, Y), "arrays"), (images(), "noise")])
def test_data_as_objects(data, name):
    named, given = split_given({"data": data})
    assert named["data"] == name and given.data is data


def test_a_space_and_a_strategy_as_classes():
    named, given = split_given({"space": Shared, "strategy": Evolution})
    assert named == {"space": "tests._toys.Shared", "strategy": "evolution"}, "a class of edgenas has its name"
    assert given.space is Shared and given.strategy is None
    assert strategy_of(make_config(named), given) is Evolution


def test_a_function_makes_a_strategy_that_trains_nothing():
    named, given = split_given({"strategy": partial(Evolution, population_size=8)})
    builder = strategy_of(make_config(named), given)
    assert named["strategy"].endswith("Evolution")
    assert (builder.reward_form, builder.trains_weights, dict(builder.options)) == ("hard", False, {})


@pytest.mark.parametrize(
    "values, message",
    [
        ({"data": 3}, "data: int is no name, no path"),
        ({"data": (X,)}, "data: tuple is no name"),
        ({"space": 3}, "space: int is no name, no class"),
        ({"strategy": 3}, "strategy: int is no name, no class"),
    ],
)
def test_what_cannot_be_given(values, message):
    with pytest.raises(UsageError, match=message):
        split_given(values)


def test_options_begin_with_their_defaults_and_are_checked():
    config = make_config({"strategy": "gdas", "options": {"gates": "hard-concrete"}})
    options = options_of(config, Gdas)
    assert options == {name: values[0] for name, values in Gdas.options.items()} | {"gates": "hard-concrete"}
    for given, message in (({"gates": "soft"}, "gates is one of softmax"), ({"gate": "softmax"}, "no option 'gate'")):
        with pytest.raises(UsageError, match=message):
            options_of(make_config({"strategy": "gdas", "options": given}), Gdas)
