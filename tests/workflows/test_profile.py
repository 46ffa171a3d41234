"""What is measured into which table."""

import pytest

from edgenas.errors import NoisyMachine
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.profile import profile
from tests._toys import Shared
from tests.workflows._tasks import ARCHS, table


def measured_as(monkeypatch, measure):
    monkeypatch.setattr("edgenas.workflows.profile.this_host.extend_table", measure)


def test_all_ops_of_a_space_and_whole_networks(tmp_path, monkeypatch):
    asked = []
    measured_as(monkeypatch, lambda start, nodes, nets, **more: asked.append((nodes, nets, more)) or table())
    path, found = profile(
        make_config({}), SilentReporter(), shape=(3, 8, 8), classes=4, out=tmp_path / "t.csv", space=Shared
    )
    ((nodes, nets, more),) = asked
    assert path == tmp_path / "t.csv" and path.exists() and found.ops == table().ops
    assert {node.key for node in nodes} == table().ops.keys()
    assert {arch for _, arch in nets} <= set(ARCHS) and len({arch for _, arch in nets}) == len(nets)
    assert more["patience"] > 1, "without a time to take, a busy machine is waited for"


def test_on_a_machine_that_is_too_busy_nothing_is_written(tmp_path, monkeypatch):
    def noisy(*args, **more):
        raise NoisyMachine("too busy")

    measured_as(monkeypatch, noisy)
    with pytest.raises(NoisyMachine):
        profile(make_config({}), SilentReporter(), shape=(3, 8, 8), classes=4, out=tmp_path / "t.csv", space=Shared)
    assert not (tmp_path / "t.csv").exists()
