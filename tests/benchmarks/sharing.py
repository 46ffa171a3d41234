"""What weight sharing is worth under a budget: all its strategies on a part of Fashion-MNIST, in equal time.

    python -m tests.benchmarks.sharing --output runs/sharing [--share 0.4] [--seeds 2] [--dry]

10,000 of the training images, each class in proportion, and all test images. Lengths of training are set so that
every run takes about as long, in all, on 2 cores; seconds are printed. `evolution` and `random` search on one supernet,
which counts for both. `largest` is the feasible network with most multiply-adds: without search, it is trained alone
for the time that the others have. Takes an hour and more; started again with the same command it goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.system.progress import PlainReporter, Reporter
from edgenas.workflows.config import make_config
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from tests.benchmarks._common import accuracy, record, result_of, spread
from tests.benchmarks._fashion_part import TRAIN_IMAGES

TEST_IMAGES = 10_000
SETTINGS: dict[str, Any] = {
    "data": "tests.benchmarks._fashion_part",
    "validation_share": 0.15,  # 1,500 images: what is chosen by few is chosen by chance
    "space": "mbconv",
    "trials": 48,
    "finalists": 1,
    "final_epochs": 12,
    "int8": False,
}
# Epochs of weights: the fewer paths a step trains, the more.
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {"supernet_epochs": 2},
    "evolution": {"supernet_epochs": 2},
    "darts": {"search_epochs": 1, "final_epochs": 10},
    "gdas": {"search_epochs": 6},
    "proxyless": {"search_epochs": 2},
    "enas": {"search_epochs": 10},
    "tunas": {"search_epochs": 6},
    "oneshot": {"search_epochs": 8},
    "largest": {"strategy": "evolution", "evaluator": "tests.benchmarks._by_size", "final_epochs": 18},
}


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.4, help="budget, as a share of the largest network's latency")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[*STRATEGIES], help="these strategies alone")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    folder, reporter = args.output, PlainReporter(sys.stderr)
    ms = budget_ms(folder, args.share, reporter)
    rows = {
        name: [searched(folder, reporter, name, seed, budget_ms=ms) for seed in range(args.seeds)] for name in args.only
    }
    title, lines = "Weight sharing in equal time, 10,000 images of Fashion-MNIST", report(rows, ms)
    print("\n".join(lines)) if args.dry else record(title, lines)


def budget_ms(folder: Path, share: float, reporter: Reporter) -> float:
    """A share of the largest network's measured latency; this machine is profiled, if it was not."""
    cheap = {"evaluator": "tests.benchmarks._by_size", "final_epochs": 1, "trials": 2, "seed": 0}
    base = run(folder / "bounds", reporter, **cheap, budget_ms=1000.0)
    return round(share * base.largest_ms, 3)


def searched(folder: Path, reporter: Reporter, name: str, seed: int, **settings: Any) -> Result:
    """One run of the comparison; `evolution` takes the supernet of `random` over, and its time."""
    mine = {"strategy": name, **STRATEGIES[name], "seed": seed, **settings}
    shared = folder / f"random-{seed}"
    if name != "evolution" or not shared.exists():
        return run(folder / f"{name}-{seed}", reporter, **mine)
    result = run(folder / f"{name}-{seed}", reporter, **mine, reuse=str(shared))
    source = result_of(shared)
    assert source is not None
    return replace(result, seconds={**result.seconds, "supernet": source.seconds["supernet"]})


def run(output: Path, reporter: Reporter, **settings: Any) -> Result:
    """A search, gone on with if it was interrupted."""
    if (done := result_of(output)) is not None:
        return done
    given = {"output": str(output), "resume": output.exists()}
    return search(make_config({**SETTINGS, **given, **settings}), reporter)


def report(rows: Mapping[str, Sequence[Result]], budget: float) -> list[str]:
    """A line for every strategy: means over its seeds, and how far single ones lie from them."""
    first = next(iter(rows.values()))[0]
    held_out = round(SETTINGS["validation_share"] * TRAIN_IMAGES)
    lines = [
        f"budget {budget:.3f} ms of {first.smallest_ms:.3f} to {first.largest_ms:.3f} ms; deviations are between seeds;"
        f" the standard error of one validation accuracy is {accuracy(0.9, held_out).split()[-1]} points, of one test"
        f" accuracy {accuracy(0.9, TEST_IMAGES).split()[-1]}",
        "",
        "| strategy | validation % | test % | measured ms | budget used | within | M multiply-adds | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, results in rows.items():
        validation, test = ([100 * getattr(r, field) for r in results] for field in FIGURES)
        within = all(r.met_budget for r in results)
        ms = np.mean([r.measured_ms for r in results])
        lines.append(
            f"| {name} | {spread(validation)} | {spread(test)} | {ms:.3f} | {ms / budget:.0%} "
            f"| {'yes' if within else 'NO'} | {np.mean([r.macs for r in results]) / 1e6:.2f} "
            f"| {np.mean([sum(r.seconds.values()) for r in results]):.0f} |"
        )
    best = max(rows, key=lambda name: np.mean([r.validation_accuracy for r in rows[name]]))
    return [*lines, "", f"best by validation: {best}"]


FIGURES = ("validation_accuracy", "onnx_test_accuracy")


if __name__ == "__main__":
    main()
