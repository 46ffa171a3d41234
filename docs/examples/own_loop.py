"""Run the search loop by yourself: your own accuracy, budgets on latency and size, no training by edgenas.

    python docs/examples/own_loop.py

Take this where you have a training pipeline of your own, and want architectures that meet a latency budget.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np

import edgenas

DEVICE = "amd-epyc-zen4/onnxruntime-1t-fp32"


class Space(edgenas.SearchSpace):
    """Two convolutions, kernels and widths searched."""

    choices = (edgenas.Choice("kernel", (1, 3, 5)), edgenas.Choice("hidden", (8, 16, 32)))

    def emit(self, g: edgenas.Builder) -> None:
        """Write the space as one program."""
        x = g.conv("stem", g.input, out=8, kernel=3, stride=2, act="relu")
        bodies = {}
        for hidden in (8, 16, 32):
            kernels = {k: g.conv(f"h{hidden}.k{k}", x, out=hidden, kernel=k, act="relu") for k in (1, 3, 5)}
            h = g.choose("kernel", kernels, name=f"h{hidden}.kernel")
            bodies[hidden] = g.conv(f"h{hidden}.project", h, out=16, act="relu")
        g.linear("head", g.global_pool("pool", g.choose("hidden", bodies)), out=self.classes)


def main() -> None:
    """Run the example."""
    space = Space((1, 28, 28), 10)
    table = next(edgenas.read_table(Path(entry.file)) for entry in edgenas.list("devices") if entry.name == DEVICE)
    latency, _, high = edgenas.latency_interval(table, space, estimate_missing=True)
    # The upper end of the interval is what must be within the budget; parameters are limited as well.
    objective = edgenas.Objective({high.metric: 0.06, "params": 5000})

    def accuracy(arch: tuple[int, ...]) -> dict[str, float]:
        """Stand in for your training: build `space.graph(arch)` in your framework, train it, and score it."""
        kernel, hidden = (float(value) for value in space.values(arch).values())
        return {"accuracy": 0.8 + 0.02 * math.log2(kernel * hidden)}

    problem = edgenas.Problem(space, (latency, high, edgenas.CountCost("params")), objective, accuracy)
    strategy = edgenas.strategies.Evolution(problem, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        study = edgenas.Study(Path(folder), objective)
        ending = edgenas.run_search(problem, strategy, study, max_trials=20)
        best = study.best(1)[0]
        print(f"{len(study.trials)} trials, ended by {ending}; best {space.values(best.arch)}")
        print({name: round(value, 4) for name, value in best.metrics.items()})


if __name__ == "__main__":
    main()
