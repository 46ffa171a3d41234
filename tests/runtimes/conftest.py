"""A small network, and the process that an engine runs in."""

import numpy as np
import pytest

from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
from tests._toys import Shared


@pytest.fixture(scope="session")
def network():
    graph = Shared((3, 16, 16)).graph((1, 1, 1, 1))
    return to_bytes(to_onnx(graph, random_weights(graph, np.random.default_rng(0))))


def process_of(engine):
    """The process of a Node engine, or of a page's browser."""
    return engine._process if hasattr(engine, "_process") else engine._browser._process
