"""The onnxruntime plugin beyond the contract: input types, its settings, and its words on what it cannot load."""

import os
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgenas.errors import DataError, UsageError
from edgenas.runtimes import host, onnxruntime
from edgenas.runtimes.base import Port


def identity(kind=TensorProto.FLOAT, shape=(1, 4), op="Identity", domain="", ir_version=8):
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], domain=domain)],
        "g",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


@pytest.mark.parametrize(
    "kind, dtype, low, high",
    [
        (TensorProto.FLOAT, "float32", -6, 6),
        (TensorProto.FLOAT16, "float16", -6, 6),
        (TensorProto.DOUBLE, "float64", -6, 6),
        (TensorProto.UINT8, "uint8", 0, 255),
        (TensorProto.INT8, "int8", -128, 127),
        (TensorProto.INT32, "int32", 0, 1),
        (TensorProto.INT64, "int64", 0, 1),
        (TensorProto.BOOL, "bool", 0, 1),
    ],
)
def test_inputs_are_made_up_for_each_type(kind, dtype, low, high):
    model = identity(kind, shape=(1, 1000))
    (made_up,) = onnxruntime.open(model).run()
    assert made_up.dtype == np.dtype(dtype) and made_up.shape == (1, 1000)
    assert low <= made_up.min() < made_up.max() <= high
    assert np.array_equal(made_up, onnxruntime.open(model).run()[0])
    assert onnxruntime.open(model).describe().inputs == (Port("x", (1, 1000), dtype),)


def test_dynamic_dimensions_become_one():
    (y,) = onnxruntime.open(identity(shape=("batch", 3, None))).run()
    assert y.shape == (1, 3, 1)


@pytest.mark.parametrize(
    "model, words",
    [
        (identity(op="Foo", domain="my.custom"), "my.custom:Foo"),
        (identity(op="Foo"), "Foo"),
        (identity(ir_version=99), "Unsupported model IR version: 99"),
        (identity(kind=TensorProto.STRING), "input 'x' is a tensor(string)"),
        (b"not a model", "cannot load the model"),
    ],
)
def test_models_it_cannot_load_are_refused_in_one_line(model, words):
    with pytest.raises(DataError) as caught:
        onnxruntime.open(model)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert "onnxruntime_src" not in str(caught.value)


def test_a_wrong_input_names_both_shapes():
    with pytest.raises(DataError, match=r"x \(1, 5\) float32.* Got: 5 Expected: 4"):
        onnxruntime.open(identity()).run(np.zeros((1, 5), np.float32))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one_are_refused(threads):
    with pytest.raises(UsageError, match="threads"):
        onnxruntime.open(identity(), threads)


def test_threads_beyond_the_usable_cores_are_capped_and_recorded():
    session = onnxruntime.open(identity(), 1000)
    assert session.threads == host.usable_cores()
    facts = onnxruntime.host(1000)
    assert (facts["threads"], facts["threads_requested"]) == (host.usable_cores(), 1000)


def test_host_tells_what_decides_a_number():
    facts = onnxruntime.host()
    assert {"processor", "os", "cores", "usable_cores", "runtime", "version", "provider", "optimisation"} <= set(facts)
    assert facts["version"] == onnxruntime.version()


def test_telemetry_is_off_before_the_first_import(tmp_path):
    code = (
        "import os, sys; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from edgenas.runtimes import onnxruntime, reference\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "onnxruntime.open(reference.reference_model()).run()\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=os.environ | home | path, check=True)
    assert list(tmp_path.iterdir()) == []
