"""A delivered model: what it says of images, without torch, is what the network said in training."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from edgenas.errors import CheckpointError, DataError
from edgenas.workflows.model import Model, _several


@pytest.fixture(scope="module")
def model(searched) -> Model:
    return Model(searched)


@pytest.fixture(scope="module")
def golden(searched):
    """Images of the bundle, and what the trained network gave for them."""
    with np.load(searched / "golden.npz") as arrays:
        return dict(arrays)


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_it_agrees_with_the_golden_outputs(model, golden, searched):
    found = model(golden["images"])
    assert np.abs(found.probabilities - softmax(golden["output"])).max() < 1e-3
    assert np.allclose(found.probabilities.sum(axis=1), 1) and found.probabilities.dtype == np.float32
    assert found.labels == tuple(model.classes[i] for i in golden["output"].argmax(axis=1))
    assert list(model.classes) == json.loads((searched / "manifest.json").read_text())["labels"]


def test_without_torch(searched, golden, tmp_path):
    np.save(tmp_path / "images.npy", golden["images"])
    script = f"""
import sys
from pathlib import Path
import numpy as np
from edgenas import Result
result = Result.from_json(Path({str(searched / "result.json")!r}).read_text()).at(Path({str(searched)!r}))
print(*result.model(np.load({str(tmp_path / "images.npy")!r})).labels)
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "torchvision", "onnx", "fvcore")]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(golden["images"])


def test_images_in_every_form_give_the_same(model, golden, tmp_path):
    image = golden["images"][0, 0]
    Image.fromarray(image).save(tmp_path / "one.png")
    forms = [
        *(image, image[None], image[..., None], Image.fromarray(image), np.stack([image] * 3, axis=-1)),
        *(tmp_path / "one.png", str(tmp_path / "one.png")),
    ]
    expected = model(golden["images"][:1]).probabilities
    for form in forms:
        assert np.allclose(model(form).probabilities, expected, atol=1e-6)
    assert np.allclose(model(forms).probabilities, np.repeat(expected, len(forms), axis=0), atol=1e-6)


@pytest.mark.parametrize(
    "shape, channels, images",
    [
        ((8, 8), 1, 1),
        ((8, 8, 3), 1, 1),
        ((1, 8, 8), 1, 1),
        ((3, 8, 8), 3, 1),
        ((3, 8, 8), 1, 3),  # grey images for a model of grey images
        ((5, 8, 8), 3, 5),
        ((2, 8, 8, 3), 3, 2),
        ((0, 8, 8), 1, 0),
    ],
)
def test_how_many_images_an_array_holds(shape, channels, images):
    assert len(_several(np.zeros(shape, dtype=np.uint8), channels)) == images


def test_no_images_have_no_labels(model):
    found = model([])
    assert found.labels == () and found.probabilities.shape == (0, len(model.classes))


@pytest.mark.parametrize(
    "wrong, says",
    [
        (np.zeros((8, 8)), "float64"),
        (np.zeros((2, 8, 8, 4), dtype=np.uint8), "4 channels|8 channels"),
        (b"bytes", "no image"),
        (7, "int is no image"),
        (Image.new("F", (8, 8)), "fractions"),
        ("/none/such.png", "/none/such.png"),
    ],
)
def test_what_is_no_image_is_refused(model, wrong, says):
    with pytest.raises(DataError, match=says):
        model(wrong)


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no bundle"):
        Model(tmp_path)
