"""Measuring and predicting from Python: what is passed on, and what comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edgenas
from edgenas.spaces.build import build_space
from edgenas.system.progress import SilentReporter
from edgenas.testing import Tiny

DEVICE = "amd-epyc-zen4"


@pytest.fixture(scope="module")
def rows():
    return edgenas.predict(samples=4, device=DEVICE)


def test_a_prediction_lies_in_its_interval(rows):
    assert len(rows) == 4 and len({row.arch for row in rows}) == 4
    assert all(row.low_ms < row.latency_ms < row.high_ms for row in rows)
    assert all(row.estimated_share == 0 and row.macs > 0 and row.params > 0 and row.peak_bytes > 0 for row in rows)


def test_codes_are_predicted_as_they_were_when_they_were_drawn(rows):
    assert edgenas.predict([row.arch for row in rows], device=DEVICE) == rows


@pytest.mark.parametrize("space", [Tiny, "edgenas.testing.tiny", lambda shape, classes: Tiny(shape, classes)])
def test_a_space_in_every_form(space):
    (row,) = edgenas.predict(["000"], space=space, shape=(3, 64, 64), device=DEVICE, estimate_missing=True)
    assert row.arch == "000" and row.estimated_share > 0


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"archs": ["no code"]}, "no code"),
        ({"samples": 2, "device": "no such board"}, "no such board"),
        ({"samples": 2, "table": "x.csv"}, "--device and --table"),
        ({"samples": 2, "space": "mbcnv"}, "did you mean mbconv"),
    ],
)
def test_what_cannot_be_predicted_is_refused(wrong, says):
    with pytest.raises(edgenas.UsageError, match=says):
        edgenas.predict(**{"device": DEVICE, **wrong})


def test_missing_ops_are_named_with_what_measures_them():
    with pytest.raises(edgenas.MissingOps, match="edgenas profile"):
        edgenas.predict(["000"], space=Tiny, shape=(3, 64, 64), device=DEVICE)


def test_prediction_needs_no_torch():
    script = f"""
import sys, edgenas
assert edgenas.predict(samples=1, device={DEVICE!r})
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "onnx", "onnxruntime", "fvcore")]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "keywords, space, out",
    [
        ({}, None, None),
        ({"space": "chain", "out": "here.csv"}, None, Path("here.csv")),
        ({"space": Tiny, "threads": 2, "seconds": 5}, Tiny, None),
    ],
)
def test_profile_passes_on_what_it_is_given(fake, keywords, space, out):
    profiling = fake("profile", answer="a table")
    assert edgenas.profile(**keywords) == "a table"
    ((config, reporter), how), *_ = profiling.calls
    assert type(reporter) is SilentReporter and (how["space"], how["out"]) == (space, out)
    assert how["seconds"] == keywords.get("seconds") and config.threads == keywords.get("threads", 1)
    assert config.space == ("chain" if keywords.get("space") == "chain" else "mbconv")


def test_bench_passes_on_what_it_is_given(fake):
    timing = fake("bench", answer=[])
    assert edgenas.bench(["a.onnx", Path("b.onnx")], threads=2, seconds=1.5) == []
    how = dict(threads=2, runtime="onnxruntime", seconds=1.5)
    assert timing.calls == [(([Path("a.onnx"), Path("b.onnx")],), how)]


def test_one_code_and_a_trial_s_tuple_are_architectures_too(rows):
    code = rows[0].arch
    space = build_space("mbconv", (1, 32, 32), 10)
    assert edgenas.predict(code, device=DEVICE) == edgenas.predict([space.parse(code)], device=DEVICE) == rows[:1]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: edgenas.predict(device=DEVICE), "say which architectures: archs, or samples=N"),
        (lambda: edgenas.predict(["0"], samples=2, device=DEVICE), "one of them"),
        (lambda: edgenas.predict(samples=-1, device=DEVICE), "samples: -1 is out of range"),
        (lambda: edgenas.bench("a.onnx", seconds=float("nan")), "seconds: nan is not a number"),
        (lambda: edgenas.profile(seconds=float("nan")), "seconds: nan is not a number"),
        (lambda: edgenas.kit("kit.zip", precisions=("fp16",)), "precisions: fp16; give some of fp32, int8"),
        (lambda: edgenas.kit("kit.zip", precisions=()), "precisions: none; give some of fp32, int8"),
    ],
)
def test_keywords_are_checked_as_flags_are(call, message):
    with pytest.raises(edgenas.UsageError, match=message):
        call()


def test_one_file_is_not_one_for_each_letter():
    with pytest.raises(edgenas.UsageError, match=r"^a\.onnx: "):
        edgenas.bench("a.onnx")
