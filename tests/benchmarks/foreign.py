"""Twelve networks that edgenas did not make: `predict model.onnx` against `bench` of the same files.

    python -m tests.benchmarks.foreign [--table FILE] [--keep FOLDER] [--dry]

Exports torchvision's networks with random weights, predicts each from a general table, and times all of them in a fresh
process. Without --table it first measures one as `edgenas profile --general` does (about four minutes); no network of
torchvision's is in it. Bars: mean error at most 15 %, none above 35 %, Spearman at least .95.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from edgenas.latency.forecast import Forecast
from edgenas.latency.table import LatencyTable
from edgenas.runtimes.bench import Bench, bench_in_fresh_process
from edgenas.system.progress import PlainReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.predict import predict_files
from edgenas.workflows.profile import profile
from tests.benchmarks._common import record

NETWORKS = (
    *(("mobilenet_v2", 224), ("mobilenet_v3_small", 224), ("mobilenet_v3_large", 224), ("shufflenet_v2_x1_0", 224)),
    *(("mnasnet1_0", 224), ("squeezenet1_1", 224), ("resnet18", 224), ("efficientnet_b0", 224)),
    *(("regnet_y_400mf", 224), ("mobilenet_v2", 160), ("resnet18", 128), ("mobilenet_v3_large", 96)),
)
MOST_REPEAT_ERROR = 0.04


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="a general table of this machine (default: measure one)")
    parser.add_argument("--keep", type=Path, help="folder for the files (default: a temporary one)")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        models = [exported(name, side, folder) for name, side in NETWORKS]
        table = arguments.table or measured_table(folder / "general.csv")
        prices, forecasts = predict_files(make_config({}), models, table=table)
        reporter = PlainReporter(sys.stderr)
        with reporter.stage(f"time {len(models)} networks") as tell:
            benches = bench_in_fresh_process(models, seconds=5.0, progress=tell)
        lines = report(forecasts, benches, prices)
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("ONNX files that edgenas did not make", lines)


def exported(name: str, side: int, folder: Path) -> Path:
    """One of torchvision's networks with random weights as an ONNX file, batch norm folded."""
    import torch
    import torchvision

    path = folder / f"{name}-{side}.onnx"
    if not path.exists():
        torch.manual_seed(0)
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")  # of the exporter's age, and of weights that are drawn
            network = getattr(torchvision.models, name)(weights=None).eval()
            torch.onnx.export(network, torch.zeros(1, 3, side, side), path, dynamo=False)
    return path


def measured_table(path: Path) -> Path:
    """A general table of this machine."""
    profile(make_config({}), PlainReporter(sys.stderr), shape=(3, 224, 224), classes=1000, out=path, general=True)
    return path


def report(forecasts: Sequence[Forecast], benches: Sequence[Bench], table: LatencyTable) -> list[str]:
    """The table of networks, and the bars."""
    measured = np.array([b.ms for b in benches])
    predicted, macs_only = (np.array([getattr(f, n) for f in forecasts]) for n in ("latency_ms", "macs_only_ms"))
    error = predicted / measured - 1
    lines = [
        f"table: {len(table.ops)} ops and {len(table.nets)} networks of {table.device}, "
        f"repeat error {float(table.header['repeat_error']):.1%} (9 rows of 10 within)",
        "",
        "| network | measured ms | repeat error | predicted ms | error | 90 % interval | estimated | mult-adds only |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for b, f, e, only in zip(benches, forecasts, error, macs_only / measured - 1, strict=True):
        lines.append(
            f"| {b.model.removesuffix('.onnx')} | {b.ms:.3f} | {b.repeat_error:.1%} | {f.latency_ms:.3f} | {e:+.1%} "
            f"| {f.low_ms:.2f} to {f.high_ms:.2f} | {f.estimated_share:.0%} | {only:+.0%} |"
        )
    inside = sum(f.low_ms <= b.ms <= f.high_ms for f, b in zip(forecasts, benches, strict=True))
    lines += [
        "",
        *(
            f"{name}: mean error {abs(figures / measured - 1).mean():.1%}, largest "
            f"{abs(figures / measured - 1).max():.1%}, Spearman {spearmanr(figures, measured).statistic:.3f}"
            for name, figures in (("edgenas", predicted), ("multiply-adds only", macs_only))
        ),
        f"{inside} of {len(benches)} within their interval",
    ]
    if (worst := max(b.repeat_error for b in benches)) > MOST_REPEAT_ERROR:
        lines.append(f"not shown: a repeat error of {worst:.1%}; measure again when less runs beside it")
    return lines


if __name__ == "__main__":
    main()
