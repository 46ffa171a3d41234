"""Files are timed side by side."""

from edgenas.workflows.bench import bench


def test_the_conditions_are_handed_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("edgenas.workflows.bench.bench_in_fresh_process", lambda *a, **k: asked.append((a, k)) or [])
    assert bench([tmp_path / "a.onnx"], threads=2, runtime="r", seconds=1.0) == []
    ((models,), conditions) = asked[0]
    assert models == [tmp_path / "a.onnx"]
    assert conditions == {"threads": 2, "runtime": "r", "seconds": 1.0, "progress": None}
