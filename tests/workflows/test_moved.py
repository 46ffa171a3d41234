"""What may be said beside a run folder."""

from dataclasses import replace

import pytest
import torch

from edgenas.errors import UsageError
from edgenas.workflows.config import MOVABLE, make_config
from edgenas.workflows.moved import moved_settings
from tests.pretrained._networks import lite

BEFORE = make_config(
    {"data": "folder", "data_root": "old", "pretrained": "efficientnet-lite0", "image_size": 96, "space": "mbconv"}
)


def test_places_may_differ(tmp_path):
    weights = str(tmp_path / "mine.pt")
    torch.save(lite().state_dict(), weights)
    before = replace(BEFORE, pretrained="tests.pretrained._networks:lite", weights="gone.pt")
    given = {"data_root": "new", "cache": "fast", "weights": weights, "download": True, "train_device": "cpu"}
    assert set(given) == set(MOVABLE) and moved_settings("runs/a", before, given) == given
    unsaid = {"weights": "gone.pt"}  # as a run on another one's weights passes on
    assert moved_settings("runs/a", before, unsaid) == unsaid


def test_weights_are_where_they_are_said_to_be_and_of_the_network():
    before = replace(BEFORE, pretrained="tests.pretrained._networks:lite", weights="mine.pt")
    with pytest.raises(UsageError, match="--weights gone.pt: there is no such file"):
        moved_settings("runs/a", before, {"weights": "gone.pt"})
    with pytest.raises(UsageError, match="efficientnet-lite0 comes with weights of its own"):
        moved_settings("runs/a", BEFORE, {"weights": "gone.pt"})


def test_what_the_run_is_about_may_be_said_again(tmp_path):
    given = {"data": str(tmp_path), "image_size": "96", "pretrained": "efficientnet-lite0", "budget_ms": "5"}
    found = moved_settings("runs/a", BEFORE, given)
    assert found == {**given, "data": "folder", "data_root": str(tmp_path), "image_size": 96}


def test_a_file_of_ones_own_may_be_elsewhere(tmp_path):
    before = make_config({"space": "./tiny.py", "data": "./pets.py"})
    for name in ("tiny.py", "pets.py"):
        (tmp_path / name).touch()
    given = {"space": f"{tmp_path}/tiny.py", "data": f"{tmp_path}/pets.py"}
    assert moved_settings("runs/a", before, given) == given


def test_a_file_named_as_a_plugin_of_edgenas_is_another():
    with pytest.raises(UsageError, match=r"--space \./mbconv.py: runs/a was begun with mbconv"):
        moved_settings("runs/a", make_config({"space": "mbconv"}), {"space": "./mbconv.py"})


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
