import os
import socket

import numpy as np
import onnx
import pytest

from edgenas.errors import ExportError
from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.parity import check_parity, check_private, private_words
from edgenas.exporters.session import outputs
from edgenas.graph.graph import Builder


def network_of(model: bytes, change=lambda y: y):
    return lambda x: change(outputs(model, x).copy())


def nudged(by: float):
    def change(y):
        y[3, 2] += by
        return y

    return change


def test_gate_reports_the_difference(model, images):
    found = check_parity(model, network_of(model, nudged(3e-5)), images)
    assert found.largest_difference == pytest.approx(3e-5, rel=0.05)
    assert found.same_argmax == 1


@pytest.mark.parametrize(
    "by, message", [(0.01, "differs"), (-0.01, "differs"), (float("nan"), "nan or"), (float("inf"), "or infinity")]
)
def test_the_parity_check_refuses_a_difference(model, images, by, message):
    with pytest.raises(ExportError, match=message):
        check_parity(model, network_of(model, nudged(by)), images)


def test_the_parity_check_refuses_another_class(images):
    """Both outputs are within the tolerance, and yet in the other order."""
    swapped = constant_model([0.5, 0.5 + 8e-5])
    with pytest.raises(ExportError, match="same class on 0.0%"):
        check_parity(swapped, lambda x: np.tile(np.float32([0.5 + 8e-5, 0.5]), (len(x), 1)), images)


def test_gate_lets_ties_pass(images):
    tie = constant_model([0.5, 0.5 + 1e-7])
    found = check_parity(tie, lambda x: np.tile(np.float32([0.5, 0.5]), (len(x), 1)), images)
    assert found.same_argmax == 1


def constant_model(logits) -> bytes:
    g = Builder((3, 16, 16), (), {})
    g.linear("classifier", g.global_pool("mean", g.input), out=len(logits))
    weights = {"classifier.weight": np.zeros((len(logits), 3)), "classifier.bias": np.array(logits)}
    return to_bytes(to_onnx(g.graph(), weights))


@pytest.mark.parametrize("spoil", [lambda m: b"", lambda m: b"garbage", lambda m: m[: len(m) // 2]])
def test_the_parity_check_refuses_what_does_not_load(model, images, spoil):
    with pytest.raises(ExportError) as caught:
        check_parity(spoil(model), network_of(model), images)
    assert "\n" not in str(caught.value)


def test_the_parity_check_refuses_another_shape(model, images):
    with pytest.raises(ExportError, match=r"\(24, 5\)"):
        check_parity(model, lambda x: np.zeros((len(x), 4), np.float32), images)


@pytest.mark.parametrize("opset, ir_version", [(17, 8), (18, 9)])
def test_the_parity_check_refuses_another_format(model, images, opset, ir_version):
    proto = onnx.load_from_string(model)
    proto.opset_import[0].version, proto.ir_version = opset, ir_version
    with pytest.raises(ExportError, match="not opset 18 and IR 8"):
        check_parity(proto, network_of(model), images)


def test_private_words_do_not_pass(model, int8):
    check_private(model)
    check_private(int8)
    assert private_words() == [os.getcwd(), os.path.expanduser("~"), socket.gethostname()]
    leaky = onnx.load_from_string(model)
    leaky.graph.node[0].doc_string = "/home/someone/project/net.py, line 3"
    with pytest.raises(ExportError, match="/home/someone"):
        check_private(to_bytes(leaky), ["/home/someone"])
    check_private(to_bytes(leaky), ["net"])  # too short to mean anything
