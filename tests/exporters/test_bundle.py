import hashlib
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgenas.errors import EnvironmentFault
from edgenas.exporters.bundle import MANIFEST, verify_bundle
from edgenas.exporters.golden_pictures import PICTURES, drawn
from edgenas.exporters.input_steps import STEPS, read_steps
from edgenas.exporters.metadata import Measured

FILES = {"model.onnx", "model.int8.onnx", "manifest.json", "golden.npz", "labels.txt", "MODEL_CARD.md"}


def manifest_of(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((folder / MANIFEST).read_text("utf-8"), parse_constant=refuse)


def rewrite_manifest(folder, **changes):
    (folder / MANIFEST).write_text(json.dumps(manifest_of(folder) | changes))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_bundle_is_whole_and_verifies(write, tmp_path):
    folder = write(tmp_path / "a run" / "bündle")
    assert {path.name for path in folder.iterdir()} == FILES
    assert verify_bundle(folder) == []
    assert {name: sha256(folder / name) for name in FILES - {MANIFEST}} == manifest_of(folder)["sha256"]


def test_bundle_without_int8(write, tmp_path, metadata):
    folder = write(tmp_path)  # leaves an int8 model, which the second bundle must not keep
    write(folder, int8=None, metadata=replace(metadata, int8=None))
    assert {path.name for path in folder.iterdir()} == FILES - {"model.int8.onnx"}
    assert list(manifest_of(folder)["models"]) == ["model.onnx"]
    assert verify_bundle(folder) == []


def test_same_bytes_twice(write, tmp_path):
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in FILES)


def test_manifest_says_all_that_an_app_needs(write, tmp_path):
    manifest = manifest_of(write(tmp_path))
    assert manifest["schema"] == 1
    assert manifest["default"] == {"file": "model.onnx", "reason": "int8 is slower here"}
    image = manifest["input"]
    assert (image["name"], image["shape"], image["layout"]) == ("input", [1, 3, 16, 16], "NCHW")
    assert image["normalisation"] == {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.25]}
    assert image["resize"] == {"height": 16, "width": 16, "interpolation": "bilinear", "antialias": True}
    assert [step["do"] for step in image[STEPS]][:4] == ["upright", "depth", "flatten", "colours"]
    assert (manifest["output"]["name"], manifest["output"]["shape"]) == ("logits", [1, 5])
    assert manifest["labels"] == ["cat", "dog", "</td><script>", "two\nlines", "Käse"]
    assert set(manifest["versions"]) >= {"edgenas", "torch", "onnx", "onnxruntime"}
    assert (manifest["measured_on"]["budget_ms"], manifest["measured_on"]["threads"]) == (2.0, 1)


def test_golden_pictures_stand_there_at_every_stage(write, tmp_path, metadata):
    folder = write(tmp_path, pictures=drawn(65_535))
    manifest = manifest_of(folder)
    assert manifest["pictures"]["number"] == 3 and read_steps(manifest["input"]) == metadata.input
    with np.load(folder / PICTURES, allow_pickle=False) as pictures:
        assert set(pictures) == {f"{stage}_{i}" for stage in ("file", "pixels") for i in range(3)} | {
            *("input", "output", "int8_output")
        }
    assert verify_bundle(folder) == []
    write(folder)  # without pictures, of which none must stay
    assert not (folder / PICTURES).exists() and "pictures" not in manifest_of(folder)


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"pixels_1": np.zeros((96, 60, 3), np.uint8)}, "pictures.npz: file 1 decodes"),
        ({"input": np.zeros((3, 3, 16, 16), np.float32)}, "pictures.npz: pixels 0 become an input"),
        ({"output": np.full((3, 5), 9, np.float32)}, "model.onnx: "),
    ],
)
def test_verify_names_the_stage_that_differs(write, tmp_path, changes, problem):
    folder = write(tmp_path, pictures=drawn(65_535))
    with np.load(folder / PICTURES) as pictures:
        changed = dict(pictures) | changes
    np.savez(folder / PICTURES, **changed)
    rewrite_manifest(folder, sha256=manifest_of(folder)["sha256"] | {PICTURES: sha256(folder / PICTURES)})
    assert verify_bundle(folder)[0].startswith(problem)


def test_what_no_device_has_measured_is_called_so(write, metadata, tmp_path):
    unknown = Measured(None, None, None, 0.9)
    folder = write(tmp_path, metadata=replace(metadata, fp32=unknown, int8=unknown))
    manifest, card = manifest_of(folder), (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "measured_on" not in manifest and manifest["not_measured_on"]["device"] == "test device"
    assert manifest["predicted_ms"] == [1.2, 1.1, 1.3] and manifest["models"]["model.onnx"]["ms"] is None
    assert "| `model.onnx` | not measured | unknown | 90.00% ± 1.50% |" in card
    assert "1.200 ms (1.100 to 1.300)" in card and verify_bundle(folder) == []


def test_numbers_that_json_lacks_are_null(write, tmp_path):
    manifest = manifest_of(write(tmp_path))
    assert manifest["models"]["model.int8.onnx"]["repeat_error"] is None
    assert manifest["network"] == {"space": "mbconv", "macs": 12345, "peak_bytes": None}


def test_labels_keep_one_line_each(write, tmp_path):
    lines = (write(tmp_path) / "labels.txt").read_text("utf-8").splitlines()
    assert lines == ["cat", "dog", "</td><script>", "two lines", "Käse"]


def test_golden_file_needs_no_pickle(write, tmp_path, images):
    with np.load(write(tmp_path) / "golden.npz", allow_pickle=False) as golden:
        assert set(golden) == {"images", "input", "output", "int8_output"}
        assert golden["images"].dtype == np.uint8
        np.testing.assert_array_equal(golden["input"], images)


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_verify_finds_a_flipped_bit_in_any_file(write, tmp_path, name):
    path = write(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (problem,) = verify_bundle(tmp_path)
    assert problem.startswith(f"{name}: altered")


@pytest.mark.parametrize("name", sorted(FILES))
def test_verify_finds_a_missing_file(write, tmp_path, name):
    (write(tmp_path) / name).unlink()
    (problem,) = verify_bundle(tmp_path)
    assert name in problem


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_golden_outputs_find_another_model_even_with_its_hash(write, tmp_path, name):
    folder = write(tmp_path)
    proto = onnx.load(folder / name)
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name.startswith("classifier.bias"))
    bias.CopyFrom(numpy_helper.from_array(np.flip(numpy_helper.to_array(bias) * 4), bias.name))
    onnx.save(proto, folder / name)
    rewrite_manifest(folder, sha256=manifest_of(folder)["sha256"] | {name: sha256(folder / name)})
    (problem,) = verify_bundle(folder)
    assert problem.startswith(f"{name}: ") and "golden output" in problem


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_verify_survives_models_that_do_not_load(write, tmp_path, content):
    folder = write(tmp_path)
    (folder / "model.onnx").write_bytes(content)
    rewrite_manifest(folder, sha256=manifest_of(folder)["sha256"] | {"model.onnx": sha256(folder / "model.onnx")})
    (problem,) = verify_bundle(folder)
    assert problem.startswith("model.onnx: ")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"sha256": 3}', '{"sha256": {}, "models": []}', "\xff"])
def test_verify_survives_any_manifest(write, tmp_path, text):
    (write(tmp_path) / MANIFEST).write_bytes(text.encode("latin-1"))
    (problem,) = verify_bundle(tmp_path)
    assert problem.startswith("manifest.json: ")


def test_verify_needs_a_hash_for_every_file_it_loads(write, tmp_path):
    rewrite_manifest(write(tmp_path), sha256={})
    assert len(verify_bundle(tmp_path)) == 3


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/model.onnx"])
def test_verify_stays_inside_the_bundle(write, tmp_path, name):
    folder = write(tmp_path / "bundle")
    rewrite_manifest(folder, sha256=manifest_of(folder)["sha256"] | {name: "0"})
    assert verify_bundle(folder) == [f"{name!r}: not a file of the bundle"]


def test_a_crash_leaves_no_manifest_and_no_half_file(write, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_an_environment_fault(write, tmp_path):
    (tmp_path / "bundle").write_text("")
    with pytest.raises(EnvironmentFault, match="bundle"):
        write(tmp_path / "bundle")
