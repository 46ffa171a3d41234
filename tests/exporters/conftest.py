"""A small network with everything in it, and a bundle of it."""

from pathlib import Path

import numpy as np
import pytest

from edgenas.exporters.bundle import write_bundle
from edgenas.exporters.by_class import ByClass
from edgenas.exporters.input_steps import InputSteps
from edgenas.exporters.metadata import Measured, ModelMetadata
from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
from edgenas.exporters.quantize import quantize
from edgenas.graph.graph import Builder, Graph

LABELS = ("cat", "dog", "</td><script>", "two\nlines", "Käse")


def _small() -> Graph:
    g = Builder((3, 16, 16), (), {})
    x = g.conv("stem", g.input, out=8, kernel=3, stride=2, act="hswish")
    y = g.depthwise("depthwise", x, kernel=5, act="relu6")
    y = g.squeeze_excite("gate", y, hidden=4)
    y = g.conv("project", y, out=8)
    x = g.add("shortcut", x, y)
    x = g.conv("head", x, out=16, act="relu")
    g.linear("classifier", g.global_pool("mean", x), out=len(LABELS))
    return g.graph()


@pytest.fixture(scope="session")
def small() -> Graph:
    return _small()


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((24, 3, 16, 16), np.float32)


@pytest.fixture(scope="session")
def model(small) -> bytes:
    return to_bytes(to_onnx(small, random_weights(small, np.random.default_rng(0))))


@pytest.fixture(scope="session")
def int8(model, images) -> bytes:
    return quantize(model, (image[None] for image in images), reduce_range=True)


@pytest.fixture
def metadata() -> ModelMetadata:
    return ModelMetadata(
        input=InputSteps((3, 16, 16), (0.5, 0.4, 0.3), (0.2, 0.2, 0.25)),
        default="fp32",
        reason="int8 is slower here",
        fp32=Measured(1.25, 1.5, 0.013, 0.9),
        int8=Measured(1.75, None, float("inf"), 0.89),
        budget_ms=2.0,
        predicted_ms=(1.2, 1.1, 1.3),
        device="test device",
        runtime="onnxruntime",
        runtime_version="1.31",
        threads=1,
        data="a <b>few</b> images",
        test_images=400,
        by_class=ByClass((100, 100, 100, 100, 0), (95, 90, 85, 0, 0), None),
        network={"space": "mbconv", "macs": 12345, "peak_bytes": float("nan")},
    )


@pytest.fixture
def write(model, int8, metadata, images):
    """Writes a bundle to a folder; keywords replace what is in it."""
    from edgenas.exporters.session import outputs

    def write(folder: Path, **changes) -> Path:
        contents = {
            "model": model,
            "int8": int8,
            "metadata": metadata,
            "labels": LABELS,
            "golden_images": np.zeros((24, 3, 20, 20), np.uint8),
            "golden_inputs": images,
            "golden_outputs": outputs(model, images),
        }
        write_bundle(folder, **(contents | changes))
        return folder

    return write
