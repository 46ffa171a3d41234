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


def test_figures_tell_how_clean_they_are_and_how_slow_the_reference_was(monkeypatch, tmp_path):
    timing = SimpleNamespace(ms=5.0, p90_ms=6.0, repeat_error=0.1, threads=1, reference_ms=1.2, clean=False)
    asked = {}
    monkeypatch.setattr(
        "edgenas.workflows.stages.verdict.time_files", lambda paths, **how: asked.update(how) or [timing] * len(paths)
    )
    (tmp_path / "finalist-0.onnx").touch()
    device = SimpleNamespace(threads=1, runtime="onnxruntime")
    priced = SimpleNamespace(task=SimpleNamespace(device=device), table=SimpleNamespace(reference_ms=1.0))
    ctx = SimpleNamespace(folder=SimpleNamespace(path=tmp_path), progress=None, waiting="patience")
    assert measure(priced, 0, ctx).figures == {"fp32": Figure(5.0, 6.0, 0.1, 1, clean=False, slowed=1.2)}
    assert (asked["waiting"], asked["quiet_ms"]) == ("patience", 1.0)


@pytest.mark.parametrize(
    "figure, met",
    [
        (Figure(5.0, 6.0, 0.05, 1, clean=False), None),
        (Figure(21.0, 30.0, 0.1, 1, clean=False), None),
        (Figure(40.0, 50.0, 0.1, 1, clean=False), False),
        (Figure(20.5, 21.0, 0.01, 1, slowed=1.3), None),
        (Figure(20.5, 21.0, 0.01, 1), False),
    ],
)
def test_a_busy_machine_leaves_the_budget_open(figure, met):
    found = verdict(task(), exported(1, 1), {"fp32": figure, "int8": Figure(1.0, 1.0, 0.05, 1, clean=False)})
    assert found.met is met and found.default == "fp32", "of disturbed samples nobody takes the less accurate file"


@pytest.mark.parametrize("lost, default", [(0.0, "int8"), (0.004, "int8"), (0.006, "fp32"), (0.5, "fp32")])
def test_int8_that_loses_too_much_accuracy_is_not_delivered(lost, default):
    files = Exported({"fp32": ExportedFile(0.9, 2), "int8": ExportedFile(0.9 - lost, 1)}, "")
    found = verdict(task(), files, {"fp32": SLOW, "int8": FAST})
    assert found.default == default and f"accuracy {-100 * lost:+.2f} points" in found.reason
