"""Latency from few measurements, on NAS-Bench-201 (arXiv:2001.00326): a new device from 10 probes; one device alone.

    python -m tests.benchmarks.adapt --data DIR_OR_FILE [--dry]

`--data` (or the environment variable EDGENAS_DATA) names `nb201.npz` or its folder: `op_codes` (n, 6) of the edges
0-1, 0-2, 1-2, 0-3, 1-3, 2-3, `lat_names`, `lat_ms` (n, devices).

First HELP's protocol (arXiv:2106.08630): nine devices to learn from, four to score, 10 probes each. All constants come
from the nine, each taken for the new one in turn: those that rank best. Then one device at a time, without any other:
100 or 900 measured networks, beside ridge regression on the one-hot choice of each edge whose strength is the best by
leave-one-out. Networks without a path from input to output stand in the rank correlations of the first part and nowhere
else.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from edgenas.latency.gaussian_process import fit_process
from edgenas.latency.transfer import PROBES, adapt, choose, fit_prior, rank_error
from tests.benchmarks._common import record

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPS = 5  # code 0 is `none`
LEARN = "1080ti_1 1080ti_32 1080ti_256 silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7".split()
SCORE = "titanx_1 titanx_32 titanx_256 gold_6240".split()
STRENGTHS = 10.0 ** np.arange(-3, 4)


@dataclass(frozen=True)
class Bench:
    """Devices by name, latencies (n, devices) in ms, op codes of edges (n, 6), which networks have a path (n,)."""

    names: list[str]
    ms: np.ndarray
    codes: np.ndarray
    path: np.ndarray

    def columns(self, names: Sequence[str]) -> np.ndarray:
        return self.ms[:, [self.names.index(name) for name in names]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), help="nb201.npz, or its folder")
    parser.add_argument("--draws", type=int, default=5, help="random draws of measured networks")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 900], help="measured networks of one device")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    if args.data is None:
        parser.error("name the data: --data DIR_OR_FILE, or EDGENAS_DATA")
    bench = load(Path(args.data))
    sections = {f"A new device from {PROBES} probes, NAS-Bench-201, HELP's protocol": new_device(bench)}
    for size in args.sizes:
        title = f"One device from {size} measured networks, NAS-Bench-201, {args.draws} draws"
        sections[title] = one_device(bench, size, args.draws)
    for title, lines in sections.items():
        if args.dry:
            print("\n".join([f"\n## {title}\n", *lines]))
        else:
            record(title, lines)


def load(path: Path) -> Bench:
    with np.load(path / "nb201.npz" if path.is_dir() else path) as data:
        codes = data["op_codes"].astype(int)
        return Bench(data["lat_names"].tolist(), data["lat_ms"].astype(float), codes, reached(codes))


def reached(codes: np.ndarray) -> np.ndarray:
    """Which networks have a path from input to output (n,)."""
    values = np.zeros((len(codes), 4), dtype=bool)
    values[:, 0] = True
    for edge, (source, target) in sorted(enumerate(EDGES), key=lambda item: item[1][1]):
        values[:, target] |= values[:, source] & (codes[:, edge] != 0)
    return values[:, 3]


def read_edges(codes: np.ndarray) -> np.ndarray:
    """Codes (n, 6) with 0 on edges whose value nothing reads.

    Runtimes drop these. What is computed from zeros stays: a runtime does not see that a sum of nothing is zero.
    """
    values = np.zeros((len(codes), 4), dtype=bool)
    values[:, 3] = True
    for edge, (source, target) in sorted(enumerate(EDGES), key=lambda item: -item[1][0]):
        values[:, source] |= values[:, target] & (codes[:, edge] != 0)
    return np.stack([np.where(values[:, target], codes[:, e], 0) for e, (_, target) in enumerate(EDGES)], axis=1)


def one_hot(codes: np.ndarray) -> np.ndarray:
    return (codes[:, :, None] == np.arange(OPS)).astype(float)


def op_counts(codes: np.ndarray) -> np.ndarray:
    return one_hot(codes).sum(axis=1)


def new_device(bench: Bench) -> list[str]:
    known = bench.columns(LEARN)
    features = [op_counts(bench.codes), op_counts(read_edges(bench.codes))[:, 1:]]
    lines = [
        "| device | Spearman, all networks | mean error | inside the 90 % interval | fit |",
        "|---|---|---|---|---|",
    ]
    ranks, held_out = [], []
    for name in SCORE:
        row, rank = _score(bench, name, known, features)
        lines.append(row)
        ranks.append(rank)
    for name in LEARN:
        others = bench.columns([other for other in LEARN if other != name])
        held_out.append(_score(bench, name, others, features)[1])
    return [
        *lines,
        "",
        f"mean Spearman {np.mean(ranks):.4f}; of the nine, each from the other eight: {np.mean(held_out):.4f}",
    ]


def _score(bench: Bench, name: str, known: np.ndarray, features: list[np.ndarray]) -> tuple[str, float]:
    ms = bench.columns([name])[:, 0]
    start = time.perf_counter()
    prior = fit_prior(known, features, loss=rank_error)
    probes = choose(prior)
    result = adapt(prior, {int(i): float(ms[i]) for i in probes})
    seconds = time.perf_counter() - start
    unseen = np.setdiff1d(np.flatnonzero(bench.path), probes)
    error = np.abs(result.ms / ms - 1)[unseen].mean()
    inside = (np.abs(ms / result.ms - 1) <= result.margin)[unseen].mean()
    rank = float(spearmanr(result.ms, ms).statistic)
    return f"| {name} | {rank:.4f} | {error:.1%} | {inside:.0%} | {seconds:.2f} s |", rank


def one_device(bench: Bench, size: int, draws: int) -> list[str]:
    """Rows by device; differences are paired: both predictors see the same networks, draw by draw."""
    scores = np.array([_draw(bench, size, seed) for seed in range(draws)])  # (draws, devices, predictor, measure)
    lines = [
        "| device | mean error: one-hot ridge | ours | difference | Spearman: one-hot ridge | ours | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for i, name in enumerate(bench.names):
        lines.append(_row(name, scores[:, i]))
    return [*lines, _row("mean", scores.mean(axis=1))]


def _draw(bench: Bench, size: int, seed: int) -> np.ndarray:
    """(devices, predictor, measure): of all networks with a path, some measured, the others predicted."""
    some = np.random.default_rng(seed).permutation(np.flatnonzero(bench.path))
    seen, unseen = some[:size], some[size:]
    read = read_edges(bench.codes)
    features = [op_counts(bench.codes), one_hot(bench.codes).reshape(len(read), -1)]
    features += [op_counts(read)[:, 1:], one_hot(read).reshape(len(read), -1)]
    scores = []
    for ms in bench.ms.T:
        process = fit_process([x[seen] for x in features], ms[seen])
        ours = process([x[unseen] for x in features])
        ridge = _ridge(features[1][seen], ms[seen], features[1][unseen])
        scores.append([_measures(p, ms[unseen]) for p in (ridge, ours)])
    return np.array(scores)


def _measures(predicted: np.ndarray, ms: np.ndarray) -> tuple[float, float]:
    return float(np.abs(predicted / ms - 1).mean()), float(spearmanr(predicted, ms).statistic)


def _ridge(x: np.ndarray, ms: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Ridge regression with the strength of least leave-one-out error."""
    centred, target = x - x.mean(axis=0), ms - ms.mean()
    best: tuple[float, np.ndarray] | None = None
    for strength in STRENGTHS:
        inverse = np.linalg.solve(centred.T @ centred + strength * np.eye(x.shape[1]), centred.T)
        weights = inverse @ target
        leverage = np.sum(centred * inverse.T, axis=1) + 1 / len(ms)
        error = float(np.mean(((target - centred @ weights) / (1 - leverage)) ** 2))
        if best is None or error < best[0]:
            best = error, weights
    assert best is not None
    return np.asarray(ms.mean() + (test - x.mean(axis=0)) @ best[1])


def _row(name: str, scores: np.ndarray) -> str:
    """`scores` is (draws, predictor, measure)."""
    cells = []
    for measure, form in enumerate(("{:.2%}", "{:.4f}")):
        ridge, ours = scores[:, 0, measure], scores[:, 1, measure]
        error = np.std(ours - ridge, ddof=1) / np.sqrt(len(ours)) if len(ours) > 1 else np.nan
        cells += [form.format(x) for x in (ridge.mean(), ours.mean())]
        cells.append(f"{form.format((ours - ridge).mean())} +- {form.format(error)}")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
