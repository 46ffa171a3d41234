"""How the pictures of a data set become the input of its bundle, and which of them lie in it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import folder
from edgenas.data.base import preprocess
from edgenas.data.from_arrays import from_arrays
from edgenas.data.view import FITS, View
from edgenas.errors import ExportError
from edgenas.exporters.bundle import verify_bundle, write_bundle
from edgenas.nn.network import Network
from edgenas.workflows.stages import bundle as module
from edgenas.workflows.stages.bundle import OWN_PICTURES, golden_files, input_steps, levels
from tests._searched import search
from tests.workflows._tasks import ARCHS, SPACE, images


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 24 pictures of many shapes, and a data set of it at 16 pixels."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(24):
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        height, width = rng.integers(20, 60, 2)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    settings = {"seed": 0, "validation_share": 0.5, "download": False, "strict": False, "device": "cpu"}
    return folder.build(root=root, image_size=16, **settings)


def arrays(height, width):
    x = np.random.default_rng(0).integers(0, 256, (40, height, width, 3), dtype=np.uint8)
    return from_arrays(x, np.arange(40) % 2)


@pytest.mark.parametrize("fit", FITS)
def test_files_become_the_input_as_the_data_set_sees_them(photos, fit):
    steps = input_steps(replace(photos, view=View(fit, 4095)), (3, 16, 16))
    assert steps.view == View(fit, 4095) and steps.rounds


@pytest.mark.parametrize("shape, fit", [((20, 20), "crop"), ((20, 30), "squash")])
def test_arrays_become_the_input_as_preprocess_resizes_them(shape, fit):
    data = arrays(*shape)
    steps = input_steps(data, (3, 12, 12))
    assert steps.view.fit == fit and not steps.rounds
    seen = data.validation.inputs(np.arange(3), 12).numpy()
    for picture, expected in zip(data.validation.pictures(np.arange(3)), seen, strict=True):
        assert np.abs(steps.tensor(picture.pixels) - expected).max() < 1e-3


def test_evaluation_sees_what_the_bundle_describes(photos):
    steps = input_steps(photos, (3, 16, 16))
    seen = photos.validation.inputs(np.arange(4), 16).numpy()
    levels = 255 * np.reshape(photos.std, (3, 1, 1))
    for picture, expected in zip(photos.validation.pictures(np.arange(4)), seen, strict=True):
        assert (np.abs(steps.tensor(picture.pixels) - expected) * levels).max() <= 1.01


def test_golden_images_are_the_squares_of_the_inputs(photos):
    seen = photos.validation.inputs(np.arange(4), 16).numpy()
    squares = levels(seen, input_steps(photos, (3, 16, 16)))
    assert (preprocess(squares, 16, photos.mean, photos.std).numpy() == seen).all()


def test_few_of_the_users_pictures_lie_in_the_bundle(photos):
    steps = input_steps(photos, (3, 16, 16))
    files = golden_files(photos, steps)
    assert len(files) == 3 + OWN_PICTURES
    originals = [picture.file for picture in photos.validation.pictures(np.arange(len(photos.validation)))]
    assert not set(files) & set(originals)


def test_a_bundle_is_checked_before_it_is_delivered(searched, tmp_path, monkeypatch):
    run = shutil.copytree(searched, tmp_path / "run")

    def write(folder, **content):
        write_bundle(folder, **content)
        model = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(model[:-1] + bytes([model[-1] ^ 1]))

    with monkeypatch.context() as patch, pytest.raises(ExportError, match=r"model\.onnx: altered"):
        patch.setattr(module, "write_bundle", write)
        search(run, resume=True)
    search(run, resume=True)
    assert verify_bundle(run) == []


def test_what_is_no_picture_has_none():
    network = Network(SPACE.graph(ARCHS[0]), torch.Generator().manual_seed(0))
    steps = replace(input_steps(images(), network.graph.input.shape), shape=(2, 8, 8))
    assert golden_files(images(), steps) == []
