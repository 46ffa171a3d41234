import logging
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgenas.errors import ExportError
from edgenas.exporters.quantize import collapse, quantize, signal_to_noise_db
from edgenas.exporters.session import outputs


def test_int8_runs_and_stays_close(model, int8, images):
    expected, found = outputs(model, images), outputs(int8, images)
    assert found.shape == expected.shape
    assert 20 < signal_to_noise_db(expected, found) < 60
    assert collapse(expected, found) is None


def test_int8_keeps_opset_and_ir_and_nothing_of_its_making(int8):
    proto = onnx.load_from_string(int8)
    onnx.checker.check_model(proto, full_check=True)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 18)]
    assert proto.ir_version == 8
    assert not proto.metadata_props and not proto.producer_name and not proto.doc_string
    assert (proto.graph.input[0].name, proto.graph.output[0].name) == ("input", "logits")


@pytest.mark.parametrize("reduce_range, largest", [(True, 64), (False, 127)])
def test_weights_are_signed_per_channel_and_in_range(model, images, reduce_range, largest):
    proto = onnx.load_from_string(quantize(model, [images[:1]], reduce_range=reduce_range))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    weights = [array for array in arrays.values() if array.dtype == np.int8 and array.ndim == 4]
    assert len(weights) == 6  # stem, depthwise, project, head, and the gate's two
    assert all(np.abs(w.reshape(len(w), -1).astype(int)).max(1).min() >= largest - 1 for w in weights)
    assert max(np.abs(w.astype(int)).max() for w in weights) <= largest
    quantisers = [node for node in proto.graph.node if node.op_type == "QuantizeLinear"]
    assert quantisers and all(arrays[node.input[2]].dtype == np.uint8 for node in quantisers)


def test_calibration_images_set_the_ranges(model, images):
    small, large = (quantize(model, [images[:1] * scale], reduce_range=True) for scale in (1.0, 8.0))
    assert small != large
    assert signal_to_noise_db(outputs(model, images), outputs(small, images)) > signal_to_noise_db(
        outputs(model, images), outputs(large, images)
    )


def test_same_bytes_in_every_process(model, int8, tmp_path):
    (tmp_path / "model.onnx").write_bytes(model)
    code = """
import sys
from pathlib import Path
import numpy as np
from edgenas.exporters.quantize import quantize
images = np.random.default_rng(1).standard_normal((24, 3, 16, 16), np.float32)
model = Path(sys.argv[1]).read_bytes()
sys.stdout.buffer.write(quantize(model, (image[None] for image in images), reduce_range=True))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "model.onnx")]
    for seed in ("1", "2"):
        found = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert found.stdout == int8
        assert not found.stderr


def test_nothing_is_left_behind_or_leaked(model, images, tmp_path, monkeypatch, caplog):
    scratch, here = tmp_path / "scratch folder", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(here)
    with caplog.at_level(logging.INFO):
        data = quantize(model, [images[:1]], reduce_range=True)
    assert not list(scratch.iterdir()) and not list(here.iterdir())
    assert b"scratch" not in data
    assert not caplog.records


def test_no_images_and_no_model_are_errors(model, images):
    with pytest.raises(ExportError, match="int8 quantisation failed"):
        quantize(model, [], reduce_range=True)
    with pytest.raises(ExportError, match="int8 quantisation failed"):
        quantize(b"garbage", [images[:1]], reduce_range=True)


@pytest.mark.parametrize("noise, ratio_db", [(1.0, 0), (0.1, 20), (0.01, 40)])
def test_signal_to_noise(noise, ratio_db):
    reference = np.float32([[1, -1], [-1, 1]])
    assert signal_to_noise_db(reference, reference * (1 + noise)) == pytest.approx(ratio_db, abs=1e-3)
    assert signal_to_noise_db(1000 * reference, 1000 * reference * (1 + noise)) == pytest.approx(ratio_db, abs=1e-3)


REFERENCE = np.random.default_rng(0).standard_normal((20, 5))


@pytest.mark.parametrize(
    "outputs, reason",
    [
        (REFERENCE, None),
        (REFERENCE * 1.05, None),  # 26 dB
        (REFERENCE * 1.2, "14.0 dB"),
        (np.tile(REFERENCE[:1], (20, 1)), "same output"),
        (REFERENCE * np.nan, "nan dB"),
        (-REFERENCE, "-6.0 dB"),
    ],
    ids=["equal", "close", "noisy", "constant", "nan", "inverted"],
)
def test_collapse(outputs, reason):
    found = collapse(REFERENCE, outputs)
    assert found is None if reason is None else reason in found
