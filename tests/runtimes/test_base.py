"""The contract of runtimes: rounds that carry what they were made of, and a check of a plugin when it is loaded."""

import math

import pytest

from edgenas.errors import UsageError
from edgenas.runtimes.base import Port, Ports, Round
from edgenas.system import plugins


@pytest.mark.parametrize(
    "figure, runs, clean_share",
    [(Round(2.0), 1, 1.0), (Round(math.nan), 1, 0.0), (Round(2.0, runs=30, clean_share=0.5), 30, 0.5)],
)
def test_a_round_is_a_number_that_knows_its_runs(figure, runs, clean_share):
    assert (figure.runs, figure.clean_share) == (runs, clean_share)
    assert math.isnan(figure) or figure + 1 == 3.0


def test_ports_compare_by_value():
    port = Port("x", (1, 3), "float32")
    assert Ports((port,), ()) == Ports((Port("x", (1, 3), "float32"),), ())


@pytest.mark.parametrize(
    "source, missing",
    [
        ("", r"open\(model, threads\).*host\(threads\).*version\(\)"),
        ("def version(): return '1'\ndef host(threads): return {}", r"open\(model, threads\)"),
        ("def version(): return '1'\ndef host(threads): return {}\ndef open(model): ...", "open cannot be called"),
    ],
)
def test_a_runtime_that_lacks_something_is_refused_when_it_is_loaded(tmp_path, monkeypatch, source, missing):
    name = f"runtime_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    plugins.name_own("runtimes", f"./{name}.py")
    with pytest.raises(UsageError, match=missing):
        plugins.load("runtimes", f"./{name}.py")
