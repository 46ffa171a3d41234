"""How well a table predicts networks that it has not seen, beside what counts alone would say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, spearmanr

from edgenas.graph.graph import Graph
from edgenas.latency.correction import COVERAGE
from edgenas.latency.predictor import Prices, latency_interval, training_rows
from edgenas.latency.table import LatencyTable
from edgenas.spaces.base import SearchSpace

DRAWS = 10_000


def comparison(table: LatencyTable, space: SearchSpace, graphs: Sequence[Graph], measured: np.ndarray) -> list[str]:
    """A table of predictors, and how often the interval holds; `measured` (len(graphs),) in ms."""
    latency, low, high = latency_interval(table, space)
    predictions = {
        "edgenas": np.array([latency(graph) for graph in graphs]),
        **_baselines(table, space, graphs),
    }
    errors = {name: abs(p / measured - 1) for name, p in predictions.items()}
    lines = [
        "| predictor | mean error | within 5 % | within 10 % | Spearman | edgenas is better, paired bootstrap |",
        "|---|---|---|---|---|---|",
    ]
    for name, error in errors.items():
        rank = spearmanr(predictions[name], measured).statistic
        better = "" if name == "edgenas" else f"{_bootstrap(errors['edgenas'], error):.1%} of {DRAWS:,} draws"
        lines.append(
            f"| {name} | {error.mean():.1%} | {(error <= 0.05).mean():.0%} | {(error <= 0.1).mean():.0%} "
            f"| {rank:.4f} | {better} |"
        )
    inside = sum(low(g) <= ms <= high(g) for g, ms in zip(graphs, measured, strict=True))
    test = binomtest(inside, len(graphs), COVERAGE).proportion_ci(0.95)
    lines += [
        "",
        f"the {COVERAGE:.0%} interval of +- {latency.correction.margin:.1%} holds {inside} of {len(graphs)} unseen "
        f"networks (binomial 95 % interval {test.low:.0%} to {test.high:.0%})",
    ]
    return lines


def _baselines(table: LatencyTable, space: SearchSpace, graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
    """Least squares on relative errors, fitted on the table's own networks."""
    _, ms = training_rows(Prices(table), space.name)
    known = [space.graph(space.parse(net.code)) for net in table.nets]
    assert len(known) == len(ms)

    def counts(graph: Graph) -> list[float]:
        rows = [table.ops[node.key] for node in graph.priced]
        return [sum(r.macs for r in rows) / 1e6, len(rows), sum(r.bytes for r in rows) / 1e6, sum(r.ms for r in rows)]

    train, test = (np.array([counts(graph) for graph in some]) for some in (known, graphs))
    columns = {
        "multiply-adds": [0],
        "multiply-adds + nodes + bytes": [0, 1, 2],
        "plain sum of rows": [3],
    }
    return {name: _least_squares(train[:, c], np.array(ms), test[:, c]) for name, c in columns.items()}


def _least_squares(x: np.ndarray, ms: np.ndarray, test: np.ndarray) -> np.ndarray:
    design = np.column_stack([x, np.ones(len(x))])
    weights = np.linalg.lstsq(design / ms[:, None], np.ones(len(ms)), rcond=None)[0]
    return np.column_stack([test, np.ones(len(test))]) @ weights


def _bootstrap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of paired bootstrap draws of the networks in which our mean error is the smaller one."""
    rng = np.random.default_rng(0)
    picks = rng.integers(len(ours), size=(DRAWS, len(ours)))
    return float((ours[picks].mean(axis=1) < theirs[picks].mean(axis=1)).mean())
