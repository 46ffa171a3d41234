"""Scores from features: of a trained network's space alone, the same for the same architecture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.data.from_arrays import from_arrays
from edgenas.errors import UsageError
from edgenas.evaluators.features import FeaturesEvaluator
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.trace import trace
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToySpace
from tests.pretrained._networks import lite, stirred

SPACE = PretrainedSpace((3, 64, 64), 3, trace(stirred(lite()), "lite"), "lite")


@pytest.fixture(scope="module")
def data():
    rng, labels = np.random.default_rng(0), np.arange(150) % 3
    pixels = (rng.normal(0, 20, (150, 64, 64, 3)) + 60 + 60 * labels[:, None, None, None]).clip(0, 255)
    return from_arrays(pixels.astype(np.uint8), labels)


def test_keeps_the_contract_and_learns(data):
    evaluator = FeaturesEvaluator(SPACE, data, 0, "cpu")
    evaluator_contract(evaluator, SPACE, [SPACE.whole])
    assert evaluator(SPACE.whole)["accuracy"] > 0.8


def test_a_finalist_begins_with_the_weights_as_they_came(data):
    network = FeaturesEvaluator(SPACE, data, 0, "cpu").network(SPACE.whole)
    assert network.needs_head


def test_a_part_of_many_images_is_enough(data, monkeypatch):
    monkeypatch.setattr("edgenas.evaluators.features.MOST_IMAGES", 30)
    evaluator = FeaturesEvaluator(SPACE, replace(data, validation=data.train), 0, "cpu")
    assert len(evaluator.train) == len(evaluator.validation) == 30
    assert np.bincount(evaluator.train.labels).tolist() == [10, 10, 10]


def test_a_space_without_weights_is_refused(data):
    with pytest.raises(UsageError, match="--evaluator features: the space has no trained weights"):
        FeaturesEvaluator(ToySpace(3), data, 0, "cpu")
