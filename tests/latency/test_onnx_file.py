"""Files read in a child: what is damaged or hostile comes to one line that names it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgenas.cli import main as cli
from edgenas.errors import DataError
from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
from edgenas.graph.graph import Builder
from edgenas.latency.onnx_file import kernels_of, read_kernels


def network():
    g = Builder((3, 8, 8), (), {})
    x = g.conv("stem", g.input, out=8, kernel=3, stride=2, act="relu6")
    g.linear("last", g.global_pool("pool", x), out=5)
    return to_bytes(to_onnx(g.graph(), random_weights(g.graph(), np.random.default_rng(0))))


def changed(change):
    model = onnx.load_model_from_string(network())
    change(model)
    return model.SerializeToString()


def custom_domain(model):
    model.graph.node[0].domain = "my.custom"
    model.opset_import.append(helper.make_opsetid("my.custom", 1))


def newer_ir(model):
    model.ir_version = 99


def dynamic_batch(model):
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def only_a_view(model):
    del model.graph.node[:], model.graph.initializer[:], model.graph.output[:]
    model.graph.node.append(helper.make_node("Flatten", ["input"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))


BAD = {
    "empty": (b"", "empty"),
    "garbage": (b"\x00garbage" * 99, "not an ONNX model"),
    "truncated": (network()[:-200], "not an ONNX model"),
    "custom domain": (changed(custom_domain), "my.custom:Conv"),
    "newer IR": (changed(newer_ir), "IR version: 99"),
    "no kernel": (changed(only_a_view), "computes nothing"),
}


@pytest.mark.parametrize("content, words", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "a file.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_kernels(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_file_is_refused_by_the_command(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path / "none.onnx"), "--table", "none.csv"]) in (2, 3)
    assert "none" in capsys.readouterr().err


def test_the_child_reads_what_this_process_does(tmp_path):
    path = tmp_path / "naïve.onnx"
    path.write_bytes(network())
    assert read_kernels(path) == kernels_of(network())


def test_a_free_batch_is_one_image():
    assert kernels_of(changed(dynamic_batch)) == kernels_of(network())
