"""Few photos: networks are compared on images that neither they nor their teacher have seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.data.base import subset
from edgenas.testing.toy import noise
from edgenas.workflows.stages.folds import FEW, FOLDS, by_folds, folds, need_folds
from tests.workflows._tasks import context
from tests.workflows.stages.test_teacher import taught


def many():
    """As many images as need no folds."""
    data = noise((3, 32, 32), 3)
    rows = np.arange(FEW) % len(data.train)
    return replace(data, train=subset(data.train, rows))


@pytest.fixture
def run(tmp_path):
    return taught(tmp_path)[1].task, context(tmp_path)


def test_every_image_is_held_out_once_and_never_trained_on_then(run):
    task, _ = run
    whole = sorted([*task.data.train.rows, *task.data.validation.rows])
    parts = list(folds(task))
    assert sorted(row for data in parts for row in data.validation.rows) == whole and len(parts) == FOLDS
    for data in parts:
        assert not set(data.train.rows) & set(data.validation.rows)
        assert len(data.train) + len(data.validation) == len(whole)
        assert set(data.validation.labels.tolist()) == set(range(len(task.data.classes)))


def test_networks_are_right_about_a_share_of_all_images(run, monkeypatch):
    task, ctx = run
    whole = task.space.whole
    place = task.space.index["resolution"]
    smaller = (*whole[:place], max(task.space.allowed[place]), *whole[place + 1 :])
    codes = list(dict.fromkeys(map(task.space.code, [whole, smaller])))
    found = by_folds(task, codes, ctx)
    assert found.images == len(task.data.train) + len(task.data.validation)
    assert set(found.accuracy) == set(codes)
    assert all(0 <= share <= 1 for share in found.accuracy.values())
    assert all(np.isclose(share * found.images, round(share * found.images)) for share in found.accuracy.values())
    assert by_folds(task, codes, ctx) == found, "from the checkpoints"


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({}, True),
        ({"teacher": None}, False),
        ({"data": many()}, False),
        ({"minutes": 5.0}, False),
    ],
)
def test_folds_are_for_few_images_where_time_is_not_short(run, change, needed):
    task, _ = run
    minutes = change.pop("minutes", None)
    task = replace(task, config=replace(task.config, minutes=minutes), **change)
    assert need_folds(task) is needed
