"""What is measured into which table."""

from dataclasses import replace

import pytest

from edgenas.errors import NoisyMachine
from edgenas.runtimes.summary import Timing
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


def test_how_noisy_the_machine_is_is_said_at_once_and_what_has_no_sample_is_left_out(tmp_path, monkeypatch):
    lines = []

    def measure(start, nodes, nets, *, look, **more):
        look({"reference": Timing(1.0, 1.1, 0.08, 100, 0.4)})
        assert lines, "before anything is measured for good"
        return table()

    class Log(SilentReporter):
        def log(self, text):
            lines.append(text)

    measured_as(monkeypatch, measure)
    profile(make_config({}), Log(), shape=(3, 8, 8), classes=4, out=tmp_path / "t.csv", space=Shared)
    assert lines[0].startswith("40 % of the timing samples are clean") and len(lines) == 1
    fewer = replace(table(), ops=dict(list(table().ops.items())[2:]))
    measured_as(monkeypatch, lambda *args, **more: fewer)
    profile(make_config({}), Log(), shape=(3, 8, 8), classes=4, out=tmp_path / "t.csv", space=Shared)
    assert "2 ops had no clean sample" in lines[-1]
