"""Latencies that come later: what changes in a bundle, and that nothing else does."""

import json
from dataclasses import replace

import pytest

from edgenas.errors import DataError, UsageError
from edgenas.exporters.bundle import MANIFEST, verify_bundle
from edgenas.exporters.metadata import Measured
from edgenas.exporters.remeasured import read_kept, remeasured, write_latencies


@pytest.fixture
def unclean(write, metadata, tmp_path):
    """A bundle whose latencies were measured beside other programs."""
    fp32 = replace(metadata.fp32, clean=False)
    return write(tmp_path / "run", metadata=replace(metadata, fp32=fp32, met_budget=None))


def manifest(folder):
    return json.loads((folder / MANIFEST).read_text())


def test_what_is_kept_is_what_was_written(unclean, metadata):
    kept = read_kept(unclean)
    assert kept.models["model.onnx"] == replace(metadata.fp32, clean=False)
    assert kept.models["model.int8.onnx"] == replace(metadata.int8, repeat_error=None)
    assert (kept.default, kept.budget_ms) == ("model.onnx", 2.0)
    assert (kept.device, kept.runtime, kept.threads) == ("test device", "onnxruntime", 1)


@pytest.mark.parametrize("is_met", [True, False])
def test_written_later_it_is_as_if_measured_then(write, metadata, unclean, tmp_path, is_met):
    kept = read_kept(unclean)
    found = {
        "model.onnx": remeasured(kept.models["model.onnx"], 1.5, 1.75, 0.02),
        "model.int8.onnx": remeasured(kept.models["model.int8.onnx"], 0.5, 0.75, float("inf")),
    }
    write_latencies(kept, found, "1.32", is_met)
    assert verify_bundle(unclean) == []
    fp32 = Measured(1.5, 1.75, 0.02, metadata.fp32.test_accuracy)
    int8 = Measured(0.5, 0.75, None, metadata.int8.test_accuracy)
    at_once = write(
        tmp_path / "other",
        metadata=replace(metadata, fp32=fp32, int8=int8, runtime_version="1.32", met_budget=is_met),
    )
    for path in at_once.iterdir():
        assert (unclean / path.name).read_bytes() == path.read_bytes(), path.name


def test_limits_behind_the_latency_stay(write, metadata, tmp_path):
    limits = [{"metric": "params", "allowed": 1e6, "used": 5e5}]
    folder = write(tmp_path, metadata=replace(metadata, limits=limits))
    kept = read_kept(folder)
    write_latencies(kept, {"model.onnx": remeasured(kept.models["model.onnx"], 1.5, 1.75, 0.02)}, "1.32", True)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "Further limits" in card and "unclean" not in card and "| `model.onnx` | 1.500 | 2.0% |" in card
    assert card.count("Latency is ") == 1


def test_a_bundle_that_was_never_measured_is_now(write, metadata, tmp_path):
    nothing = {"fp32": Measured(None, None, None, 0.9), "int8": None}
    folder = write(tmp_path, int8=None, metadata=replace(metadata, **nothing))
    assert "not_measured_on" in manifest(folder)
    kept = read_kept(folder)
    write_latencies(kept, {"model.onnx": remeasured(kept.models["model.onnx"], 1.5, 1.75, 0.02)}, "1.32", True)
    assert "not_measured_on" not in manifest(folder) and manifest(folder)["measured_on"]["runtime_version"] == "1.32"
    assert "Latency is the 10 %" in (folder / "MODEL_CARD.md").read_text() and verify_bundle(folder) == []


@pytest.mark.parametrize(
    "damage", ["altered", "missing", "another card", "no card", "no manifest", "list", "no models"]
)
def test_what_is_no_whole_bundle_is_refused(write, tmp_path, damage):
    folder = write(tmp_path / "run")
    path = folder / MANIFEST
    if damage == "altered":
        (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"x")
    elif damage == "missing":
        (folder / "model.onnx").unlink()
    elif damage == "another card":
        (folder / "MODEL_CARD.md").write_text("# Mine")
    elif damage == "no card":
        (folder / "MODEL_CARD.md").unlink()
    elif damage == "no manifest":
        path.unlink()
    else:
        path.write_text("[]" if damage == "list" else "{}")
    with pytest.raises(UsageError if damage == "no manifest" else DataError, match=str(folder)):
        read_kept(folder)
