from __future__ import annotations

import pytest

from edgenas.errors import UnknownName
from edgenas.system import plugins


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_file_without_underscore_is_a_plugin(kind):
    folder = plugins.PACKAGE / kind
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert {name.replace("-", "_") for name in plugins.names(kind)} == files
    assert plugins.names(kind) == sorted(plugins.names(kind))


def test_load_by_name():
    assert plugins.load("spaces", "mbconv").__name__ == "edgenas.spaces.mbconv"


def test_dashes_become_underscores():
    assert "fashion-mnist" in plugins.names("data")
    assert plugins.load("data", "fashion-mnist").__name__ == "edgenas.data.fashion_mnist"


def test_load_from_outside():
    assert plugins.load("spaces", "tests._toys").__name__ == "tests._toys"


@pytest.mark.parametrize(
    "name, message",
    [
        ("mbcon", "spaces: no 'mbcon'; did you mean mbconv"),
        ("zzz", "spaces: no 'zzz'; there are .*mbconv"),
        ("", "there are .*mbconv"),
        ("_base", "no '_base'"),
        ("fashion_mnist", "no 'fashion_mnist'"),
        ("../spaces/mbconv", "no|cannot import"),
        (".mbconv", "mbconv"),
        ("no_such_package.space", "cannot import 'no_such_package.space'.*installed"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(UnknownName, match=message) as caught:
        plugins.load("spaces", name)
    assert "\n" not in str(caught.value)
