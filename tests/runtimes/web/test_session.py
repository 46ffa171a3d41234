"""Sessions in Node and in Chromium: inputs, rounds, and their words on what they cannot run."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgenas.errors import DataError, UsageError
from edgenas.runtimes import onnxruntime
from tests._runtimes import usable


@pytest.fixture(scope="module", params=("onnxruntime-web", "onnxruntime-web-chromium"))
def runtime(request):
    return usable(request.param)


def identity(kind, shape=(1, 1000)):
    ports = [helper.make_tensor_value_info(name, kind, list(shape)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize(
    "kind, dtype, low, high",
    [
        (TensorProto.FLOAT, "float32", -6, 6),
        (TensorProto.DOUBLE, "float64", -6, 6),
        (TensorProto.UINT8, "uint8", 0, 255),
        (TensorProto.INT8, "int8", -128, 127),
        (TensorProto.INT32, "int32", 0, 1),
        (TensorProto.INT64, "int64", 0, 1),
        (TensorProto.BOOL, "bool", 0, 1),
    ],
)
def test_inputs_are_made_up_for_each_type(runtime, kind, dtype, low, high):
    session = runtime.open(identity(kind))
    (made_up,) = session.run()
    assert made_up.dtype == np.dtype(dtype) and made_up.shape == (1, 1000)
    assert low <= made_up.min() < made_up.max() <= high
    assert session.describe() == onnxruntime.open(identity(kind)).describe()
    np.testing.assert_array_equal(session.run(made_up)[0], made_up)


def test_rounds_tell_what_they_were_made_of(runtime, network):
    for figure in runtime.open(network).rounds(3, 2.0):
        assert figure.runs >= 1 and 0 <= figure.clean_share <= 1
        assert figure > 0 or figure.clean_share == 0


def test_what_it_cannot_load_is_refused_in_one_line_and_the_engine_lives(runtime, network):
    for model, words in ((b"garbage", "cannot load the model"), (identity(TensorProto.FLOAT16), "'x' is float16")):
        with pytest.raises(DataError, match=words) as caught:
            runtime.open(model)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert runtime.open(network).run()


def test_a_wrong_input_names_its_shape(runtime, network):
    with pytest.raises(DataError, match=r"\(1, 5\) float32.* Got: 2 Expected: 4"):
        runtime.open(network).run(np.zeros((1, 5), np.float32))


def test_a_missing_file_is_named(runtime, tmp_path):
    with pytest.raises(UsageError, match=r"none\.onnx: cannot be read"):
        runtime.open(tmp_path / "none.onnx")


def test_threads_below_one_are_refused(runtime, network):
    with pytest.raises(UsageError, match="threads"):
        runtime.open(network, 0)


def test_a_closed_session_says_so(runtime, network):
    session = runtime.open(network)
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.run()
