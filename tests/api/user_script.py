"""What a user writes: each public function is called once, and `mypy --strict` has nothing to say.

It is checked, not run: measured and trained for real it takes minutes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

import edgenas


class Mine(edgenas.SearchSpace):
    """One choice."""

    choices = (edgenas.Choice("kernel", (3, 5)),)

    def emit(self, g: edgenas.Builder) -> None:
        """Write the space as one program."""
        convs = {k: g.conv(f"k{k}", g.input, out=8, kernel=k, act="relu") for k in (3, 5)}
        g.linear("head", g.global_pool("pool", g.choose("kernel", convs)), out=self.classes)


def search_and_use(photos: Path) -> None:
    """Find a model, use it, and go on from it."""
    x, y = np.zeros((30, 28, 28), dtype=np.uint8), np.arange(30) % 3
    fitting: list[str] = [row.network for row in edgenas.baseline(photos, budget_ms=8, image_size=96).fitting]
    result: edgenas.Result = edgenas.search(photos, budget_ms=8, image_size=96, output="runs/a")
    edgenas.search((x, y), {"here": 8, "pi5": 20}, space=Mine, strategy=edgenas.strategies.Evolution)
    small = partial(edgenas.strategies.Evolution, population_size=8)
    edgenas.search("digits", 8.0, strategy=small, options={"guards": "off"}, trials=20, progress=True)
    labels: tuple[str, ...] = result.model(["cat.jpg", Path("dog.jpg")]).labels
    share: float = float(result.model(x).probabilities.max())
    best: float = max(point["accuracy"] for point in result.front)
    other: edgenas.Result = edgenas.specialize(result.path, budget_ms=5, device="pi5")
    kendall: float = edgenas.ranking("runs/a", networks=8).kendall
    code: str = edgenas.train(result.arch, "digits", final_epochs=3).arch
    model: Path = edgenas.export(other.path, "model.onnx", dynamic_batch=True)
    print(fitting, labels, share, best, kendall, code, [found.ms for found in edgenas.bench([model])])


def measure(table: Path) -> None:
    """Predict, measure here, and have another device measured."""
    fastest: float = min(row.latency_ms for row in edgenas.predict(samples=5, space=Mine, table=table))
    path, here = edgenas.profile(space="mbconv", shape=(3, 96, 96), seconds=60)
    probes = edgenas.kit("kit.zip", only={"width": ["0.5"]}, nets=30)["probes"]
    for file, found in edgenas.ingest("results.jsonl", kit="kit.zip"):
        print(file.name, found.device, len(found.ops))
    adapted = edgenas.adapt("results.jsonl", sources=["pi4"])
    met: bool | None = edgenas.confirm("confirmed.jsonl", "runs/pi5").met_budget
    devices: list[str] = [entry.file for entry in edgenas.list("devices")]
    strategies: list[str] = [entry.name for entry in edgenas.list("strategies")]
    print(fastest, path, here.device, probes, adapted, met, devices, strategies)


def own_loop(folder: Path, table: Path) -> list[tuple[int, ...]]:
    """Search by one's own accuracy."""
    space = Mine((3, 32, 32), 10)
    latency, _, high = edgenas.latency_interval(edgenas.read_table(table), space, estimate_missing=True)
    objective = edgenas.Objective({high.metric: 0.5})

    def accuracy(arch: tuple[int, ...]) -> dict[str, float]:
        return {"accuracy": 0.9 + 0.01 * sum(arch)}

    problem = edgenas.Problem(space, (latency, high, edgenas.CountCost("macs")), objective, accuracy)
    study = edgenas.Study(folder, objective)
    try:
        edgenas.run_search(problem, edgenas.strategies.Random(problem, np.random.default_rng(0)), study, max_trials=20)
    except edgenas.EdgeNASError as error:
        print(error.exit_code, error)
    return [trial.arch for trial in study.best(3)]


def check() -> None:
    """Check that the space keeps its contract."""
    edgenas.testing.space_contract(Mine)
