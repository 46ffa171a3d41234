"""The example in deploy/ runs a bundle in a Python that has neither edgenas nor torch."""

import io
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgenas.data.view import FITS, View
from edgenas.exporters.golden_pictures import ORIENTATION, PICTURES, TURNED, drawn, stages
from edgenas.exporters.input_steps import InputSteps
from edgenas.exporters.session import outputs
from edgenas.workflows.model import Model

CLASSIFY = Path(__file__).parents[2] / "deploy" / "classify.py"
ISOLATED = """
import os, runpy, sys
for name in ("edgenas", "torch", "torchvision", "onnx", "scipy"{without}):
    sys.modules[name] = None  # any import of it fails
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""
SCRIPT = runpy.run_path(str(CLASSIFY))


def classify(*arguments, pillow=True, runtime=True) -> subprocess.CompletedProcess:
    code = ISOLATED.format(without=("" if pillow else ', "PIL"') + ("" if runtime else ', "onnxruntime"'))
    command = [sys.executable, "-I", "-c", code, str(CLASSIFY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


def printed(labels, logits) -> str:
    return "".join(f"{labels[best]}\n" for best in logits.argmax(1))


def by_script(pixels, steps: InputSteps) -> np.ndarray:
    listed = json.loads(json.dumps(steps.to_json()))
    first = [step["do"] for step in listed].index("colours")
    return SCRIPT["tensor"](pixels, listed[first:])


@pytest.mark.parametrize("default, array", [("fp32", "output"), ("int8", "int8_output")])
def test_golden_inputs_give_their_labels(write, tmp_path, metadata, default, array):
    folder = write(tmp_path / "the bundle", labels=list("abcde"), metadata=replace(metadata, default=default))
    found = classify(folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == printed("abcde", np.load(folder / "golden.npz")[array])


@pytest.mark.parametrize("fit", FITS)
def test_golden_pictures_are_checked_at_every_stage(write, tmp_path, metadata, fit):
    steps = replace(metadata.input, view=View(fit))
    folder = write(tmp_path, pictures=drawn(65_535), metadata=replace(metadata, input=steps))
    found = classify(folder)
    assert (found.returncode, found.stderr) == (0, "")


def test_without_pillow_files_are_not_checked_and_that_is_said(write, tmp_path):
    found = classify(write(tmp_path, pictures=drawn(65_535)), pillow=False)
    assert found.returncode == 0 and "Pillow is not installed" in found.stderr


@pytest.mark.parametrize(
    "changes, stage",
    [
        ({"pixels_0": np.zeros((112, 64, 3), np.uint8)}, "file to pixels: "),
        ({"pixels_0": np.zeros((64, 112, 3), np.uint8)}, "file to pixels: inf"),
        ({"input": np.zeros((3, 3, 16, 16), np.float32)}, "pixels to input: "),
        ({"output": np.full((3, 5), 9, np.float32)}, "input to output: "),
    ],
)
def test_the_stage_that_differs_is_named(write, tmp_path, changes, stage):
    folder = write(tmp_path, pictures=drawn(65_535))
    with np.load(folder / PICTURES) as pictures:
        changed = dict(pictures) | changes
    np.savez(folder / PICTURES, **changed)
    found = classify(folder)
    assert found.returncode == 1 and found.stderr.startswith(f"classify.py: {stage}")


def test_a_model_that_computes_otherwise_is_named(write, tmp_path, images):
    found = classify(write(tmp_path, golden_outputs=np.zeros((len(images), 5), np.float32)))
    assert found.returncode == 1
    assert "model.onnx" in found.stderr and "these are not the golden outputs" in found.stderr


def test_files_and_their_pixels_are_given_the_same_shares(write, tmp_path, metadata):
    """One picture is turned, one transparent, one deep; none is square."""
    folder = write(tmp_path / "bundle", labels=list("abcde"))
    files = [tmp_path / name for name in ("turned.jpg", "transparent.png", "deep.png")]
    pixels = [metadata.input.decoded(file) for file in drawn(65_535)]
    for path, file, decoded in zip(files, drawn(65_535), pixels, strict=True):
        path.write_bytes(file)
        np.save(path.with_suffix(".npy"), decoded)
    arrays = [path.with_suffix(".npy") for path in files]
    from_files, from_pixels = classify(folder, *files), classify(folder, *arrays, pillow=False)
    assert (from_files.returncode, from_pixels.returncode) == (0, 0), from_files.stderr + from_pixels.stderr
    assert [line.split(": ")[1] for line in from_files.stdout.splitlines()] == [
        line.split(": ")[1] for line in from_pixels.stdout.splitlines()
    ]
    x = np.stack([metadata.input.tensor(decoded) for decoded in pixels])
    logits = outputs((folder / "model.onnx").read_bytes(), x)
    assert [line.split(": ")[1][0] for line in from_files.stdout.splitlines()] == ["abcde"[i] for i in logits.argmax(1)]
    assert all(line.count("%") == 5 for line in from_files.stdout.splitlines())


@pytest.mark.parametrize("shape, rows", [((6, 3, 20, 16), 6), ((2, 20, 16, 3), 2), ((3, 20, 16), 1), ((20, 16), 1)])
def test_arrays_hold_one_picture_or_several(write, tmp_path, shape, rows):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    found = classify(write(tmp_path / "bundle"), tmp_path / "images.npy", pillow=False)
    assert (found.returncode, len(found.stdout.splitlines())) == (0, rows), found.stderr


@given(
    *(st.integers(1, 90), st.integers(1, 90), st.integers(4, 40)),
    *(st.sampled_from(FITS), st.sampled_from((1, 3)), st.sampled_from((1, 3))),
)
def test_numpy_alone_does_what_pillow_does(height, width, side, fit, channels, takes):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
    steps = InputSteps((takes, side, side), (0.4,) * takes, (1 / 255,) * takes, View(fit))
    difference = np.abs(by_script(pixels, steps) - steps.tensor(pixels)).max()
    # Conversion to grey rounds otherwise now and then; the filter is that of Pillow, bit by bit.
    assert difference <= (1.01 if channels > takes else 0.01)


@given(st.integers(1, 60), st.integers(4, 40))
def test_images_of_arrays_are_resized_in_floats(before, side):
    pixels = np.random.default_rng(before).integers(0, 256, (before, before, 3), dtype=np.uint8)
    steps = InputSteps((3, side, side), (0.4,) * 3, (1 / 255,) * 3, View("squash"), rounds=False)
    assert np.abs(by_script(pixels, steps) - steps.tensor(pixels)).max() <= 0.01


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1"])
def test_files_of_every_mode_decode_as_in_training(mode):
    image = Image.open(io.BytesIO(drawn(65_535)[1])).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    steps = InputSteps((3, 8, 8), (0.5,) * 3, (0.5,) * 3)
    buffer.seek(0)
    assert (SCRIPT["decoded"](buffer, steps.to_json()[:3]) == steps.decoded(buffer.getvalue())).all()


def test_a_file_that_is_turned_and_transparent_decodes_as_in_training():
    image, exif, buffer = Image.open(io.BytesIO(drawn(65_535)[1])), Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = TURNED
    image.save(buffer, "PNG", exif=exif)
    steps = InputSteps((3, 8, 8), (0.5,) * 3, (0.5,) * 3)
    found = SCRIPT["decoded"](io.BytesIO(buffer.getvalue()), steps.to_json()[:3])
    assert found.shape == (*image.size, 3) and (found == steps.decoded(buffer.getvalue())).all()


@pytest.mark.parametrize("index", range(3))
def test_drawn_files_decode_as_in_training(index):
    steps = InputSteps((3, 8, 8), (0.5,) * 3, (0.5,) * 3)
    file = drawn(65_535)[index]
    found = SCRIPT["decoded"](io.BytesIO(file), steps.to_json()[:3])
    assert (found == stages([file], steps)["pixels_0"]).all()


@pytest.mark.parametrize("fit", FITS)
def test_the_model_of_a_result_sees_what_the_bundle_holds(write, tmp_path, metadata, fit):
    """From their files, Pillow's images and pixels, of a turned, a transparent and a deep picture."""
    steps = replace(metadata.input, view=View(fit))
    bundle = write(tmp_path / "bundle", pictures=drawn(65_535), metadata=replace(metadata, input=steps))
    model = Model(bundle)
    with np.load(bundle / PICTURES) as golden:
        exponents = np.exp(golden["output"] - golden["output"].max(axis=1, keepdims=True))
        expected = exponents / exponents.sum(axis=1, keepdims=True)
        pixels = [golden[f"pixels_{i}"] for i in range(3)]
        files = [tmp_path / str(i) for i in range(3)]
        for i, file in enumerate(files):
            file.write_bytes(golden[f"file_{i}"].tobytes())
    for images in (files, pixels, list(map(Image.open, files)), list(map(Image.fromarray, pixels))):
        assert np.abs(model(images).probabilities - expected).max() < 1e-3


def refused(code, *arguments, **how) -> str:
    """The one line that a call ends with."""
    found = classify(*arguments, **how)
    assert found.returncode == code and "Traceback" not in found.stderr, found.stderr
    (line,) = found.stderr.splitlines()
    return line


def test_without_arguments_it_says_how_it_is_called():
    assert refused(2) == "usage: python classify.py BUNDLE [PICTURE ...]"
    assert "BUNDLE [PICTURE ...]" in classify("--help").stdout


def test_what_is_no_bundle_is_named(tmp_path):
    assert "holds no manifest.json; name the folder of a finished run" in refused(2, tmp_path)
    assert "is no folder" in refused(2, tmp_path / "absent")


@pytest.mark.parametrize(
    "name, content",
    [
        ("manifest.json", b"{"),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"default": {"file": "model.onnx"}}'),
        ("model.onnx", b"torn"),
        ("model.onnx", None),
        ("golden.npz", b"torn"),
        ("golden.npz", None),
        (PICTURES, b"torn"),
    ],
)
def test_a_damaged_bundle_is_named(write, tmp_path, name, content):
    folder = write(tmp_path, pictures=drawn(65_535))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    assert "damaged; copy the bundle again" in refused(3, folder)


@pytest.mark.parametrize(
    "name, content, code, says",
    [
        ("notes.txt", b"no picture", 3, "no picture that Pillow reads"),
        ("torn.jpg", drawn(65_535)[0][:300], 3, "no picture that Pillow reads"),
        ("empty.png", b"", 3, "no picture that Pillow reads"),
        ("torn.npy", b"torn", 3, "no array of numpy"),
        ("absent.jpg", None, 2, "no such file"),
        (".", None, 2, "a folder, no picture"),
    ],
)
def test_what_is_no_picture_is_named_and_the_others_are_classified(write, tmp_path, name, content, code, says):
    folder, sound = write(tmp_path / "bundle"), tmp_path / "sound.png"
    sound.write_bytes(drawn(65_535)[1])
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert says in refused(code, folder, tmp_path / name)
    found = classify(folder, tmp_path / name, sound)
    assert found.returncode == code and found.stdout.startswith(f"{sound}: ")


@pytest.mark.parametrize(
    "array", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 5), np.uint8), np.zeros(8, np.uint8)]
)
def test_arrays_that_are_no_pixels_are_named(write, tmp_path, array):
    np.save(tmp_path / "array.npy", array)
    assert "not pixels as uint8 (H, W)" in refused(3, write(tmp_path / "bundle"), tmp_path / "array.npy")


def test_pictures_without_pillow_name_what_to_install(write, tmp_path):
    (tmp_path / "sound.png").write_bytes(drawn(65_535)[1])
    assert "PIL is missing; pip install" in refused(4, write(tmp_path / "bundle"), tmp_path / "sound.png", pillow=False)


def test_without_the_runtime_it_names_what_to_install(tmp_path):
    assert refused(4, tmp_path, runtime=False) == (
        "classify.py: onnxruntime is missing; pip install numpy onnxruntime pillow"
    )
