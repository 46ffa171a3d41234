"""What may be said beside a run folder."""

import pytest

from edgenas.errors import UsageError
from edgenas.workflows.config import make_config
from edgenas.workflows.moved import MOVABLE, moved_settings

BEFORE = make_config(
    {"data": "folder", "data_root": "old", "pretrained": "efficientnet-lite0", "image_size": 96, "space": "mbconv"}
)


def test_places_may_differ(tmp_path):
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"")
    given = {"data_root": "new", "cache": "fast", "weights": str(weights), "download": True, "train_device": "cpu"}
    assert set(given) == set(MOVABLE) and moved_settings("runs/a", BEFORE, given) == given


def test_what_the_run_is_about_may_be_said_again(tmp_path):
    given = {"data": str(tmp_path), "image_size": "96", "pretrained": "efficientnet-lite0", "budget_ms": "5"}
    assert moved_settings("runs/a", BEFORE, given) == {"data_root": str(tmp_path), "budget_ms": "5"}


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"pretrained": "torchvision:resnet18"},
            "--pretrained torchvision:resnet18: runs/a was begun with efficientnet",
        ),
        ({"image_size": "64"}, "--image-size 64: runs/a was begun with 96; leave it out"),
        ({"image_size": "many"}, "--image-size"),
        ({"data": "digits"}, "--data digits: runs/a was begun with folder"),
    ],
)
def test_what_contradicts_the_run_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        moved_settings("runs/a", BEFORE, given)


@pytest.mark.parametrize("given", [{"pretrained": "efficientnet-lite0"}, {"weights": "mine.pt"}])
def test_a_run_without_a_trained_network_has_none(given):
    with pytest.raises(UsageError, match="leave it out"):
        moved_settings("runs/a", make_config({}), given)
