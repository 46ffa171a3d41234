import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgenas.data.base import Augment, Step
from edgenas.data.storage.random_view import further_changes, keys, random_part
from edgenas.data.view import FITS, PAD, View
from tests.data.writers import noise


def part(image, augment, seed: int = 0, fit="crop", size: int = 16) -> np.ndarray:
    return random_part(np.asarray(image), View(fit), augment, size, np.random.default_rng(seed)).numpy()


@given(
    st.sampled_from(FITS), st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.0, 0.4, 0.9]), st.integers(0, 9)
)
def test_every_picture_has_parts(fit, width, height, scale, seed):
    image = Image.fromarray(noise(height, width, 3))
    view = part(image, Augment(flip=True, scale=scale), seed, fit)
    assert view.shape == (16, 16, 3)
    assert np.array_equal(view, part(image, Augment(flip=True, scale=scale), seed, fit))


@pytest.mark.parametrize("fit", FITS)
def test_without_scale_training_sees_what_evaluation_sees(fit):
    image = Image.fromarray(noise(30, 44, 3))
    assert np.array_equal(part(image, Augment(), fit=fit), View(fit).square(image, 16))
    seen = {part(image, Augment(flip=True), seed, fit).tobytes() for seed in range(20)}
    square = View(fit).square(image, 16)
    assert seen == {square.tobytes(), square[:, ::-1].tobytes()}


def spans(fit: str, width: int, height: int) -> np.ndarray:
    """How much of the width and of the height random parts show, as shares, from ramps of grey."""
    across = np.tile(np.linspace(0, 255, width), (height, 1))
    down = np.tile(np.linspace(0, 255, height)[:, None], (1, width))
    image = Image.fromarray(np.stack([across, down, down], axis=-1).astype(np.uint8))
    views = [part(image, Augment(scale=0.5), seed, fit).astype(float) for seed in range(40)]
    return np.array([[np.ptp(view[..., 0]) / 255, np.ptp(view[..., 1]) / 255] for view in views])


def test_parts_keep_their_shape_and_those_of_squashed_pictures_are_squashed_alike():
    """Of a picture twice as wide, a part as wide as high shows half the share of the width."""
    cropped, squashed = spans("crop", 240, 120), spans("squash", 240, 120)
    assert 0.4 <= np.mean(cropped[:, 0] / cropped[:, 1]) <= 0.75
    assert 0.8 <= np.mean(squashed[:, 0] / squashed[:, 1]) <= 1.2
    assert (squashed.prod(axis=1) >= 0.2).all() and len(np.unique(squashed)) > 30


def test_parts_of_padded_pictures_show_the_bars():
    image = Image.new("RGB", (60, 20), (255, 0, 0))
    shares = [(part(image, Augment(scale=0.2), seed, "pad") == PAD).mean() for seed in range(20)]
    assert 0.3 < np.mean(shares) < 0.8


def test_a_row_that_comes_twice_is_augmented_twice():
    step = Step(np.array([7, 7, 9]), (0, 1, 2))
    assert len(set(keys(step))) == 3 and [key[0] for key in keys(step)] == [7, 7, 9]
    cut = Step(step.rows, step.key, slice(1, 3))
    assert keys(cut) == keys(step)[1:]


@pytest.mark.parametrize(
    "augment, least, most",
    [
        (Augment(shift=0.2), 0.3, 0.95),
        (Augment(rotate=20), 0.3, 0.95),
        (Augment(erase=1.0), 0.4, 0.98),
        (Augment(rand=2), 0.05, 0.99),
    ],
)
def test_declared_changes_are_those_made(augment, least, most):
    """The share of pixels of a frame, thicker on its left, that the changes leave as they were."""
    frame = np.pad(np.zeros((20, 16, 3), np.uint8), ((6, 6), (12, 4), (0, 0)), constant_values=255)
    plain = torch.from_numpy(frame.transpose(2, 0, 1).copy())
    change = further_changes(augment)
    torch.manual_seed(0)
    shares = [(change(plain) == plain).float().mean() for _ in range(20)]
    assert least <= np.mean(shares) <= most


def test_nothing_further_costs_nothing():
    assert further_changes(Augment(flip=True, scale=0.4)) is None
