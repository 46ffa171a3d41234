"""Networks from checkpoints."""

import pytest
import torch

from edgenas.errors import CheckpointError
from edgenas.system.checkpoint import load_weights, understood
from edgenas.workflows.trained_networks import trained_networks
from tests._toys import Shared


def test_the_delivered_network_comes_first(searched):
    space = Shared((1, 32, 32), 10)
    found = trained_networks(searched, space, space, "cpu")
    assert found and all(network.graph.arch == arch for arch, network in found.items())


def test_before_there_is_a_result_there_is_none(tmp_path):
    assert trained_networks(tmp_path, Shared(), Shared(), "cpu") == {}


def test_weights_of_other_shapes_are_another_version_s(tmp_path):
    with pytest.raises(CheckpointError, match="weights of another version"):
        with understood(tmp_path / "a.pt"):
            load_weights(torch.nn.Linear(2, 2), torch.nn.Linear(3, 2).state_dict())
