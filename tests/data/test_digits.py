import numpy as np
import pytest

from edgenas.data import digits


@pytest.fixture(scope="module")
def data():
    return digits.build(
        root=None, seed=0, image_size=None, validation_share=0.1, download=False, strict=False, device="cpu"
    )


def test_sizes(data):
    assert data.shape == (1, 32, 32)
    assert (len(data.train), len(data.validation), len(data.held_out)) == pytest.approx((1258, 180, 360), abs=5)
    assert data.train.images(range(50)).max() == 255


def test_images_and_labels_belong_together(data):
    """The nearest class mean is right for most unseen digits."""
    images = data.train.images(range(len(data.train))).reshape(len(data.train), -1).astype(float)
    labels = data.train.labels.numpy()
    means = np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
    unseen = data.validation.images(range(len(data.validation))).reshape(len(data.validation), -1)
    nearest = ((unseen[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == data.validation.labels.numpy()).mean() > 0.8


def test_digits_are_not_mirrored(data):
    assert not data.augment.flip
