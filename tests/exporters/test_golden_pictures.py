"""Golden pictures find every stage in which something differs."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgenas.data.view import FITS, View
from edgenas.exporters.golden_pictures import MOST_SIDE, ORIENTATION, TURNED, differing_stage, drawn, reduced, stages
from edgenas.exporters.input_steps import InputSteps


def steps_for(fit="crop", channels=3) -> InputSteps:
    return InputSteps((channels, 24, 24), (0.5,) * channels, (0.25,) * channels, View(fit))


@pytest.fixture
def pictures():
    return stages(drawn(65_535), steps_for())


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def test_one_is_turned_one_transparent_one_deep_and_none_is_square():
    turned, transparent, deep = map(opened, drawn(4095))
    assert turned.getexif()[ORIENTATION] == TURNED
    assert transparent.mode == "RGBA" and np.ptp(np.asarray(transparent)[..., 3]) == 255
    assert deep.mode.startswith("I") and 3000 < np.asarray(deep).max() <= 4095
    assert all(picture.width != picture.height for picture in (turned, transparent, deep))


def test_they_are_drawn_the_same_each_time():
    assert drawn(255) == drawn(255)


@pytest.mark.parametrize("is_photo, kind", [(True, "JPEG"), (False, "PNG")])
@pytest.mark.parametrize("shape", [(1000, 700, 3), (20, 30, 3), (20, 30, 1)])
def test_a_picture_of_the_data_is_small_and_without_metadata(is_photo, kind, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    small = opened(reduced(pixels, is_photo=is_photo))
    assert small.format == kind and not small.getexif() and max(small.size) == min(MOST_SIDE, max(shape))
    assert is_photo or small.height < shape[0] or (np.asarray(small).reshape(shape) == pixels).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_differs_where_they_were_made(fit, channels):
    steps = steps_for(fit, channels)
    found = stages(drawn(65_535), steps)
    assert found["input"].shape == (3, channels, 24, 24)
    assert differing_stage(found, steps) is None


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_another_fit_is_found(pictures, fit):
    assert "become an input" in differing_stage(pictures, steps_for(fit))


def test_another_normalisation_is_found(pictures):
    assert "become an input" in differing_stage(pictures, replace(steps_for(), mean=(0.49,) * 3))


@pytest.mark.parametrize(
    "key, change, says",
    [
        ("pixels_0", lambda x: x[..., ::-1], "file 0 decodes"),  # blue before red
        ("pixels_0", lambda x: np.rot90(x), "file 0 decodes to"),  # not upright
        ("pixels_2", lambda x: x // 2, "file 2 decodes"),
        ("file_1", lambda x: x[:50], "file 1 cannot be decoded"),
    ],
)
def test_another_decoder_is_found(pictures, key, change, says):
    assert says in differing_stage(pictures | {key: change(pictures[key])}, steps_for())
