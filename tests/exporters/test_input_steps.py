"""From a picture to the tensor: the manifest says it whole, and what reads it does what training does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.data.base import preprocess
from edgenas.data.view import FITS, PAD, View
from edgenas.exporters.input_steps import STEPS, InputSteps, read_steps

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def steps_for(channels=3, side=16, view=None, rounds=True) -> InputSteps:
    return InputSteps((channels, side, side), MEAN[:channels], STD[:channels], view or View(), rounds)


def manifest_input(steps: InputSteps) -> dict:
    normalisation = {"mean": list(steps.mean), "std": list(steps.std)}
    return {"shape": [1, *steps.shape], "normalisation": normalisation, STEPS: steps.to_json()}


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("rounds", [True, False])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_manifest_holds_all_of_it(channels, fit, rounds):
    steps = steps_for(channels, view=View(fit, 4095), rounds=rounds)
    assert read_steps(json.loads(json.dumps(manifest_input(steps)))) == steps


@pytest.mark.parametrize(
    "fit, order",
    [
        ("crop", "upright depth flatten colours crop resize divide normalise layout"),
        ("squash", "upright depth flatten colours resize divide normalise layout"),
        ("pad", "upright depth flatten colours resize pad divide normalise layout"),
    ],
)
def test_the_order_of_the_steps(fit, order):
    assert " ".join(step["do"] for step in steps_for(view=View(fit)).to_json()) == order


def test_what_is_no_picture_has_no_steps_of_files():
    steps = InputSteps((2, 8, 8), (0.5,) * 2, (0.5,) * 2)
    assert not steps.takes_pictures and steps.to_json()[0] == {"do": "colours", "mode": "as in the data"}


def test_an_older_manifest_means_a_centred_crop():
    older = {key: value for key, value in manifest_input(steps_for()).items() if key != STEPS}
    assert read_steps(older) == steps_for(rounds=False)


@pytest.mark.parametrize(
    "fit, words", [("crop", "centred square"), ("squash", "squashed to 16 x 16"), ("pad", f"with {PAD}")]
)
def test_the_words_say_the_same(fit, words):
    said = steps_for(view=View(fit, 4095)).words()
    assert words in said and "4095 is white" in said and "EXIF" in said and "rounded" in said
    assert "EXIF" not in replace(steps_for(), shape=(2, 8, 8)).words()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(4, 40), st.sampled_from(FITS), st.sampled_from((1, 3)))
def test_a_photo_is_the_square_of_its_view_preprocessed(height, width, side, fit, channels):
    from PIL import Image

    pixels, steps = noise(height, width, channels), steps_for(channels, side, View(fit))
    square = steps.view.square(Image.fromarray(pixels if channels == 3 else pixels[..., 0]), side)
    expected = preprocess(square.transpose(2, 0, 1)[None].copy(), side, steps.mean, steps.std)[0].numpy()
    np.testing.assert_allclose(steps.tensor(pixels), expected, atol=1e-6)


@given(st.integers(4, 80), st.integers(4, 64), st.integers(1, 4), st.integers(0, 99))
def test_an_image_from_an_array_is_resized_in_floats(side, size, channels, seed):
    pixels = noise(side, side, channels, seed)
    steps = InputSteps((channels, size, size), (0.0,) * channels, (1.0,) * channels, View("squash"), rounds=False)
    expected = preprocess(pixels.transpose(2, 0, 1)[None].copy(), size, steps.mean, steps.std)[0].numpy()
    assert np.abs(steps.tensor(pixels) - expected).max() < 1e-3


def test_the_middle_of_a_long_image_counts_after_a_crop():
    pixels = noise(8, 20)
    steps = steps_for(side=8, rounds=False)
    assert (steps.tensor(pixels) == steps.tensor(pixels[:, 6:14])).all()


@pytest.mark.parametrize("found, takes", [(1, 3), (3, 1), (3, 3)])
def test_channels_are_made_to_fit(found, takes):
    pixels = noise(16, 16, found)
    seen = steps_for(takes).tensor(pixels)
    assert seen.shape == (takes, 16, 16) and seen.dtype == np.float32


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="2 channels, where the model takes 3"):
        steps_for().tensor(noise(8, 8, 2))
