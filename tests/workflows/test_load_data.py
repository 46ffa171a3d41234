from dataclasses import replace

import numpy as np
import pytest

from edgenas.data import digits
from edgenas.errors import UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import Config
from edgenas.workflows.given import Given
from edgenas.workflows.load_data import CACHE, load_data
from tests.data.writers import write_folder


class Told(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines.append(text)


def photos(tmp_path, **settings) -> Config:
    root = write_folder(tmp_path / "pets")
    return Config(data="folder", data_root=str(root), image_size=16, **settings)


def test_what_was_decided_about_photos_is_said_with_their_cache(tmp_path):
    told, config = Told(), photos(tmp_path, output=str(tmp_path / "runs" / "a"))
    data = load_data(config, Given(), "cpu", told)
    assert data.view.fit == "crop" and data.augment.flip
    assert [line for line in told.lines if line.startswith("pets: --fit crop was chosen")]
    assert [line for line in told.lines if str(tmp_path / "runs" / CACHE) in line and "takes about" in line]
    told.lines.clear()
    load_data(replace(config, output=str(tmp_path / "runs" / "b")), Given(), "cpu", told)
    assert not [line for line in told.lines if "takes about" in line]


@pytest.mark.parametrize("output", ["pets/run", "link/runs/a", None])
def test_decoded_photos_are_never_kept_among_the_photos(tmp_path, monkeypatch, output):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = photos(tmp_path, output=None if output is None else str(tmp_path / output))
    (tmp_path / "link").symlink_to("pets")
    monkeypatch.chdir(tmp_path / "pets")
    load_data(config, Given(), "cpu", SilentReporter())
    assert list((tmp_path / "cache" / "edgenas").iterdir())
    assert sorted(path.name for path in (tmp_path / "pets").iterdir()) == ["cat", "dog"]


def test_settings_of_photos_reach_them(tmp_path):
    settings = {"fit": "pad", "flip": False, "cache": str(tmp_path / "there"), "cache_size": 18}
    data = load_data(photos(tmp_path, **settings), Given(), "cpu", SilentReporter())
    assert data.view.fit == "pad" and not data.augment.flip
    assert [folder.name.startswith("pets-18px-") for folder in (tmp_path / "there").iterdir()] == [True]


@pytest.mark.parametrize("setting", [{"fit": "pad"}, {"flip": False}, {"cache": "x"}, {"cache_size": 9}])
def test_other_images_refuse_them(setting):
    name = "--" + next(iter(setting)).replace("_", "-")
    arrays = (np.zeros((9, 8, 8), np.uint8), np.arange(9) % 2)
    for config, given in ((Config(**setting), Given()), (Config(**setting), Given(data=arrays))):
        with pytest.raises(UsageError, match=f"{name} is for folders of photographs"):
            load_data(config, given, "cpu", SilentReporter())


def test_images_of_one_size_refuse_another():
    with pytest.raises(UsageError, match="--image-size 64: digits comes in 32 x 32"):
        load_data(Config(image_size=64), Given(), "cpu", SilentReporter())


def test_given_data_are_taken_as_they_are():
    settings = {"root": None, "seed": 0, "image_size": None, "validation_share": 0.2, "download": False}
    data = digits.build(**settings, strict=False, device="cpu")
    assert load_data(Config(), Given(data=data), "cpu", SilentReporter()) is data


@pytest.mark.parametrize("cache_size, told_of", [(15, True), (16, False), (None, False)])
def test_every_command_is_told_of_decoded_pictures_that_are_too_small(tmp_path, cache_size, told_of):
    told = Told()
    load_data(photos(tmp_path, cache_size=cache_size, cache=str(tmp_path / "cache")), Given(), "cpu", told)
    assert any("--cache-size 15 is below the image size of 16" in line for line in told.lines) == told_of
