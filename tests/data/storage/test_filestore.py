import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import folder
from edgenas.data.base import Data, preprocess
from edgenas.data.storage import loader
from edgenas.data.storage.decode import decode
from edgenas.data.storage.normalise import normalised
from edgenas.data.storage.options import PhotoOptions
from edgenas.data.view import FITS
from tests.data.writers import write_folder


def photos(root, **options) -> Data:
    settings = {"seed": 0, "image_size": 16, "validation_share": 0.2, "download": False, "strict": False}
    return folder.build(root=write_folder(root), **settings, device="cpu", photos=PhotoOptions(**options))


def files_of(split) -> list:
    return [split.store.files[row] for row in split.rows]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_nothing(tmp_path, monkeypatch):
    data = photos(tmp_path)

    def epoch() -> list[torch.Tensor]:
        return [x for x, _ in data.train.batches(5, size=12, epoch=1, seed=2, augment=True)]

    alone = epoch()
    monkeypatch.setattr(loader, "WORTH_WORKERS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert all(torch.equal(x, y) for x, y in zip(alone, epoch(), strict=True))


def test_an_image_is_augmented_differently_in_each_epoch(tmp_path):
    train = photos(tmp_path).train
    one = type(train)(train.store, train.rows[:1], train.labels[:1])
    views = [next(one.batches(1, size=16, epoch=epoch, augment=True))[0] for epoch in range(5)]
    assert len({view.numpy().tobytes() for view in views}) == 5


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [16, 9])
def test_evaluation_sees_what_an_app_sees(tmp_path, fit, size):
    data = photos(tmp_path, fit=fit)
    assert data.view.fit == fit
    for split in (data.validation, data.held_out):
        x = torch.cat([x for x, _ in split.batches(4, size=size)])
        squares = [data.view.square(decode(file), size).transpose(2, 0, 1) for file in files_of(split)]
        assert torch.equal(x, preprocess(np.array(squares), size, data.mean, data.std))
        assert torch.equal(split.inputs([2, 0], size), x[[2, 0]])
    images = data.validation.images([1, 0])
    assert images.shape == (2, 3, 16, 16) and images.dtype == np.uint8
    assert np.array_equal(images[0].transpose(1, 2, 0), data.view.square(decode(files_of(data.validation)[1]), 16))


def test_pictures_are_whole(tmp_path):
    data = photos(tmp_path)
    for picture, file in zip(
        data.validation.pictures([0, 3]), np.array(files_of(data.validation))[[0, 3]], strict=True
    ):
        assert picture.file == file.read_bytes() and picture.suffix == file.suffix
        assert np.array_equal(picture.pixels, np.asarray(Image.open(file)))


def test_a_store_travels_without_its_pixels(tmp_path):
    data = photos(tmp_path)
    before = [x for x, _ in data.train.batches(4, size=8, epoch=0, augment=True)]
    data.train.inputs([0], 8)
    content = pickle.dumps(data)
    assert len(content) < 20_000
    after = [x for x, _ in pickle.loads(content).train.batches(4, size=8, epoch=0, augment=True)]
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


def test_another_normalisation_reads_the_same_cache(tmp_path):
    data = photos(tmp_path)
    other = normalised(data, (0.5,) * 3, (0.5,) * 3)
    assert other.view == data.view and other.train.store.cache is data.train.store.cache
    x, y = (each.validation.inputs([0], 16) for each in (data, other))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (data.mean, data.std))
    torch.testing.assert_close(x * std + mean, y * 0.5 + 0.5)


def test_who_asks_for_one_batch_waits_for_no_more(tmp_path):
    data = photos(tmp_path)
    batches = data.train.batches(2, size=8)
    for some in (2, len(data.train)):
        next(batches)
        assert (data.train.store.squares._places(8) >= 0).sum() == some
    assert sum(len(y) for _, y in batches) == len(data.train) - 4
