"""The reference op: its bytes are part of every kit."""

import hashlib

from edgenas.runtimes import onnxruntime
from edgenas.runtimes.base import Port, Ports
from edgenas.runtimes.reference import reference_model


def test_the_reference_is_the_file_of_every_kit_and_table_so_far():
    digest = hashlib.sha256(reference_model()).hexdigest()
    assert digest == "dd005c4c4ef99f2382e7022b8179f19770e175d6a149fe31b830c0084c3ad250"


def test_the_reference_is_one_convolution():
    ports = onnxruntime.open(reference_model()).describe()
    assert ports == Ports((Port("x", (1, 16, 28, 28), "float32"),), (Port("y", (1, 16, 28, 28), "float32"),))
