"""The reference op: one small convolution, measured in every round beside whatever is timed.

It tells how busy a machine was. Its bytes are part of every device kit, so they never change.
"""

from __future__ import annotations

import numpy as np

NAME = "reference"


def reference_model() -> bytes:
    """Return a 3x3 convolution of 16 channels on 28x28: about 50 us, long beside a call, short beside a round."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "reference",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 28, 28])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 28, 28])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())
