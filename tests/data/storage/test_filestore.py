import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import folder
from edgenas.data.base import Augment, Data
from edgenas.data.storage import filestore
from tests.data.writers import write_folder


def photos(root) -> Data:
    settings = {"seed": 0, "image_size": 16, "validation_share": 0.2, "download": False, "strict": False}
    return folder.build(root=write_folder(root), **settings, device="cpu")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_nothing(tmp_path, monkeypatch):
    data = photos(tmp_path)

    def epoch() -> list[torch.Tensor]:
        return [x for x, _ in data.train.batches(5, size=12, epoch=1, seed=2, augment=True)]

    alone = epoch()
    monkeypatch.setattr(filestore, "_WORTH_WORKERS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert all(torch.equal(x, y) for x, y in zip(alone, epoch(), strict=True))


def test_an_image_is_augmented_differently_in_each_epoch(tmp_path):
    store = photos(tmp_path).train.store
    seeds = {filestore._keys(filestore.Step(np.array([3, 4]), (0, epoch, 0)))[0] for epoch in range(5)}
    assert len(seeds) == 5
    views = [filestore._Images(store.files, 16, filestore._random_view(store.augment, 16))[key] for key in seeds]
    assert len({view.numpy().tobytes() for view in views}) == 5


@pytest.mark.parametrize(
    "augment, least, most",
    [
        (Augment(), 1.0, 1.0),
        (Augment(flip=True), 0.6, 0.95),
        (Augment(scale=0.4), 0.3, 0.95),
        (Augment(shift=0.2), 0.3, 0.95),
        (Augment(rotate=20), 0.3, 0.95),
        (Augment(erase=1.0), 0.4, 0.95),
    ],
)
def test_declared_changes_are_those_made(augment, least, most):
    """The share of pixels of a frame, thicker on its left, that a random view leaves as they were."""
    image = Image.fromarray(np.pad(np.zeros((20, 16, 3), np.uint8), ((6, 6), (12, 4), (0, 0)), constant_values=255))
    view = filestore._random_view(augment, 32)
    plain = np.asarray(image).transpose(2, 0, 1)
    torch.manual_seed(0)
    shares = [(view(image).numpy() == plain).mean() for _ in range(20)]
    assert least <= np.mean(shares) <= most
