"""A machine that a neighbour has for a while is waited for; the quietest run counts."""

import math

import pytest

from edgenas.devices import this_host as host
from edgenas.graph.graph import Builder
from edgenas.runtimes import reference
from edgenas.runtimes.summary import Timing


def timings(ms, reference_ms, repeat_error=0.0):
    return {
        "net": Timing(ms, ms, repeat_error, 100, 1.0),
        reference.NAME: Timing(reference_ms, reference_ms, 0.0, 100, 1.0),
    }


QUIET, BUSY, SHAKY = timings(1.0, 0.050), timings(1.5, 0.075), timings(1.1, 0.051, repeat_error=0.2)


@pytest.mark.parametrize(
    "runs, kept, taken",
    [
        ([QUIET, BUSY], QUIET, 1),
        ([BUSY, QUIET, BUSY], QUIET, 2),
        ([SHAKY, QUIET], QUIET, 2),
        ([BUSY, BUSY, SHAKY, QUIET], SHAKY, 3),
    ],
)
def test_the_first_quiet_run_counts_else_the_quietest_of_three(monkeypatch, runs, kept, taken):
    monkeypatch.setattr(host, "PAUSE_S", 0.0)
    left = list(runs)
    assert host._quietest(lambda: left.pop(0), 0.050, 0.04, tries=3) is kept
    assert len(runs) - len(left) == taken


def test_int8_rows_are_net_of_quantising_and_dequantising(monkeypatch, rng):
    """Half a pair for each shape that an op reads or writes, and one empty call."""
    asked = {}

    def timed(graphs, runtime, threads, **settings):
        asked.update(settings)
        ms = {"identity": 0.01, **{name: 0.05 for name in settings["models"] if name.startswith("pair")}}
        known = {name: ms.get(name, 1.0) for name in (*settings["models"], *graphs)}
        return {name: Timing(t, t, 0.0, 100, 1.0) for name, t in known.items()} | {reference.NAME: QUIET["net"]}

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


def test_without_a_known_reference_one_run_is_enough():
    left = [BUSY, QUIET]
    assert host._quietest(lambda: left.pop(0), math.inf, math.inf, tries=3) is BUSY
    assert left == [QUIET]
