"""`edgenas.search` and `edgenas.specialize`: settings and objects in, results out."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import edgenas
from edgenas.cli.train import SETTINGS as TRAIN_SETTINGS
from edgenas.data.from_arrays import from_arrays
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import Config
from edgenas.workflows.source_run import CHANGEABLE
from tests._toys import Shared

# Settings that take more than their field: objects, paths, budgets by device.
WIDER = {
    "data": "DataLike",
    "space": "SpaceLike",
    "strategy": "StrategyLike",
    "budget_ms": "float | Mapping[str, float]",
    **dict.fromkeys(("data_root", "cache", "output", "reuse", "scores", "weights"), "str | os.PathLike[str]"),
}
FIELDS = {item.name: item for item in fields(Config) if item.name != "budgets_ms"}  # budget_ms takes these
QUICK = {"trials": 3, "finalists": 1, "final_epochs": 1, "int8": False, "train_device": "cpu"}


def parameters(function) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


# The settings


@pytest.mark.parametrize(
    "function, others, settings",
    [
        (edgenas.search, set(), set(FIELDS)),
        (edgenas.specialize, {"run", "data", "space", "image_size", "pretrained"}, set(CHANGEABLE) - {"budgets_ms"}),
        (edgenas.train, {"arch"}, set(TRAIN_SETTINGS)),
    ],
)
def test_the_keywords_are_the_settings(function, others, settings):
    assert set(parameters(function)) == settings | others | {"progress"}


@pytest.mark.parametrize("function", [edgenas.search, edgenas.specialize, edgenas.train])
def test_types_are_those_of_the_settings_and_none_leaves_the_decision(function):
    for name, parameter in parameters(function).items():
        if name in FIELDS:
            wanted = WIDER.get(name, FIELDS[name].type.removesuffix(" | None"))
            assert parameter.annotation == f"{wanted} | None" and parameter.default is None, name


@pytest.mark.parametrize("function", [edgenas.search, edgenas.specialize, edgenas.train])
def test_every_keyword_is_described(function):
    described = (function.__doc__ or "").partition("Args:")[2].partition("Raises:")[0]
    names = {name.strip() for line in described.splitlines() for name in line.partition(":")[0].split(",")}
    assert set(parameters(function)) <= names


def test_a_search_is_silent_unless_asked(searching):
    assert edgenas.search(budget_ms=20) is searching.result
    edgenas.search(budget_ms=20, progress=True)
    silent, speaking = (arguments[1] for arguments, _ in searching.calls)
    assert type(silent) is SilentReporter and type(speaking) is not SilentReporter


@pytest.mark.parametrize(
    "budget, here, further",
    [
        (8, 8.0, {}),
        ({"here": 8, "pi5": 20}, 8.0, {"pi5": 20.0}),
        ({"pi5": 20}, None, {"pi5": 20.0}),
        ({"here": 8}, 8.0, {}),
    ],
)
def test_budgets_by_device(searching, budget, here, further):
    edgenas.search(budget_ms=budget)
    assert [(config.budget_ms, dict(config.budgets_ms)) for config in searching.configs] == [(here, further)]


# Objects

X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
Y = np.arange(12) % 3


def shaped(shape, classes):
    return Shared(shape, classes)


def one_of_random(problem, rng):
    return edgenas.strategies.Random(problem, rng)


@pytest.mark.parametrize(
    "data, name, is_given",
    [
        ("digits", "digits", False),
        (Path("photos"), "photos", False),
        (Path("digits"), str(Path.cwd() / "digits"), False),  # a path is never a name
        ((X, Y), "arrays", True),
        (from_arrays(X, Y, name="mine"), "mine", True),
    ],
)
def test_data_as_a_name_a_path_arrays_or_an_object(searching, data, name, is_given):
    edgenas.search(data, budget_ms=20)
    (arguments, keywords), *_ = searching.calls
    assert arguments[0].data == name
    assert keywords["given"].data is (data if is_given else None)


@pytest.mark.parametrize("space", [Shared, shaped])
def test_a_space_as_a_class_or_a_function(searching, space):
    edgenas.search("digits", budget_ms=20, space=space)
    (arguments, keywords), *_ = searching.calls
    assert arguments[0].space == f"{space.__module__}.{space.__qualname__}" and keywords["given"].space is space


@pytest.mark.parametrize(
    "strategy, name",
    [
        (edgenas.strategies.Evolution, "evolution"),
        (
            functools.partial(edgenas.strategies.Evolution, population_size=8),
            "edgenas.strategies.evolution.Evolution",
        ),
        (one_of_random, "tests.api.test_search.one_of_random"),
    ],
)
def test_a_strategy_as_a_class_or_what_makes_one(searching, strategy, name):
    edgenas.search("digits", budget_ms=20, strategy=strategy)
    (arguments, keywords), *_ = searching.calls
    assert arguments[0].strategy == name
    assert (keywords["given"].strategy is None) == (name == "evolution")


class Half(edgenas.Strategy):
    """It tells nothing of its state."""

    reward_form = "hard"

    def ask(self, n=1):
        return []

    def tell(self, trials):
        pass


class Formless(edgenas.strategies.Random):
    """It does not say what its reward is."""


WRONG = [
    ({"data": 7}, "data: int is no name, no path"),
    ({"data": (X,)}, "data: tuple is no name"),
    ({"space": 7}, "space: int is no name"),
    ({"strategy": 7}, "strategy: int is no name"),
    ({"strategy": edgenas.strategies.Evolution.__new__(edgenas.strategies.Evolution)}, "pass the class"),
    ({"budget_ms": "much"}, "--budget-ms"),
    ({"options": ["guards=off"]}, "--options"),
    ({"trials": 0}, "--trials"),
]


@pytest.mark.parametrize("wrong, says", WRONG)
def test_what_is_none_of_these_is_refused(searching, wrong, says):
    with pytest.raises(edgenas.UsageError, match=says):
        edgenas.search(**{"budget_ms": 20, **wrong})
    assert not searching.calls


# Plugins from outside, whole and with faults; with a shipped table nothing is timed.

FAULTS = [
    ("strategy", "class Mine:\n    def ask(self, n): ...\n    def tell(self, trials): ...\n", "reward_form; options"),
    ("strategy", "import math\n", "it has none with `ask` and `tell`"),
    ("strategy", "class Mine(:\n", "cannot import"),
    ("strategy", "import no_such_package\n", "no_such_package"),
    ("space", "def build(shape): ...\n", "build cannot be called with \\(shape, classes\\)"),
    ("space", "def build(shape, classes): return 7\n", "no edgenas.SearchSpace"),
    ("evaluator", "def make(priced, ctx): ...\n", "build\\(priced, ctx\\)"),
    ("data", "def build(root): ...\n", "build cannot be called with"),
    ("runtime", "def open(model, threads): ...\n", "host\\(threads\\); version\\(\\)"),
]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Search with a faulty plugin; nothing may be measured or trained, and the run folder stays free."""
    monkeypatch.chdir(tmp_path)
    number = itertools.count()

    def measuring(*_, **__):
        raise AssertionError("something was measured before the plugin was refused")

    monkeypatch.setattr("edgenas.runtimes.bench.bench_in_fresh_process", measuring)
    monkeypatch.setattr("edgenas.runtimes.timing.measure", measuring)

    def search(kind, text):
        file = f"fault_{kind}_{next(number)}_{abs(hash(text))}.py"
        Path(file).write_text(text)
        where = {} if kind == "runtime" else {"device": "amd-epyc-zen4"}
        with pytest.raises((edgenas.UsageError, edgenas.UnknownName)) as caught:
            edgenas.search(**{"budget_ms": 1, "output": "run", kind: f"./{file}", **where, **QUICK})
        assert not Path("run").exists() or {path.name for path in Path("run").iterdir()} <= {"run.lock"}
        return str(caught.value)

    return search


@pytest.mark.parametrize("kind, text, says", FAULTS)
def test_a_faulty_plugin_is_refused_in_one_sentence_before_anything_is_measured(refused, kind, text, says):
    message = refused(kind, text)
    assert "\n" not in message and re.search(says, message), message


@pytest.mark.parametrize("strategy, says", [(Half, "state_dict"), (shaped, "SearchSpace|Shared")])
def test_so_is_a_faulty_object(tmp_path, strategy, says):
    with pytest.raises(edgenas.UsageError, match=says):
        edgenas.search(
            (np.repeat(X, 3, axis=0), np.repeat(Y, 3)),
            budget_ms=1,
            space=Shared,
            strategy=strategy,
            device="amd-epyc-zen4",
            output=tmp_path / "run",
            **QUICK,
        )


# One search with objects for everything, and another on its weights.


@pytest.fixture(scope="module")
def arrays():
    x, y = load_digits(return_X_y=True)
    return (x[:400].reshape(-1, 8, 8) * 15.9).astype(np.uint8), y[:400]


@pytest.fixture(scope="module")
def first(arrays, tmp_path_factory) -> edgenas.Result:
    return edgenas.search(
        arrays,
        budget_ms={"here": 0.03, "amd-epyc-zen4/onnxruntime-1t-int8": 0.05},
        space=Shared,
        strategy=functools.partial(edgenas.strategies.Evolution, population_size=2),
        device="amd-epyc-zen4",
        supernet_epochs=1,
        output=tmp_path_factory.mktemp("objects") / "run",
        **QUICK,
    )


def test_a_search_with_objects_gives_a_model_of_them(first, arrays):
    assert first.data == "arrays" and first.strategy.endswith("Evolution") and first.budget_ms == 0.03
    assert [limit["allowed"] for limit in first.limits] == [0.05]
    assert first.path.is_dir() and (first.path / first.file).is_file()
    assert first.front and all(point["accuracy"] <= 1 for point in first.front)
    labels = first.model(arrays[0][:7]).labels
    assert len(labels) == 7 and set(labels) <= {str(label) for label in range(10)}


def test_specialize_with_the_same_objects(first, arrays, tmp_path):
    second = edgenas.specialize(
        first.path,
        budget_ms=0.025,
        data=arrays,
        space=Shared,
        strategy=edgenas.strategies.Random,
        device="amd-epyc-zen4",
        output=tmp_path / "second",
        **QUICK,
    )
    assert second.source == "run" and second.predicted_high_ms <= 0.025


def test_a_finished_search_is_resumed_with_the_same_objects(first, arrays):
    again = edgenas.search(
        arrays,
        space=Shared,
        strategy=functools.partial(edgenas.strategies.Evolution, population_size=2),
        output=first.path,
        resume=True,
    )
    assert again == first


def test_what_follows_takes_the_objects_too(first, arrays, tmp_path):
    file = edgenas.export(first.path, tmp_path / "model.onnx", data=arrays, space=Shared)
    assert file.read_bytes()[:2] == (first.path / "model.onnx").read_bytes()[:2]


def test_without_them_it_is_told_what_is_missing(first, tmp_path):
    with pytest.raises(edgenas.UsageError, match="data="):
        edgenas.export(first.path, tmp_path / "model.onnx")
    with pytest.raises(edgenas.UsageError, match="data="):
        edgenas.specialize(first.path, budget_ms=0.025, device="amd-epyc-zen4", output=tmp_path / "second", **QUICK)
