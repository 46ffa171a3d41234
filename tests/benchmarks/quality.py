"""Accuracy from few labels, on NAS-Bench-201 (arXiv:2001.00326): CIFAR-10, validation, after 200 epochs.

    python -m tests.benchmarks.quality --data DIR_OR_FILE [--dry]

`--data` (or the environment variable EDGENAS_DATA) names `nb201.npz` or its folder: `op_codes` (n, 6), an architecture
of the space `nasbench201` a row, and `acc_c10_val`. Some random architectures are labels, all others are predicted;
both predictors see the same ones. Beside them ridge regression on pairs of edges, which does not know dead edges.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.predictors.graph_network import Graphs
from edgenas.strategies.predictors.interface import QualityPredictor
from edgenas.strategies.predictors.pairs import Pairs, fit_ridge
from tests._ranks import spearman
from tests.benchmarks._common import record
from tests.benchmarks._tabular import add_data, data_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data(parser)
    parser.add_argument("--seeds", type=int, default=5, help="random draws of labels")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 424], help="labels")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    with np.load(data_file(parser, args.data)) as data:
        archs, accuracy = [tuple(row) for row in data["op_codes"].tolist()], data["acc_c10_val"].astype(float)
    title = f"Accuracy of CIFAR-10, validation, from few labels, NAS-Bench-201, {args.seeds} draws"
    lines = compare(archs, accuracy, args.sizes, args.seeds)
    if args.dry:
        print("\n".join([f"\n## {title}\n", *lines]))
    else:
        record(title, lines)


class PlainPairs:
    """Ridge regression on the options of edges and of pairs of edges, and on accuracies as they are ranked."""

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: Generator) -> None:
        order = np.argsort(np.argsort(qualities)).astype(float)
        self.centre = _pairs(archs).mean(axis=0)
        self.labels = _pairs(archs) - self.centre
        self.length = float(np.mean(np.sum(self.labels**2, axis=1)))
        self.ridge = fit_ridge(self.labels @ self.labels.T / self.length, order)

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        features = _pairs(archs) - self.centre
        own = np.sum(features**2, axis=1) / self.length
        return self.ridge(features @ self.labels.T / self.length, own)


def _pairs(archs: Sequence[Arch]) -> np.ndarray:
    single = (np.array(archs)[:, :, None] == np.arange(5)).astype(float)
    both = [(single[:, a, :, None] * single[:, b, None]).reshape(len(single), -1) for a, b in PAIRS]
    return np.concatenate([single.reshape(len(single), -1), *both], axis=1)


PAIRS = tuple(itertools.combinations(range(6), 2))


def compare(archs: list[Arch], accuracy: np.ndarray, sizes: Sequence[int], seeds: int) -> list[str]:
    space = build_space("nasbench201", (3, 32, 32), 10)
    graphs = Graphs(space)  # keeps the graphs that it has read
    makers: dict[str, Callable[[SearchSpace], QualityPredictor]] = {
        "ridge on pairs of edges": lambda space: PlainPairs(),
        "`_pairs`": Pairs,
        "`_graph_network`": lambda space: graphs,
    }
    lines = [
        "| predictor | labels | Spearman, all others | least | fit | all others predicted |",
        "|---|---|---|---|---|---|",
    ]
    for size, (name, make) in itertools.product(sizes, makers.items()):
        rows = np.array([score(make(space), archs, accuracy, size, seed) for seed in range(seeds)])
        rank, fit_s, predict_s = rows.T
        deviation = rank.std(ddof=1) if seeds > 1 else np.nan
        lines.append(
            f"| {name} | {size} | {rank.mean():.4f} +- {deviation:.4f} | {rank.min():.4f} "
            f"| {np.median(fit_s):.2f} s | {np.median(predict_s):.2f} s |"
        )
        print(lines[-1], flush=True)
    return lines


def score(
    predictor: QualityPredictor, archs: list[Arch], accuracy: np.ndarray, size: int, seed: int
) -> tuple[float, float, float]:
    """Spearman's correlation on all others, and seconds of processor time to fit and to predict."""
    order = np.random.default_rng(seed).permutation(len(archs))
    seen, unseen = order[:size], order[size:]
    started = time.process_time()
    predictor.fit([archs[i] for i in seen], accuracy[seen].tolist(), np.random.default_rng(seed))
    fitted = time.process_time()
    mean, _ = predictor.predict([archs[i] for i in unseen])
    return spearman(mean, accuracy[unseen]), fitted - started, time.process_time() - fitted


if __name__ == "__main__":
    main()
