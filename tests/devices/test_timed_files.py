"""Files are timed again while a neighbour has the machine; at last disturbed samples count."""

from types import SimpleNamespace

import pytest

from edgenas.devices import timed_files
from edgenas.errors import NoisyMachine
from edgenas.runtimes.waiting import Waiting, no_waiting
from tests._clock import Clock

CONDITIONS = {"threads": 1, "runtime": "onnxruntime", "seconds": 1.0, "quiet_ms": 1.0}


@pytest.fixture
def said():
    return []


@pytest.fixture
def waiting(said):
    clock = Clock()
    return Waiting(60.0, said.append, clock=clock, sleep=clock.sleep)


def timed(monkeypatch, runs):
    """Replace the timing: what each call gives, None for a machine that is too busy. Returns how they were asked."""
    left, asked = list(runs), []

    def bench(paths, **how):
        asked.append(how.get("wait_s"))
        run = left.pop(0)
        if run is None:
            raise NoisyMachine("only 3% of the timing samples were clean")
        return run

    monkeypatch.setattr(timed_files, "bench_in_fresh_process", bench)
    return asked


def files(*reference_ms, clean=True):
    return [SimpleNamespace(reference_ms=ms, clean=clean) for ms in reference_ms]


def test_a_reference_that_is_slow_for_any_file_asks_for_another_run(monkeypatch, waiting, said):
    """Files that repeat badly are timed again by themselves, each with a reference of its own."""
    runs = [files(1.0, 1.5), files(1.3, 1.0), files(1.0, 1.01)]
    timed(monkeypatch, runs)
    assert timed_files.time_files([], waiting=waiting, **CONDITIONS) is runs[2] and said == []


def test_the_quietest_of_three_counts_where_none_is_quiet(monkeypatch):
    runs = [files(1.5), files(1.3), files(1.4)]
    timed(monkeypatch, runs)
    assert timed_files.time_files([], waiting=no_waiting(), **CONDITIONS) is runs[1]


def test_a_busy_machine_is_measured_in_its_gaps(monkeypatch, waiting, said):
    run = files(1.0)
    asked = timed(monkeypatch, [None, run])
    assert timed_files.time_files([], waiting=waiting, **CONDITIONS) is run
    assert asked == [None, 60.0]
    (line,) = said
    assert "only 3% of the timing samples were clean)" in line and "1 min" in line


def test_at_last_disturbed_samples_count_and_are_taken_once(monkeypatch, waiting, said):
    run = files(3.0, clean=False)
    asked = timed(monkeypatch, [None, run])
    assert timed_files.time_files([], waiting=waiting, **CONDITIONS) is run and len(asked) == 2
    assert "going on with disturbed samples" in said[-1]
