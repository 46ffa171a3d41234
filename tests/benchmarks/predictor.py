"""The latency predictor against measured networks it has not seen, beside multiply-adds and simple counts.

    python -m tests.benchmarks.predictor

Profiles the whole space on this machine (about 90 s), then times 60 random architectures of all choices: kernel,
expansion, squeeze-and-excite, depth, activation, width, resolution. Baselines are fitted on the same networks as the
correction.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from edgenas import api
from edgenas.config import make_config
from edgenas.cost.latency import Prices, latency_interval, training_rows
from edgenas.cost.table import LatencyTable
from edgenas.graph import Graph
from edgenas.profiling.host import time_graphs
from edgenas.progress import PlainReporter
from edgenas.spaces._base import SearchSpace, build_space
from edgenas.spaces._genes import sample
from tests.benchmarks._common import record

SHAPE, CLASSES, TEST_NETS, DRAWS = (1, 32, 32), 10, 60, 10_000
MOST_REPEAT_ERROR, TRIES = 0.04, 3


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    reporter = PlainReporter(sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        _, table = api.profile(make_config({}), reporter, shape=SHAPE, classes=CLASSES, out=path)
    space = build_space("mbconv", SHAPE, CLASSES)
    rng = np.random.default_rng(12345)
    archs = [sample(space, rng) for _ in range(TEST_NETS)]
    graphs = {space.code(arch): space.graph(arch) for arch in archs}
    for _ in range(TRIES):  # a figure counts at a repeat error of 4 % or less
        with reporter.stage("measure unseen networks") as tell:
            timings = time_graphs(
                graphs, "onnxruntime", 1, seconds=20.0, rng=rng, quiet_ms=table.reference_ms, progress=tell
            )
        measured = np.array([timings[code].ms for code in graphs])
        repeat = np.quantile([timings[code].repeat_error for code in graphs], 0.9)
        if repeat <= MOST_REPEAT_ERROR:
            break
    latency, low, high = latency_interval(table, space)
    predictions = {
        "edgenas": np.array([latency(graph) for graph in graphs.values()]),
        **_baselines(table, space, list(graphs.values())),
    }
    inside = [low(g) <= ms <= high(g) for g, ms in zip(graphs.values(), measured, strict=True)]
    lines = [
        f"table: {len(table.ops)} ops, repeat error {float(table.header['repeat_error']):.1%} (9 rows of 10 within);"
        f" {latency.correction.nets} networks behind the correction; {TEST_NETS} unseen networks of"
        f" {measured.min():.3f} to {measured.max():.3f} ms, repeat error {repeat:.1%} (9 of 10 within)",
        "",
        "| predictor | mean error | within 5 % | within 10 % | Spearman | better than it, bootstrap |",
        "|---|---|---|---|---|---|",
    ]
    errors = {name: abs(p / measured - 1) for name, p in predictions.items()}
    for name, error in errors.items():
        rank = spearmanr(predictions[name], measured).statistic
        better = "" if name == "edgenas" else f"{_bootstrap(errors['edgenas'], error):.1%} of {DRAWS:,} draws"
        lines.append(
            f"| {name} | {error.mean():.1%} | {(error <= 0.05).mean():.0%} | {(error <= 0.1).mean():.0%} "
            f"| {rank:.4f} | {better} |"
        )
    lines += [
        "",
        f"the interval of +- {latency.correction.margin:.1%} holds {np.mean(inside):.0%} of the unseen networks",
    ]
    record("Latency predictor on unseen networks", lines)


def _baselines(table: LatencyTable, space: SearchSpace, graphs: list[Graph]) -> dict[str, np.ndarray]:
    """Least squares on relative errors, fitted on the table's own networks."""
    _, ms = training_rows(Prices(table), space.name)
    known = [space.graph(space.parse(net.code)) for net in table.nets]
    assert len(known) == len(ms)

    def counts(graph: Graph) -> list[float]:
        rows = [table.ops[node.key] for node in graph.priced]
        return [sum(r.macs for r in rows) / 1e6, len(rows), sum(r.bytes for r in rows) / 1e6]

    train, test = (np.array([counts(graph) for graph in some]) for some in (known, graphs))
    return {
        "multiply-adds": _least_squares(train[:, :1], np.array(ms), test[:, :1]),
        "multiply-adds + nodes + bytes": _least_squares(train, np.array(ms), test),
    }


def _least_squares(x: np.ndarray, ms: np.ndarray, test: np.ndarray) -> np.ndarray:
    design = np.column_stack([x, np.ones(len(x))])
    weights = np.linalg.lstsq(design / ms[:, None], np.ones(len(ms)), rcond=None)[0]
    return np.column_stack([test, np.ones(len(test))]) @ weights


def _bootstrap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of paired bootstrap draws of the networks in which our mean error is the smaller one."""
    rng = np.random.default_rng(0)
    picks = rng.integers(len(ours), size=(DRAWS, len(ours)))
    return float((ours[picks].mean(axis=1) < theirs[picks].mean(axis=1)).mean())


if __name__ == "__main__":
    main()
