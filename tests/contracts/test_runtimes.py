"""What every runtime plugin must do, found by its file."""

import math

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgenas.errors import EdgeNASError
from edgenas.runtimes.base import Port, Ports
from edgenas.system import plugins
from tests._runtimes import usable

WEIGHT = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]], np.float32)


@pytest.fixture(params=plugins.names("runtimes"))
def runtime(request):
    return usable(request.param)


@pytest.fixture(scope="module")
def model():
    """relu(x @ WEIGHT) for x of one row, and its negative."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Relu", ["m"], ["y"]),
            helper.make_node("Neg", ["y"], ["z"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in "yz"],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_names_itself_and_its_version(runtime):
    assert runtime.name in plugins.names("runtimes")
    assert isinstance(runtime.version(), str) and runtime.version()


def test_runs_bytes_and_files(runtime, model, tmp_path):
    path = tmp_path / "a model, spaced and naïve.onnx"
    path.write_bytes(model)
    x = np.random.default_rng(0).standard_normal((1, 3)).astype(np.float32)
    expected = np.maximum(x @ WEIGHT, 0)
    for source in (model, path):
        session = runtime.open(source)
        y, z = session.run(x)
        np.testing.assert_allclose(y, expected, rtol=1e-5)
        np.testing.assert_allclose(z, -expected, rtol=1e-5)
        session.close()


def test_makes_up_the_same_input_each_time(runtime, model):
    first, second = runtime.open(model), runtime.open(model)
    assert np.array_equal(first.run()[0], first.run()[0])
    assert np.array_equal(first.run()[0], second.run()[0])
    assert first.run()[0].shape == (1, 2)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_rounds_returns_n_medians_in_ms(runtime, model, n):
    figures = runtime.open(model).rounds(n, 1.0)
    assert len(figures) == n
    assert all(isinstance(figure, float) and (math.isnan(figure) or figure > 0) for figure in figures)


def test_close_is_idempotent(runtime, model):
    session = runtime.open(model)
    session.rounds(1, 1.0)
    session.close()
    session.close()


def test_describes_ports_as_run(runtime, model):
    expected = Ports((Port("x", (1, 3), "float32"),), tuple(Port(name, (1, 2), "float32") for name in "yz"))
    assert runtime.open(model).describe() == expected


def test_host_records_threads_runtime_and_version(runtime):
    facts = runtime.host(1)
    assert facts["threads"] == facts["threads_requested"] == 1
    assert (facts["runtime"], facts["version"]) == (runtime.name, runtime.version())


def test_refuses_what_is_no_model(runtime):
    with pytest.raises(EdgeNASError):
        runtime.open(b"no model")
