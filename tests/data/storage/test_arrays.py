import numpy as np
import pytest

from edgenas.data.storage.arrays import channels_first, check_counts
from edgenas.errors import DataError


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((5, 4, 6), (5, 1, 4, 6)),
        ((5, 4, 6, 3), (5, 3, 4, 6)),
        ((5, 3, 4, 6), (5, 3, 4, 6)),
        ((5, 4, 6, 1), (5, 1, 4, 6)),
        ((5, 3, 4, 3), None),  # either axis may be the channels
        ((5, 4, 6, 4), None),
        ((0, 4, 6), None),
        ((5, 4), None),
    ],
)
def test_channels_come_first(shape, expected):
    images = np.zeros(shape, dtype=np.uint8)
    if expected is None:
        with pytest.raises(DataError, match="here: images of shape .* not clearly"):
            channels_first(images, "here")
    else:
        found = channels_first(images, "here")
        assert found.shape == expected and found.flags.c_contiguous


@pytest.mark.parametrize("value, reason", [(0.5, "float64;"), (np.nan, "float64 with NaN"), (7, "int64")])
def test_only_bytes_are_images(value, reason):
    with pytest.raises(DataError, match=f"here: images are {reason}.*uint8"):
        channels_first(np.full((2, 4, 4), value), "here")


def test_each_image_has_a_label():
    check_counts(3, 3, "here")
    with pytest.raises(DataError, match="here: 3 images but 4 labels"):
        check_counts(3, 4, "here")
