"""The trained network that a configuration names, and the images that its space is for."""

from __future__ import annotations

import pytest

from edgenas.errors import UsageError
from edgenas.spaces.build import build_space
from edgenas.workflows.config import make_config
from edgenas.workflows.pretrained import (
    check_pretrained,
    input_of,
    open_pretrained,
    open_teacher,
    space_source,
    teacher_space,
    whole_maker,
)

NAME = "tests.pretrained._networks:resnet"
DIGITS = ((1, 32, 32), 10)


def config(**changes):
    return make_config({"pretrained": NAME, **changes})


def test_without_a_network_the_space_is_the_named_one():
    assert open_pretrained(make_config({})) is None
    assert space_source(make_config({"space": "chain"})) == "chain"


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"pretrained": None, "teacher": "torchvision:resnet50"},
            "--teacher torchvision:resnet50: name the network th",
        ),
        ({"teacher": NAME}, "--teacher tests.pretrained.*name one that comes with weights"),
        (
            {"pretrained": "torchvision:resnet18", "teacher": "efficientnet-lite0"},
            "--teacher efficientnet-lite0: it takes images that are normalised otherwise than those of torchvision:res",
        ),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        open_teacher(config(**changes))


def test_a_teacher_has_a_space_of_its_own_for_the_same_images():
    named = config(pretrained="efficientnet-lite0", teacher="efficientnet-lite1")
    space = teacher_space(named, (3, 64, 64), 5)
    assert space is not None and (space.network, space.shape, space.classes) == ("efficientnet-lite1", (3, 64, 64), 5)
    assert teacher_space(config(), (3, 64, 64), 5) is None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"space": "chain"}, "--pretrained is the space; leave --space chain out"),
        ({"pretrained": None, "weights": "mine.pt"}, "--weights: name the network that they are of"),
        (
            {"pretrained": "efficientnet-lite0", "weights": "mine.pt"},
            "--weights mine.pt: efficientnet-lite0 comes with weights of its own; .* --pretrained package.module:f",
        ),
        ({"pretrained": "torchvision:resnet18", "weights": "mine.pt"}, "comes with weights of its own"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        open_pretrained(config(**changes))


@pytest.mark.parametrize(
    "given, shape, classes, expected",
    [
        ({}, None, None, ((3, 224, 224), 1000)),
        ({"image_size": 96}, None, 4, ((3, 96, 96), 4)),
        ({"image_size": 96}, (3, 64, 64), None, ((3, 64, 64), 1000)),
        ({"pretrained": None}, None, None, DIGITS),
        ({"pretrained": None}, (3, 64, 64), 7, ((3, 64, 64), 7)),
    ],
)
def test_what_is_given_counts_before_what_the_network_takes(given, shape, classes, expected):
    assert input_of(config(**given), shape, classes, DIGITS) == expected


def test_a_folder_of_images_says_the_classes(tmp_path):
    for split in ("train", "test"):
        for name in ("cat", "dog", "owl"):
            (tmp_path / split / name).mkdir(parents=True)
    assert input_of(config(data=str(tmp_path)), None, None, DIGITS)[1] == 3


def test_the_space_of_the_whole_network_has_its_sizes_left():
    space = build_space(whole_maker(config()), (3, 96, 96), 5)
    free = [choice.name for choice, options in zip(space.choices, space.allowed, strict=True) if len(options) > 1]
    assert free == ["resolution"] and space.name == NAME


def test_missing_weights_are_told_before_anything_is_done():
    check_pretrained(make_config({}))
    with pytest.raises(UsageError, match="give its weights with --weights FILE"):
        check_pretrained(config())
