"""What a run was begun on: classes and weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgenas.errors import UsageError
from edgenas.workflows.config import make_config
from edgenas.workflows.origin import check_classes, check_weights, keep_origin
from tests.pretrained._networks import lite, stirred
from tests.workflows._tasks import images, toy_task

NAMES = ("cat", "dog", "owl")


def task_of(classes: tuple[str, ...] = NAMES, **settings: Any):
    return replace(toy_task(**settings), data=data_of(classes))


def data_of(classes: tuple[str, ...]):
    return replace(images(), classes=classes)


def saved(path: Path, seed: int = 0, prefix: str = "") -> Path:
    torch.manual_seed(seed)
    weights = stirred(lite(), seed).state_dict()
    torch.save({f"{prefix}{name}": tensor for name, tensor in weights.items()}, path)
    return path


def of_weights(file: Path):
    return make_config({"pretrained": "tests.pretrained._networks:lite", "weights": file})


def test_the_same_classes_and_weights_are_the_run_s(tmp_path):
    weights = saved(tmp_path / "mine.pt")
    task = replace(task_of(), config=of_weights(weights))
    keep_origin(tmp_path, task)
    keep_origin(tmp_path, task)  # as when it is resumed
    check_classes(tmp_path, data_of(NAMES))
    check_weights(tmp_path, of_weights(saved(tmp_path / "again.pt", prefix="module.")))
    weights.unlink()
    keep_origin(tmp_path, task)  # what is trained needs the file no more


@pytest.mark.parametrize(
    "classes, message",
    [
        (("cat", "dog"), "'owl' is missing; give"),
        (("cat", "dog", "owl", "rat"), "'rat' is not of the run; give"),
        (("cat", "hen", "owl"), "'dog' is missing and 'hen' is not of the run; give"),
        (("dog", "cat", "owl"), "another order, 'dog' where the run has 'cat'; give"),
        (tuple("abcdefgh"), "'e' and 3 more are not of the run"),
    ],
)
def test_other_classes_are_refused_by_name(tmp_path, classes, message):
    keep_origin(tmp_path, task_of())
    with pytest.raises(
        UsageError, match=f"its classes are not those that the run was begun with: .*{message}"
    ) as caught:
        check_classes(tmp_path, data_of(classes))
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=message):  # of a run that is resumed
        keep_origin(tmp_path, task_of(classes))


def test_a_run_that_is_reused_has_the_same_classes(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    keep_origin(tmp_path / "first", task_of())
    with pytest.raises(UsageError, match="'dog' where the run has 'cat'"):
        keep_origin(tmp_path / "second", task_of(("dog", "cat", "owl"), reuse=str(tmp_path / "first")))


def test_other_weights_are_refused(tmp_path):
    weights, other = saved(tmp_path / "mine.pt"), saved(tmp_path / "other.pt", seed=1)
    keep_origin(tmp_path, replace(task_of(), config=of_weights(weights)))
    with pytest.raises(UsageError, match=f"--weights {other}: not the weights that .* begun with, those of mine; give"):
        check_weights(tmp_path, of_weights(other), "mine")
    with pytest.raises(UsageError, match="there is no such file"):
        check_weights(tmp_path, of_weights(tmp_path / "gone.pt"))
    saved(weights, seed=1)
    with pytest.raises(UsageError, match="mine.pt: not the weights that .* was begun with; give"):
        keep_origin(tmp_path, replace(task_of(), config=of_weights(weights)))


def test_a_run_of_an_earlier_version_says_nothing(tmp_path):
    check_classes(tmp_path, data_of(NAMES))
    check_weights(tmp_path, of_weights(saved(tmp_path / "mine.pt")))
