import numpy as np
import pytest

from edgenas.data import npz
from edgenas.data.found import LeftOut
from edgenas.data.storage.copies import equal_files, equal_images, later_copies
from edgenas.errors import DataError
from tests.data.writers import labels_of, noise, write_npz

CLASSES = ("cat", "dog")


def test_equal_images_are_found_by_their_pixels():
    pixels = noise(30, 3, 4, 5)
    pixels[7] = pixels[3]
    pixels[20] = pixels[19]
    pixels[29] = pixels[3]
    assert equal_images(pixels) == [[3, 7, 29], [19, 20]]


def test_equal_files_are_found_by_their_contents(tmp_path):
    long = b"x" * 5000
    contents = [b"ab", long + b"1", b"", long + b"2", b"ba", long + b"1", b"", b"ab"]
    files = [tmp_path / str(i) for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    assert sorted(equal_files(files)) == [[0, 7], [1, 5]], "empty files are none"


def copies(groups, labels, splits, **how):
    split_of = dict(enumerate(splits))
    return later_copies(groups, np.array(labels), split_of, CLASSES, "image {}".format, "set", **how)


def test_copies_in_one_place_are_left_out():
    assert copies([[0, 2, 3]], [0, 1, 0, 0], ["train"] * 4) == {2: "copy of image 0", 3: "copy of image 0"}


@pytest.mark.parametrize(
    "labels, splits, message",
    [
        ([0, 1], ["train", "train"], "image 0 of cat and image 1 of dog"),
        ([0, 0], ["train", "test"], "image 0 in train and image 1 in test"),
        ([0, 1], ["validation", "train"], "image 0 in validation and image 1 in train"),
    ],
)
def test_one_image_in_two_places_is_refused(labels, splits, message):
    with pytest.raises(DataError, match=f"set: .*{message}$") as caught:
        copies([[0, 1]], labels, splits)
    assert caught.value.details == (message,)


def test_of_a_published_set_the_training_image_is_left_out():
    found = copies([[0, 1, 2]], [0, 1, 0], ["train", "train", "test"], is_published=True)
    assert found == {0: "copy of image 2", 1: "copy of image 2"}


def test_a_file_of_arrays_keeps_each_image_once(tmp_path):
    images, labels = noise(60, 12, 12, 3), labels_of(3, 20)
    images[1] = images[0]
    data = npz.build(root=write_npz(tmp_path, images=images), **SETTINGS)
    assert len(data.train) + len(data.validation) + len(data.held_out) == 59
    assert data.found.left_out == (LeftOut("image 1", "copy of image 0"),)
    is_train = np.arange(60) % 2 == 0
    with pytest.raises(DataError, match="image 0 in train and image 1 in test"):
        npz.build(root=write_npz(tmp_path, images=images, is_train=is_train), **SETTINGS)
    images[40] = images[0]
    with pytest.raises(DataError, match="image 0 of 0 and image 40 of 2"):
        npz.build(root=write_npz(tmp_path, images=images, label=labels), **SETTINGS)


def test_splits_of_arrays_are_known_by_any_of_their_names(tmp_path):
    split = np.array(["Training", "DEV", "Testing"])[np.arange(60) % 3]
    data = npz.build(root=write_npz(tmp_path, split=split), **SETTINGS)
    assert (len(data.train), len(data.validation), len(data.held_out)) == (20, 20, 20)


SETTINGS = {
    **{"seed": 0, "image_size": None, "validation_share": 0.2, "download": False, "strict": False},
    "device": "cpu",
}
