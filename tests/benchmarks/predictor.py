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

from edgenas.devices.timed_graphs import time_graphs
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.system.progress import PlainReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.profile import profile
from tests.benchmarks._common import record
from tests.benchmarks._predictors import comparison

SHAPE, CLASSES, TEST_NETS = (1, 32, 32), 10, 60
MOST_REPEAT_ERROR, TRIES = 0.04, 3


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    reporter = PlainReporter(sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        _, table = profile(make_config({}), reporter, shape=SHAPE, classes=CLASSES, out=path)
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
    lines = [
        f"table: {len(table.ops)} ops, repeat error {float(table.header['repeat_error']):.1%} (9 rows of 10 within);"
        f" {len(table.nets)} networks behind the correction; {TEST_NETS} unseen networks of"
        f" {measured.min():.3f} to {measured.max():.3f} ms, repeat error {repeat:.1%} (9 of 10 within)",
        "",
        *comparison(table, space, list(graphs.values()), measured),
    ]
    record("Latency predictor on unseen networks", lines)


if __name__ == "__main__":
    main()
