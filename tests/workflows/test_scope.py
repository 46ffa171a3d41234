"""What a kit is about, by its manifest."""

import pytest

from edgenas.errors import DamagedTable, UsageError
from edgenas.spaces.build import parse_spec
from edgenas.system import plugins
from edgenas.workflows.config import Config, make_config
from edgenas.workflows.scope import check_scope, scope_of

OWN = "tests.pretrained._networks:grouped"
KIT = {"general": False, "space": f"{OWN} 3x64x64 4", "only": {}}


def test_a_space_narrowed_as_the_manifest_says():
    whole = scope_of({"general": False, "space": "tests._toys 3x8x8 4", "only": {}})
    part = scope_of({"general": False, "space": "tests._toys 3x8x8 4", "only": {"width": ["4"]}})
    assert part.nodes.keys() < whole.nodes.keys()


@pytest.mark.parametrize(
    "manifest",
    [
        *({}, {"general": False}, {"general": True}, {"general": True, "seed": -1}, {"general": True, "seed": None}),
        *({**KIT, "space": space} for space in (3, None, "", "mbconv", "mbconv 3x32 10", "mbconv 3xAx32 10")),
        *({**KIT, "space": "chain 3x32x32 10", "only": only} for only in (None, 3, {"l1.op": 3}, {"l1.op": [[]]})),
    ],
)
def test_a_manifest_that_does_not_say(manifest):
    with pytest.raises(DamagedTable, match="does not say what it is of"):
        scope_of(manifest)


@pytest.mark.parametrize("space", [3, "mbconv", "mbconv 3xAx32 10"])
def test_a_manifest_that_names_no_space_is_damaged_whatever_it_is_checked_against(space):
    with pytest.raises(DamagedTable, match="does not say what it is of"):
        check_scope(make_config({"image_size": 96}), {**KIT, "space": space})


def test_a_network_of_ones_own_is_known_once_it_is_named():
    with pytest.raises(UsageError):
        parse_spec(KIT["space"])
    plugins.name_own("pretrained", OWN)
    check_scope(make_config({"pretrained": OWN, "image_size": 64}), KIT)
    assert parse_spec(KIT["space"]).spec == KIT["space"]


def test_a_kit_needs_no_name():
    check_scope(Config(), KIT)
    check_scope(Config(), {"general": True, "seed": 0})


@pytest.mark.parametrize(
    "given, message",
    [
        ({"pretrained": "tests.pretrained._networks:resnet"}, f"--pretrained .*resnet: the kit is of {OWN}"),
        ({"space": "chain"}, "--space chain: the kit is of"),
        ({"image_size": 96}, "--image-size 96: the kit is of 64 pixels"),
        ({"weights": "mine.pt"}, "--weights: name the network"),
    ],
)
def test_a_kit_of_something_else_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        check_scope(make_config(given), KIT)


def test_a_folder_with_other_classes_is_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="2 classes, the kit is of 4"):
        check_scope(make_config({"data": str(tmp_path)}), KIT)


def test_a_general_kit_is_of_no_network():
    with pytest.raises(UsageError, match="of no single space"):
        check_scope(make_config({"pretrained": OWN}), {"general": True, "seed": 0})
