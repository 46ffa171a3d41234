"""The square that a network sees of a picture."""

import numpy as np
import pytest
from PIL import Image

from edgenas.data.view import FITS, PAD, View


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (32, 32), (500, 3), (1, 1)])
def test_every_picture_becomes_a_square(fit, shape):
    seen = View(fit).square(picture(*shape), 24)
    assert seen.shape == (24, 24, 3) and seen.dtype == np.uint8


@pytest.mark.parametrize("fit", FITS)
def test_a_square_of_the_size_is_seen_as_it_is(fit):
    image = picture(24, 24)
    assert (View(fit).square(image, 24) == np.asarray(image)).all()


def test_a_crop_hides_the_ends_and_a_squash_none():
    image = picture(60, 20)
    blank = image.copy()
    blank.paste(0, (20, 0, 40, 20))
    assert not View("crop").square(blank, 20).any()
    assert View("squash").square(blank, 20).any()


def test_pad_keeps_the_shape_between_bars():
    seen = View("pad").square(Image.new("RGB", (40, 20), "red"), 20)
    assert (seen[:5] == PAD).all() and (seen[15:] == PAD).all()
    assert (seen[5:15] == [255, 0, 0]).all()


def test_grey_pictures_have_one_channel():
    assert View("pad").square(Image.new("L", (8, 4)), 16).shape == (16, 16, 1)
