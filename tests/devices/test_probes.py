"""Probes: what is made for each precision, and models that compute what their name says."""

import numpy as np
import onnx
import pytest

from edgenas.devices.probes import pair_model, probes, quantised_shapes, random_model, reduced_probes
from edgenas.exporters.onnx import probe
from edgenas.runtimes import onnxruntime
from edgenas.spaces.sampling import distinct_nodes, sample
from tests._toys import Shared

SPACE = Shared()
NODES = distinct_nodes(SPACE)[:4]


def made(precisions, nets=1, tests=1):
    rng = np.random.default_rng(0)
    archs = [(SPACE, sample(SPACE, rng)) for _ in range(nets + tests)]
    return list(probes(NODES, archs[:nets], archs[nets:], precisions, rng))


def test_the_reference_comes_first_and_each_precision_has_all():
    found = made(("fp32", "int8"))
    assert [p.kind for p in found].count("reference") == 1 and found[0].kind == "reference"
    for precision in ("fp32", "int8"):
        kinds = [p.kind for p in found[1:] if p.precision == precision]
        assert (kinds.count("empty"), kinds.count("op"), kinds.count("net"), kinds.count("test")) == (1, 4, 1, 1)
        assert kinds.count("pair") == (len(quantised_shapes(NODES)) if precision == "int8" else 0)


def test_an_op_tells_its_counts_and_what_int8_is_net_of():
    (op,) = [p for p in made(("fp32",)) if p.kind == "op" and p.id == NODES[0].key]
    assert set(op.entry) == {"macs", "params", "bytes", "pairs"}
    assert op.entry["pairs"] == [["x".join(map(str, NODES[0].in_shapes[0]))], ["x".join(map(str, NODES[0].shape))]]


def test_a_reduced_kit_holds_what_was_chosen_for_each_precision():
    chosen = {"fp32": (NODES[:2], []), "int8": (NODES[2:3], [])}
    keys = [(p.precision, p.id) for p in reduced_probes(chosen, np.random.default_rng(0)) if p.kind == "op"]
    assert keys == [("fp32", NODES[0].key), ("fp32", NODES[1].key), ("int8", NODES[2].key)]


def test_a_pair_gives_back_what_it_got():
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(1, 2, 3, 4)
    (y,) = onnxruntime.open(pair_model((2, 3, 4))).run(x)
    assert np.abs(y - x).max() <= 0.026  # half a step of the scale


@pytest.mark.parametrize("precision, quantised", [("fp32", False), ("int8", True)])
def test_random_models_are_of_their_precision_and_equal_by_seed(precision, quantised):
    first, second = (random_model(probe(NODES[0]), precision, np.random.default_rng(3)) for _ in range(2))
    assert first == second
    kinds = {node.op_type for node in onnx.load_model_from_string(first).graph.node}
    assert bool(kinds & {"QuantizeLinear", "QLinearConv"}) is quantised
