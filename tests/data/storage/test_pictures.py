import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgenas.data.folder import AUGMENT
from edgenas.data.storage import pictures
from edgenas.data.storage.decode import decode
from edgenas.data.storage.options import PhotoOptions
from edgenas.data.storage.pictures import INDEX, PIXELS, ROOM_FOR_CROPS, cached_pictures
from edgenas.errors import EnvironmentFault
from tests.data.writers import noise, write_folder


@pytest.fixture
def files(tmp_path):
    write_folder(tmp_path / "set", ("cat",), each=12)
    return tuple(sorted((tmp_path / "set" / "cat").iterdir()))


@pytest.fixture
def opened(tmp_path, files):
    """Open the cache, and tell what was said meanwhile."""

    def call(**changes):
        said, done = [], []
        options = PhotoOptions(
            **{
                "cache": tmp_path / "cache",
                "cache_size": 16,
                "log": said.append,
                "progress": lambda *counts: done.append(counts),
                **changes,
            }
        )
        return cached_pictures(tmp_path / "set", files, 24, options), said, done

    return call


def test_pictures_keep_their_shape_and_are_no_larger_than_asked(opened, files):
    found, said, done = opened()
    assert done[-1] == (12, 12) and "takes about 0.0 MB" in said[-1] and "--cache" in said[-1]
    assert "--cache-size 16 is below the image size of 24" in said[0]
    for row, file in enumerate(files):
        image = decode(file)
        share = 16 / min(image.size)
        assert found.read(row).shape == (round(image.height * share), round(image.width * share), 3)
    whole = opened(cache_size=500)[0]
    assert all(np.array_equal(whole.read(row), np.asarray(decode(file))) for row, file in enumerate(files))


def test_by_default_there_is_room_for_random_crops(opened):
    assert ROOM_FOR_CROPS * (1 - AUGMENT.scale) == pytest.approx(1), "the smallest part is not enlarged"
    shapes = opened(cache_size=None)[0].shapes  # of pictures of 20 to 31 x 30 pixels; 40 are wanted
    assert shapes.min() == 20 and shapes.min(axis=1).max() == 30, "a small picture stays as it is"


def test_a_cache_is_made_once(opened):
    first, _, _ = opened()
    second, said, done = opened()
    assert len(said) == 1 and done == [] and second.read(3).tobytes() == first.read(3).tobytes()


def changed(folder, files):
    os.utime(files[0], (1, 1))


def torn(folder, files):
    os.truncate(folder / PIXELS, 10)


def without_index(folder, files):
    (folder / INDEX).unlink()


def garbage(folder, files):
    (folder / INDEX).write_bytes(b"PK garbage")


@pytest.mark.parametrize("spoil", [changed, torn, without_index, garbage])
def test_what_is_torn_or_of_other_files_is_made_again(opened, files, spoil):
    first, _, _ = opened()
    (first.folder / "crop-65535-8.npy").write_bytes(b"squares of the files as they were")
    spoil(first.folder, files)
    second, _, done = opened()
    assert len(done) > 0 and second.read(3).tobytes() == first.read(3).tobytes()
    assert sorted(path.name for path in first.folder.iterdir()) == [INDEX, "lock", PIXELS]


def test_the_pass_finds_what_cannot_be_decoded(opened, files):
    files[4].write_bytes(b"text")
    files[5].write_bytes(b"")
    found, _, _ = opened()
    assert set(found.unreadable) == {4, 5} and found.shapes[4].tolist() == [0, 0]
    assert min(found.read(6).shape[:2]) == 16 and found.hidden() > 0


def test_pictures_of_12_bits_are_not_dark(opened, files):
    deep = np.full((20, 30), 4000, dtype=np.uint16)
    for row in (0, 2):
        Image.fromarray(deep).save(files[row], "PNG")
    found, _, _ = opened()
    assert found.white == 4095 and found.read(0).mean() == pytest.approx(4000 / 4095 * 255, abs=0.5)
    assert found.read(1).std() > 0
    assert opened()[0].white == 4095


def test_a_full_disk_is_refused_before_anything_is_decoded(opened, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(EnvironmentFault, match="the cache of 12 decoded pictures takes about"):
        opened()


def test_a_disk_that_fills_up_meanwhile_leaves_no_cache(opened, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "_written", full)
        with pytest.raises(EnvironmentFault, match="No space left.*--cache-size"):
            opened()
    assert len(opened()[2]) > 0


def test_parts_of_cached_pictures_are_as_sharp_as_those_of_the_files(tmp_path):
    """Training is to see what evaluation sees, which resizes the full picture once."""
    (tmp_path / "set").mkdir()
    full = Image.fromarray(noise(400, 300)).resize((800, 600), Image.Resampling.BICUBIC)  # detail at all scales
    full.save(tmp_path / "set" / "a.png")
    options = PhotoOptions(cache=tmp_path / "cache")
    cached = Image.fromarray(cached_pictures(tmp_path / "set", (tmp_path / "set" / "a.png",), 96, options).read(0))
    share = cached.width / full.width

    def part(image: Image.Image, scale: float) -> np.ndarray:
        box = tuple(scale * x for x in (100, 80, 600, 580))
        return np.asarray(image.resize((96, 96), Image.Resampling.BILINEAR, box=box), dtype=float)

    sharpness = [np.abs(np.diff(part(image, scale), axis=1)).mean() for image, scale in ((full, 1.0), (cached, share))]
    assert sharpness[1] == pytest.approx(sharpness[0], rel=0.03)


@pytest.mark.parametrize("shape, hidden", [((30, 30), 0.0), ((30, 40), 0.25), ((90, 160), 0.4375), ((40, 30), 0.25)])
def test_what_a_crop_hides(tmp_path, shape, hidden):
    (tmp_path / "set").mkdir()
    Image.fromarray(noise(*shape, 3)).save(tmp_path / "set" / "x.png")
    options = PhotoOptions(cache=tmp_path / "cache")
    found = cached_pictures(tmp_path / "set", (tmp_path / "set" / "x.png",), 96, options)
    assert found.hidden() == pytest.approx(hidden)
