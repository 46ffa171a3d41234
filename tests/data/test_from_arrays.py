import numpy as np
import pytest
import torch

from edgenas.data import npz
from edgenas.data.from_arrays import from_arrays
from edgenas.errors import DataError, UsageError
from tests.data.writers import labels_of, noise, write_npz

X, Y = noise(60, 12, 12, 3), labels_of(3, 20)


@pytest.mark.parametrize(
    "x, shape",
    [
        (X, (3, 12, 12)),
        (X.transpose(0, 3, 1, 2), (3, 12, 12)),
        (X[..., 0], (1, 12, 12)),
        (X[..., :1], (1, 12, 12)),
        (torch.from_numpy(X), (3, 12, 12)),
    ],
)
@pytest.mark.parametrize("y", [Y, Y.tolist(), torch.from_numpy(Y), Y.astype(np.uint8)])
def test_forms_of_images_and_labels(x, shape, y):
    data = from_arrays(x, y, classes=("ant", "bee", "cow"), validation_share=0.2)
    assert data.name == "arrays" and data.shape == shape and data.classes == ("ant", "bee", "cow")
    assert [len(split) for split in (data.train, data.validation, data.held_out)] == [36, 12, 12]
    row = int(data.train.rows[0])
    assert np.array_equal(data.train.images([0]).ravel(), np.moveaxis(X[row], -1, 0)[: shape[0]].ravel())
    assert int(data.train.labels[0]) == Y[row]


def test_arrays_are_read_as_an_npz_file_of_them_is(tmp_path):
    ours = from_arrays(X, Y, validation_share=0.2, seed=3)
    settings = {"seed": 3, "image_size": None, "validation_share": 0.2, "download": False, "strict": False}
    file = npz.build(root=write_npz(tmp_path, images=X, label=Y), **settings, device="cpu")
    assert (ours.mean, ours.std, ours.augment) == (file.mean, file.std, file.augment)
    for one, other in zip((ours.train, ours.held_out), (file.train, file.held_out), strict=True):
        assert all(
            torch.equal(a, b)
            for left, right in zip(
                one.batches(8, size=12, epoch=0, augment=True),
                other.batches(8, size=12, epoch=0, augment=True),
                strict=True,
            )
            for a, b in zip(left, right, strict=True)
        )


@pytest.mark.parametrize(
    "x, y, reason",
    [
        (X / 255, Y, "arrays: images are float64; store them as uint8"),
        (X[:50], Y, "50 images but 60 labels"),
        (X[:, :, 0, 0], Y, "not clearly NHW"),
        ([[1, 2], [3]], Y, "images are no array"),
        (X, [[0], [1, 2]], "labels are no array"),
        (X, Y[:, None], "labels have shape"),
        (X, Y / 2, "labels are float64; give class numbers"),
        (X, np.array(["cat"] * 60), "labels are <U3; give class numbers"),
        (X, Y + 1, "class 0 has no images"),
        (X, Y * 0, "only one class"),
        (X * 0, Y, "same picture is in two classes"),
    ],
)
def test_unusable_arrays(x, y, reason):
    with pytest.raises(DataError, match=reason):
        from_arrays(x, y)


def test_names_that_no_file_can_hold_are_refused():
    with pytest.raises(DataError, match=r"arrays: the name of class 'caf\\udce9' is not in UTF-8"):
        from_arrays(X, Y, classes=("cat", "caf\udce9", "dog")[: Y.max() + 1])


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(UsageError, match="validation share 0.9"):
        from_arrays(X, Y, validation_share=0.9)
