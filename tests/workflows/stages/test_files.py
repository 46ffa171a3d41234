"""A finalist's files agree with the network."""

import numpy as np
import onnx
import pytest
import torch

from edgenas.errors import ExportError
from edgenas.exporters.by_class import by_class
from edgenas.exporters.session import outputs
from edgenas.nn.network import Network
from edgenas.training.train import Scores
from edgenas.workflows.stages.files import export_finalist, file_by_class, finalist_files, inputs, logits, onnx_file
from edgenas.workflows.stages.finalists import Finalist
from tests.workflows._tasks import ARCHS, SPACE, images, toy_task


@pytest.fixture
def network():
    return Network(SPACE.graph(ARCHS[3]), torch.Generator().manual_seed(0)).eval()


def test_file_and_network_agree(network, tmp_path):
    model = onnx_file(images(), network, tmp_path / "rejected")
    x = inputs(images().validation, 8, network)
    np.testing.assert_allclose(outputs(model, x), logits(network, x), atol=1e-4)
    predicted = logits(network, inputs(images().validation, 10**6, network)).argmax(1)
    truth = images().validation.labels.numpy()
    found = file_by_class(model, images().validation, network, len(images().classes))
    assert found.accuracy == np.mean(predicted == truth)
    assert found == by_class(truth, predicted, len(images().classes))


def test_a_file_that_differs_is_kept_as_rejected(network, tmp_path, monkeypatch):
    monkeypatch.setattr("edgenas.workflows.stages.files.logits", lambda network, x: logits(network, x) + 1.0)
    with pytest.raises(ExportError):
        onnx_file(images(), network, tmp_path / "finalist-0.onnx.rejected")
    assert (tmp_path / "finalist-0.onnx.rejected").stat().st_size > 0


@pytest.mark.parametrize("int8", [True, False])
def test_both_files_are_written_with_sizes_and_accuracies(network, tmp_path, int8):
    made = export_finalist(toy_task(int8=int8), Finalist(ARCHS[3], network, Scores(0.5, 1.0, 10), "3"), 0, tmp_path)
    model, quantised = finalist_files(tmp_path, 0)
    assert made.files["fp32"].file_bytes == len(model) and made.files["fp32"].validation_accuracy == 0.5
    assert ("int8" in made.files) == (quantised is not None)
    assert int8 or (quantised is None and made.reason == "int8 was not asked for")


def test_where_int8_collapses_the_float_file_stands_alone_with_the_reason(network, tmp_path, monkeypatch):
    def constant(model, calibration, *, reduce_range):
        proto = onnx.load_from_string(model)
        for tensor in proto.graph.initializer:
            tensor.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(tensor), tensor.name))
        return proto.SerializeToString()

    monkeypatch.setattr("edgenas.workflows.stages.files.quantize", constant)
    made = export_finalist(toy_task(), Finalist(ARCHS[3], network, Scores(0.5, 1.0, 10), "3"), 0, tmp_path)
    assert set(made.files) == {"fp32"} and made.reason == "int8 gives the same output for every image"
    assert finalist_files(tmp_path, 0)[1] is None
