"""A search among the cuts of a trained network against what needed no search, at the same budgets and as much training.

    python -m tests.benchmarks.cuts --data DIR --output DIR [--network efficientnet-lite0] [--image-size 128]
        [--shares 0.5 0.3 0.75] [--seeds 0 1 2] [--dry] [-- MORE FLAGS]

The data is a folder with `train`, `validation` and `test`. The photos of validation and test together are the test; a
run draws its own validation from those of train. Budgets are shares of what the whole network takes at the image size,
measured once. For each seed one `edgenas search` at the first share trains the teacher, and `edgenas specialize` serves
the others on it, as a user would. Of every run the delivered model and each control become one line of `rows.jsonl`,
with what is right on the test photos; the best control is the one that is best on validation, as the model is. Lines
that are there are not made again, runs are resumed. About fifty minutes a run of all the photos at 128 pixels on two
cores. What follows `--` goes to every search.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.nn.network import Network
from edgenas.system import checkpoint
from edgenas.system.progress import PlainReporter, SilentReporter
from edgenas.workflows.baseline import baseline
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given
from edgenas.workflows.search import search
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.source_run import settings
from edgenas.workflows.specialize import specialize
from edgenas.workflows.stages.choice import trained_codes
from edgenas.workflows.task import Task
from edgenas.workflows.trained_networks import load_weights
from tests.benchmarks._common import record, result_of

DELIVERED = "delivered"
DRAWS, INTERVAL = 10_000, (5, 95)  # of the bootstrap over photos, and what it shows of them, in %
Row = dict[str, Any]


def main() -> None:
    """Search for every seed and share, and record."""
    own, more = (sys.argv[1:], []) if "--" not in sys.argv else _parted(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.3, 0.75])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args(own)
    arguments.output.mkdir(parents=True, exist_ok=True)
    photos = joined(arguments.data, arguments.output / "photos")
    whole_ms = measured_whole(arguments, photos)
    file = arguments.output / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for seed in arguments.seeds:
        for share in arguments.shares:
            if not any((row["seed"], row["share"]) == (seed, share) for row in rows):
                new = list(run_rows(arguments, photos, seed, share, share * whole_ms, _options(more)))
                with file.open("a") as stream:
                    stream.writelines(json.dumps(row) + "\n" for row in new)
                rows += new
                print("\n".join(table(new)), flush=True)
    lines = [f"{arguments.network} takes {whole_ms:.3f} ms at {arguments.image_size} px", "", *table(rows)]
    lines += ["", *verdict(rows)]
    print("\n".join(lines)) if arguments.dry else record("Cuts of a trained network", lines)


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    place = list(words).index("--")
    return list(words[:place]), list(words[place + 1 :])


def _options(words: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs as settings."""
    return {words[i].removeprefix("--").replace("-", "_"): words[i + 1] for i in range(0, len(words), 2)}


def joined(data: Path, folder: Path) -> Path:
    """Return a folder of links whose test photos are those of validation and test together."""
    for split, to in (("train", "train"), ("validation", "test"), ("test", "test")):
        for file in sorted((data / split).glob("*/*")):
            link = folder / to / file.parent.name / f"{split}-{file.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    return folder


def measured_whole(arguments: argparse.Namespace, photos: Path) -> float:
    """Latency of the whole network at the image size in ms, measured once."""
    kept = arguments.output / "whole.json"
    if not kept.exists():
        named = {"pretrained": arguments.network, "data": str(photos), "image_size": arguments.image_size}
        found = baseline(make_config({**named, "budget_ms": 1000.0}), SilentReporter())
        largest = max(found, key=lambda row: row.resolution)
        kept.write_text(json.dumps(largest.measured_ms or largest.predicted_ms))
    return float(json.loads(kept.read_text()))


def run_rows(
    arguments: argparse.Namespace, photos: Path, seed: int, share: float, budget_ms: float, more: Row
) -> Iterator[Row]:
    """Run or resume one search, or specialise its weights, and yield a row for the model and each control."""
    run = arguments.output / f"seed-{seed}-share-{share:g}"
    source = arguments.output / f"seed-{seed}-share-{arguments.shares[0]:g}"
    started = time.monotonic()
    if result_of(run) is None:
        resume = (run / "config.toml").exists()
        named = {"budget_ms": budget_ms, "output": str(run), "resume": resume, **more}
        reporter = PlainReporter(sys.stderr)
        if source == run:
            named |= {"pretrained": arguments.network, "data": str(photos), "image_size": arguments.image_size}
            search(make_config({**named, "seed": seed}), reporter)
        else:
            specialize(settings(source, named), None if resume else source, reporter)
    minutes = (time.monotonic() - started) / 60
    found = result_of(run)
    assert found is not None
    named = {"pretrained": arguments.network, "data": str(photos), "image_size": arguments.image_size}
    task = plain_task(checked_names(make_config({**named, "seed": seed, "output": str(run)}), Given()), Given())
    numbers = {code: number for number, code in enumerate(trained_codes(run))}
    roles = {DELIVERED: (found.arch, found.validation_accuracy, found.measured_ms)}
    for name, control in found.controls.items():
        roles[name] = (str(control["arch"]), float(control["validation_accuracy"]), float(control["latency_ms"]))
    for role, (code, validation, ms) in roles.items():
        right = right_photos(task, code, run / f"finalist-{numbers[code]}.pt")
        yield {
            **{"seed": seed, "share": share, "budget_ms": budget_ms, "role": role, "arch": code, "ms": ms},
            **{"validation": validation, "minutes": minutes, "right": right, "met": found.met_budget},
        }


@torch.no_grad()
def right_photos(task: Task, code: str, path: Path) -> list[int]:
    """1 for each test photo that a trained network is right about, else 0."""
    network = Network(task.space.graph(task.space.parse(code))).eval()
    load_weights(network, checkpoint.load(path)["module"], path)
    batches = task.data.test().batches(64, size=network.graph.input.shape[1])
    return torch.cat([network(x).argmax(1) == y for x, y in batches]).int().tolist()


def table(rows: Sequence[Row]) -> list[str]:
    """Rows for a person."""
    lines = ["| seed | budget ms | | ms | validation % | test % | minutes |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = row["seed"], f"{row['budget_ms']:.3f} ({row['share']:.0%})", row["role"], f"{row['ms']:.3f}"
        shares = f"{100 * row['validation']:.1f}", f"{100 * np.mean(row['right']):.1f}", f"{row['minutes']:.0f}"
        lines.append("| " + " | ".join(map(str, (*cells, *shares))) + " |")
    return lines


def verdict(rows: Sequence[Row]) -> list[str]:
    """The mean difference to the best control, with a bootstrap over photos, and whether each budget was kept."""
    runs = sorted({(row["seed"], row["share"]) for row in rows})
    differences = []
    for run in runs:
        of = {row["role"]: row for row in rows if (row["seed"], row["share"]) == run}
        controls = [row for role, row in of.items() if role != DELIVERED]
        if controls:
            best = max(controls, key=lambda row: row["validation"])
            differences.append(np.subtract(of[DELIVERED]["right"], best["right"]))
    if not differences:
        return []
    paired = np.array(differences)  # (runs, photos)
    rng = np.random.default_rng(0)
    drawn = rng.integers(paired.shape[1], size=(DRAWS, paired.shape[1]))
    means = paired.mean(0)[drawn].mean(1)
    low, high = np.percentile(100 * means, INTERVAL)
    met = sum(bool(row["met"]) for row in rows if row["role"] == DELIVERED)
    return [
        f"against the best control by validation: {100 * paired.mean():+.2f} points on the mean of {len(runs)} runs, "
        f"90 % interval {low:+.2f} to {high:+.2f} (bootstrap over {paired.shape[1]} photos, paired); "
        f"{met} of {len(runs)} models within their budget"
    ]


if __name__ == "__main__":
    main()
