"""What a run was begun on: classes and weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.errors import UsageError
from edgenas.workflows.origin import check_classes, check_weights, keep_origin
from tests.workflows._tasks import images, toy_task

NAMES = ("cat", "dog", "owl")


def task_of(classes: tuple[str, ...] = NAMES, **settings: Any):
    return replace(toy_task(**settings), data=data_of(classes))


def data_of(classes: tuple[str, ...]):
    return replace(images(), classes=classes)


@pytest.fixture
def weights(tmp_path) -> Path:
    file = tmp_path / "mine.pt"
    file.write_bytes(b"some weights")
    return file


def test_the_same_classes_and_weights_are_the_run_s(tmp_path, weights):
    keep_origin(tmp_path, task_of(weights=str(weights)))
    keep_origin(tmp_path, task_of(weights=str(weights)))  # as when it is resumed
    check_classes(tmp_path, data_of(NAMES))
    again = weights.rename(tmp_path / "moved.pt")
    check_weights(tmp_path, str(again), str(weights))


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
    with pytest.raises(UsageError, match=f"its classes are not those of {tmp_path}: .*{message}") as caught:
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


def test_other_weights_are_refused(tmp_path, weights):
    keep_origin(tmp_path, task_of(weights=str(weights)))
    other = tmp_path / "other.pt"
    other.write_bytes(b"other weights")
    with pytest.raises(UsageError, match=f"--weights {other}: not the weights that .*, those of {weights} "):
        check_weights(tmp_path, str(other), str(weights))
    with pytest.raises(UsageError, match="there is no such file"):
        check_weights(tmp_path, str(tmp_path / "gone.pt"), str(weights))
    weights.write_bytes(b"trained on")
    with pytest.raises(UsageError, match="mine.pt as it was then"):
        check_weights(tmp_path, str(weights), str(weights))
    weights.unlink()
    check_weights(tmp_path, str(weights), str(weights))  # what is trained needs the file no more


def test_a_run_of_an_earlier_version_says_nothing(tmp_path, weights):
    check_classes(tmp_path, data_of(NAMES))
    check_weights(tmp_path, str(weights), None)
