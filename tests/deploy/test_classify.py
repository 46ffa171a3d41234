"""The example in deploy/ runs a bundle in a Python that has neither edgenas nor torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

CLASSIFY = Path(__file__).parents[2] / "deploy" / "classify.py"
ISOLATED = """
import os, runpy, sys
for name in ("edgenas", "torch", "torchvision", "onnx", "scipy"):
    sys.modules[name] = None  # any import of it fails
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""


def classify(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-I", "-c", ISOLATED, str(CLASSIFY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


def printed(labels, logits) -> str:
    return "".join(f"{labels[best]}\n" for best in logits.argmax(1))


@pytest.mark.parametrize("default, array", [("fp32", "output"), ("int8", "int8_output")])
def test_golden_inputs_give_their_labels(write, tmp_path, metadata, default, array):
    folder = write(tmp_path / "the bundle", labels=list("abcde"), metadata=replace(metadata, default=default))
    found = classify(folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == printed("abcde", np.load(folder / "golden.npz")[array])


def test_images_are_normalised_as_the_manifest_says(write, tmp_path, metadata):
    from edgenas.exporters.session import outputs

    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    mean, std = (np.float32(values)[:, None, None] for values in (metadata.mean, metadata.std))
    folder = write(tmp_path / "bundle", labels=list("abcde"))
    expected = outputs((folder / "model.onnx").read_bytes(), ((pixels / np.float32(255) - mean) / std))
    found = classify(folder, tmp_path / "images.npy")
    assert (found.returncode, found.stdout) == (0, printed("abcde", expected))


def test_a_model_that_computes_otherwise_is_named(write, tmp_path, images):
    found = classify(write(tmp_path, golden_outputs=np.zeros((len(images), 5), np.float32)))
    assert found.returncode == 1
    assert "model.onnx: these are not the golden outputs" in found.stderr
