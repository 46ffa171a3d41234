"""Measured files against the budget."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.workflows.config import Config
from edgenas.workflows.stages.artefacts import Exported, ExportedFile, Figure
from edgenas.workflows.stages.verdict import measure, verdict

FAST, SLOW = (Figure(ms, ms, 0.01, 1) for ms in (5.0, 25.0))


def task(precision="fp32", max_file_mb=None):
    config = Config(budget_ms=20, max_file_mb=max_file_mb)
    return SimpleNamespace(config=config, device=SimpleNamespace(precision=precision), budget_ms=20.0)


def exported(fp32_bytes, int8_bytes):
    sizes = {"fp32": fp32_bytes, "int8": int8_bytes}
    return Exported({name: ExportedFile(0.9, size) for name, size in sizes.items() if size is not None}, "")


@pytest.mark.parametrize(
    "precision, limit_mb, sizes, timings, met, too_large, default",
    [
        ("fp32", None, (2_000_000, 500_000), {"fp32": SLOW, "int8": FAST}, False, None, "int8"),
        ("fp32", 2.0, (2_000_000, 500_000), {"fp32": FAST, "int8": SLOW}, True, None, "fp32"),
        ("fp32", 1.9, (2_000_000, 500_000), {"fp32": FAST}, False, 2_000_000, "fp32"),
        ("fp32", 1.9, (2_000_000, 500_000), {}, False, 2_000_000, "fp32"),
        ("fp32", 2.0, (2_000_000, 2_000_001), {"fp32": SLOW, "int8": FAST}, False, None, "fp32"),
        ("int8", 1.0, (2_000_000, 500_000), {}, None, None, "int8"),
        ("int8", 0.4, (2_000_000, 500_000), {"int8": FAST}, False, 500_000, "int8"),
        ("int8", 1.0, (2_000_000, None), {}, False, None, "int8"),
    ],
)
def test_a_file_above_its_limit_misses_whatever_its_speed(precision, limit_mb, sizes, timings, met, too_large, default):
    found = verdict(task(precision, limit_mb), exported(*sizes), timings)
    assert (found.met, found.too_large, found.default) == (met, too_large, default)


def test_a_reference_that_is_slow_for_any_file_asks_for_another_run(monkeypatch, tmp_path):
    """Files that repeat badly are timed again by themselves, each with a reference of its own."""
    runs = iter([(1.0, 1.5), (1.3, 1.0), (1.0, 1.01)])

    def timed(paths, **settings):
        return [SimpleNamespace(ms=ms, p90_ms=ms, repeat_error=0.01, threads=1, reference_ms=ms) for ms in next(runs)]

    monkeypatch.setattr("edgenas.workflows.stages.verdict.bench_in_fresh_process", timed)
    for name in ("finalist-0.onnx", "finalist-0.int8.onnx"):
        (tmp_path / name).touch()
    device = SimpleNamespace(threads=1, runtime="onnxruntime")
    priced = SimpleNamespace(task=SimpleNamespace(device=device), table=SimpleNamespace(reference_ms=1.0))
    ctx = SimpleNamespace(folder=SimpleNamespace(path=tmp_path), progress=None)
    assert {name: figure.ms for name, figure in measure(priced, 0, ctx).figures.items()} == {"fp32": 1.0, "int8": 1.01}
