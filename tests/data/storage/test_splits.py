import numpy as np
import pytest

from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.errors import DataError, UsageError
from tests.data.writers import labels_of

NAMES = ("ant", "bee", "cow")


@pytest.mark.parametrize(
    "labels, classes, reason",
    [
        ([0.0, float("nan"), 1.0], None, "1 labels are NaN"),
        ([0.0, 1.0], None, "labels are float64"),
        (["ant", "bee"], NAMES, "labels are <U3"),
        ([0, 1, 3], NAMES, "out of range, 0 to 3 where 0 to 2"),
        ([0, -1], None, "out of range, -1 to 0"),
        ([0, 0, 0], None, "only one class"),
        ([0, 0, 0], ("ant",), "only one class"),
        ([0, 2, 2], NAMES, "class 'bee' has no images"),
        ([0, 1], NAMES, "class 'cow' has no images"),
        ([0, 2], None, "class 1 has no images"),
        ([0, 2**40], None, "class 1 has no images"),
        ([0, 1], ("ant", "caf\udce9"), r"the name of class 'caf\\udce9' is not in UTF-8; rename it"),
        ([[0, 1], [1, 0]], None, r"shape \(2, 2\)"),
        ([], None, r"shape \(0,\)"),
    ],
)
def test_unusable_labels_are_refused_with_the_reason(labels, classes, reason):
    with pytest.raises(DataError, match=f"^here: .*{reason}") as caught:
        check_labels(np.array(labels), classes, "here")
    assert caught.value.exit_code == 3


def test_labels_name_themselves_without_classes():
    labels, classes = check_labels(np.array([2, 0, 1], dtype=np.uint8), None, "here")
    assert labels.dtype == np.int64 and classes == ("0", "1", "2")


def rows(labels: np.ndarray, **given) -> dict[str, list[int]]:
    splits = split_rows(
        labels, {k: np.array(v) for k, v in given.items()}, NAMES, validation_share=0.25, seed=0, where="here"
    )
    return {name: sorted(getattr(splits, name).tolist()) for name in ("train", "validation", "test")}


def test_a_part_of_a_given_validation_split_has_many_classes():
    labels = np.repeat(np.arange(3), 20)
    given = {"train": np.arange(60), "validation": np.arange(60), "test": np.arange(60)}
    found = split_rows(labels, given, NAMES, validation_share=0.25, seed=0, where="here")
    assert set(labels[found.validation[:15]]) == {0, 1, 2} and sorted(found.validation) == list(range(60))


@pytest.mark.parametrize(
    "given, sizes",
    [
        ({"train": range(60)}, (33, 15, 12)),
        ({"train": range(40), "test": range(40, 60)}, (30, 10, 20)),
        ({"train": range(40), "validation": range(40, 60)}, (32, 20, 8)),
        ({"train": range(20), "validation": range(20, 40), "test": range(40, 60)}, (20, 20, 20)),
    ],
)
def test_missing_splits_are_drawn_from_train(given, sizes):
    labels = np.arange(60) % 3
    found = rows(labels, **given)
    assert tuple(map(len, found.values())) == pytest.approx(sizes, abs=1)
    assert sorted(sum(found.values(), [])) == list(range(60))
    for name in given.keys() - {"train"}:
        assert found[name] == list(given[name])


@pytest.mark.parametrize(
    "given, reason",
    [
        ({"train": range(1, 40), "validation": [0, 20, 40]}, "'cow' is only in validation, not in train"),
        ({"train": range(40), "test": range(40, 60)}, "'cow' is only in test, not in train"),
        ({"train": range(60), "validation": range(0, 40)}, "'cow' has no validation images"),
    ],
)
def test_a_class_missing_from_a_split_is_named(given, reason):
    with pytest.raises(DataError, match=reason):
        rows(labels_of(3, 20), **given)


@pytest.mark.parametrize("share", [0, -0.1, 0.8, 1, float("nan"), float("inf")])
def test_validation_share_leaves_something_to_train_on(share):
    with pytest.raises(UsageError, match="validation share"):
        split_rows(np.arange(60) % 3, {"train": np.arange(60)}, NAMES, validation_share=share, seed=0, where="here")
