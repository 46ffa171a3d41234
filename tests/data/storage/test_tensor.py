import numpy as np
import pytest
import torch

from edgenas.data.base import Augment, Step
from edgenas.data.storage.splits import Splits
from edgenas.data.storage.tensor import TensorStore, data_from_pixels, statistics
from edgenas.errors import DataError
from tests.data.writers import noise

BATCH = 64


def augmented(pixels: np.ndarray, augment: Augment, step: int = 0) -> np.ndarray:
    """BATCH augmented copies of one image (C, H, W), as values 0..255."""
    channels, size, _ = pixels.shape
    store = TensorStore(torch.from_numpy(pixels[None]), (0.0,) * channels, (1 / 255,) * channels, augment)
    (x,) = store.stream([Step(np.zeros(BATCH, dtype=np.int64), (0, 0, step))], size)
    return x.numpy()


def shifted(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
    return padded[:, 2 + dy : 2 + dy + image.shape[1], 2 + dx : 2 + dx + image.shape[2]]


@pytest.mark.parametrize("flip", [False, True])
def test_shifts_are_whole_pixels_over_black_and_all_occur(flip):
    image = noise(3, 10, 10)
    variants = {
        shifted(base, dy, dx).tobytes(): (dy, dx, mirrored)
        for mirrored, base in ((False, image), (True, np.ascontiguousarray(image[:, :, ::-1])))
        for dy in range(-2, 3)
        for dx in range(-2, 3)
    }
    results = np.concatenate([augmented(image, Augment(flip=flip, shift=0.2), step) for step in range(8)])
    seen = {variants[result.round().astype(np.uint8).tobytes()] for result in results}
    assert {mirrored for *_, mirrored in seen} == ({False, True} if flip else {False})
    assert len({(dy, dx) for dy, dx, _ in seen}) == 25


def test_no_augmentation_is_the_image_itself():
    image = noise(1, 8, 8)
    np.testing.assert_allclose(augmented(image, Augment()), np.stack([image] * BATCH), atol=1e-3)


def test_rotation_turns_a_disc_into_itself():
    y, x = np.indices((33, 33)) - 16
    disc = (255 * (np.hypot(x, y) < 12)).astype(np.uint8)[None]
    turned = augmented(disc, Augment(rotate=180))
    edge = np.abs(np.hypot(x, y) - 12) < 2
    assert np.abs(turned - disc)[:, 0, ~edge].max() < 1


def test_rotation_stays_rigid_on_oblong_images():
    y, x = np.indices((17, 65)) - np.array([8, 32]).reshape(2, 1, 1)
    disc = (255 * (np.hypot(x, y) < 6)).astype(np.uint8)
    store = TensorStore(torch.from_numpy(disc[None, None]), (0.0,), (1 / 255,), Augment(rotate=90))
    (resized,) = store.stream([Step(np.zeros(BATCH, dtype=np.int64), (0, 0, 0))], 65)
    (plain,) = store.stream([Step(np.zeros(1, dtype=np.int64), None)], 65)
    assert float((resized - plain).abs().mean()) < 3  # a sheared disc differs by 20 and more


@pytest.mark.parametrize("scale", [0.0, 0.3])
def test_scale_changes_the_area_within_its_bounds(scale):
    dot = np.zeros((1, 32, 32), dtype=np.uint8)
    dot[:, 11:21, 11:21] = 255
    sides = np.sqrt(augmented(dot, Augment(scale=scale, rotate=1)).sum(axis=(1, 2, 3)) / 255)
    assert (np.abs(sides / 10 - 1) <= scale + 0.03).all()
    assert (np.ptp(sides) > 3) == (scale > 0)


def test_warp_mirrors_half_of_the_images():
    half = np.zeros((1, 16, 16), dtype=np.uint8)
    half[:, :, :8] = 255
    left = augmented(half, Augment(flip=True, scale=0.01))[:, 0, :, :8].mean(axis=(1, 2)) > 128
    assert 16 < left.sum() < 48


def test_erasing_hits_its_share_of_images_with_one_rectangle():
    white = np.full((1, 20, 20), 255, dtype=np.uint8)
    holes = np.concatenate([augmented(white, Augment(erase=0.3), step) for step in range(6)])[:, 0] == 0
    assert 0.2 < holes.any(axis=(1, 2)).mean() < 0.4
    for hole in holes[holes.any(axis=(1, 2))]:
        height, width = hole.any(axis=1).sum(), hole.any(axis=0).sum()
        assert hole.sum() == height * width
        assert 3 <= height <= 11 and 3 <= width <= 11


def test_statistics_are_those_of_the_rows_alone():
    pixels, rows = noise(5000, 2, 3, 3), np.arange(0, 5000, 2)
    mean, std = statistics(pixels, rows)
    np.testing.assert_allclose(mean, (pixels[rows] / 255).mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(std, (pixels[rows] / 255).std(axis=(0, 2, 3)))


def test_a_constant_channel_is_refused():
    pixels = noise(9, 3, 4, 4)
    pixels[:, 1] = 7
    splits = Splits(*np.arange(9).reshape(3, 3))
    with pytest.raises(DataError, match="channel 1 has one value"):
        data_from_pixels("toys", ("a", "b"), pixels, np.arange(9) % 2, splits, augment=Augment(), device="cpu")
