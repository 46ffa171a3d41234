"""What is measured into a table of this machine."""

import pytest

from edgenas.devices import this_host as host
from edgenas.graph.graph import Builder
from edgenas.runtimes import reference
from edgenas.runtimes.summary import Timing

QUIET = Timing(1.0, 1.0, 0.0, 100, 1.0)


def test_int8_rows_are_net_of_quantising_and_dequantising(monkeypatch, rng):
    """Half a pair for each shape that an op reads or writes, and one empty call."""
    asked = {}

    def timed(graphs, runtime, threads, **settings):
        asked.update(settings)
        ms = {"identity": 0.01, **{name: 0.05 for name in settings["models"] if name.startswith("pair")}}
        known = {name: ms.get(name, 1.0) for name in (*settings["models"], *graphs)}
        return {name: Timing(t, t, 0.0, 100, 1.0) for name, t in known.items()} | {reference.NAME: QUIET}

    monkeypatch.setattr(host, "time_graphs", timed)
    node = _conv()
    for precision, ms in (("int8", 1 - 0.01 - 2 * 0.5 * 0.04), ("fp32", 1 - 0.01)):
        table = host.extend_table(host.empty_table("onnxruntime", 1, precision), [node], [], seconds=1, rng=rng)
        assert table.ops[node.key].ms == pytest.approx(ms)
        assert table.header["precision"] == asked["precision"] == precision
    assert host.cached_table_path("onnxruntime", 1, "int8").name.endswith("-1t-int8.csv")


def _conv():
    builder = Builder((3, 8, 8), (), {})
    return builder.conv("stem", builder.input, out=4, kernel=3, act="relu")
