"""A search among the cuts of a trained network against what needed no search, at the same budgets and as much training.

    python -m tests.benchmarks.cuts --data DIR --output DIR [--network efficientnet-lite0]
        [--budgets-of efficientnet-lite0] [--image-size 128] [--shares 0.5 0.3 0.75] [--seeds 0 1 2]
        [--fixed efficientnet-lite1] [--nothing] [--train-share 1] [--dry] [-- MORE FLAGS]

The data is a folder with `train`, `validation` and `test`. The photos of validation and test together are the test; a
run draws its own validation from those of train, of which `--train-share` leaves a part. Budgets are shares of what the
whole network takes at the image size, measured once. For each seed one `edgenas search` at the first share trains the
teacher, and `edgenas specialize` serves the others on it, as a user would. Of every run the delivered model and each
control become one line of `rows.jsonl`, with what is right on the test photos; the best control is the one that is best
on validation, as the model is.

`--fixed` names further networks: of each, `edgenas baseline --train` fine-tunes the largest resolution that fits, on as
many images in all as a finalist and its teacher see; it counts as a control. `--nothing` searches `mbconv` without
trained weights, at the first share. Lines that are there are not made again, runs are resumed. About thirty minutes a
run of all the photos at 128 pixels on two cores. What follows `--` goes to every search.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edgenas.errors import BudgetError
from edgenas.exploration.objective import standard_errors_below
from edgenas.exporters.metadata import MODELS
from edgenas.exporters.session import outputs
from edgenas.nn.network import Network
from edgenas.system import checkpoint
from edgenas.system.progress import PlainReporter, SilentReporter
from edgenas.system.threads import configure_threads
from edgenas.training.train import scores_of
from edgenas.workflows.baseline import baseline
from edgenas.workflows.baseline_train import train_baseline
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given
from edgenas.workflows.search import search
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.source_run import settings
from edgenas.workflows.specialize import specialize
from edgenas.workflows.stages.codes import task_of, trained_codes
from edgenas.workflows.task import Task
from tests.benchmarks._common import record, result_of

DELIVERED, NOTHING = "delivered", "mbconv"
DRAWS, INTERVAL = 10_000, (5, 95)  # of the bootstrap over photos, and what it shows of them, in %
Row = dict[str, Any]


def main() -> None:
    """Search for every seed and share, and record."""
    configure_threads()  # as the command does
    own, more = (sys.argv[1:], []) if "--" not in sys.argv else _parted(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--budgets-of", help="network whose latency the shares are of; default: --network")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.3, 0.75])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fixed", nargs="*", default=[], help="further networks to fine-tune whole")
    parser.add_argument("--nothing", action="store_true", help="search mbconv from nothing, too")
    parser.add_argument("--train-share", type=float, default=1.0, help="of the training photos of each class")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args(own)
    arguments.output.mkdir(parents=True, exist_ok=True)
    photos = joined(arguments.data, arguments.output / "photos", arguments.train_share)
    whole_ms = measured_whole(arguments, photos)
    file = arguments.output / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    kept = Rows(file, rows)
    for seed in arguments.seeds:
        for share in arguments.shares:
            budget_ms = share * whole_ms
            kept.make(
                seed, share, DELIVERED, partial(run_rows, arguments, photos, seed, share, budget_ms, _options(more))
            )
            for network in arguments.fixed:
                kept.make(seed, share, network, partial(fixed_row, arguments, photos, seed, share, budget_ms, network))
            if arguments.nothing and share == arguments.shares[0]:
                kept.make(seed, share, NOTHING, partial(row_from_nothing, arguments, photos, seed, share, budget_ms))
    lines = [
        f"{arguments.budgets_of or arguments.network} takes {whole_ms:.3f} ms at {arguments.image_size} px",
        "",
        *table(rows),
    ]
    lines += ["", *verdict(rows)]
    print("\n".join(lines)) if arguments.dry else record("Cuts of a trained network", lines)


@dataclass(frozen=True)
class Rows:
    """Lines of a file, each made once."""

    file: Path
    rows: list[Row]

    def make(self, seed: int, share: float, role: str, make: Callable[[], Iterable[Row]]) -> None:
        """Make and append the lines of a run, unless that of its role is there."""
        if any((row["seed"], row["share"], row["role"]) == (seed, share, role) for row in self.rows):
            return
        new = list(make())
        with self.file.open("a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in new)
        self.rows.extend(new)
        print("\n".join(table(new)), flush=True)


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    place = list(words).index("--")
    return list(words[:place]), list(words[place + 1 :])


def _options(words: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs as settings."""
    return {words[i].removeprefix("--").replace("-", "_"): words[i + 1] for i in range(0, len(words), 2)}


def joined(data: Path, folder: Path, train_share: float) -> Path:
    """Return a folder of links whose test photos are those of validation and test together, and train a part."""
    for split, to in (("train", "train"), ("validation", "test"), ("test", "test")):
        for own in sorted((data / split).glob("*/")):
            files = sorted(own.iterdir())
            if split == "train":
                drawn = np.random.default_rng(0).permutation(len(files))[: round(train_share * len(files))]
                files = [files[i] for i in sorted(drawn)]
            for file in files:
                link = folder / to / own.name / f"{split}-{file.name}"
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(file.resolve())
    return folder


def measured_whole(arguments: argparse.Namespace, photos: Path) -> float:
    """Latency of the whole network at the image size in ms, measured once."""
    kept = arguments.output / "whole.json"
    if not kept.exists():
        whole = arguments.budgets_of or arguments.network
        named = {"pretrained": whole, "data": str(photos), "image_size": arguments.image_size}
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
    roles = {DELIVERED: (found.arch, found.measured_ms)}
    roles |= {name: (str(control["arch"]), float(control["latency_ms"])) for name, control in found.controls.items()}
    for role, (code, ms) in roles.items():
        yield {
            **{"seed": seed, "share": share, "budget_ms": budget_ms, "role": role, "arch": code, "ms": ms},
            **{"minutes": minutes, "met": found.met_budget},
            **judged(task, *trained(task, code, run / f"finalist-{numbers[code]}.pt")),
        }


def fixed_row(
    arguments: argparse.Namespace, photos: Path, seed: int, share: float, budget_ms: float, network: str
) -> Iterator[Row]:
    """Fine-tune the largest whole network that fits, and yield its row; nothing, where none fits."""
    run = arguments.output / f"seed-{seed}-share-{share:g}-{network}"
    named: Row = {"pretrained": network, "data": str(photos), "image_size": arguments.image_size, "seed": seed}
    named |= {"budget_ms": budget_ms, "output": str(run)}  # a teacher at full size, too, as a search has
    started, reporter = time.monotonic(), PlainReporter(sys.stderr)
    config = make_config({**named, "resume": (run / "config.toml").exists()})
    if result_of(run) is None:
        try:
            train_baseline(config, [] if config.resume else baseline(config, reporter), reporter)
        except BudgetError as error:
            print(f"{network}: {error}", flush=True)
            return
    yield file_row(named, run, seed, share, network, (time.monotonic() - started) / 60)


def row_from_nothing(
    arguments: argparse.Namespace, photos: Path, seed: int, share: float, budget_ms: float
) -> Iterator[Row]:
    """Search a space without trained weights, and yield the row of its model."""
    run = arguments.output / f"seed-{seed}-share-{share:g}-{NOTHING}"
    named: Row = {"data": str(photos), "image_size": arguments.image_size, "seed": seed, "space": NOTHING}
    started = time.monotonic()
    config = {**named, "budget_ms": budget_ms, "output": str(run), "resume": (run / "config.toml").exists()}
    if result_of(run) is None:
        search(make_config(config), PlainReporter(sys.stderr))
    yield file_row(named, run, seed, share, NOTHING, (time.monotonic() - started) / 60)


def file_row(named: Row, run: Path, seed: int, share: float, role: str, minutes: float) -> Row:
    """The row of the model that a run has delivered, by its file in fp32."""
    found = result_of(run)
    assert found is not None and found.budget_ms is not None
    task = plain_task(checked_names(make_config({**named, "output": str(run)}), Given()), Given())
    model = (run / MODELS["fp32"]).read_bytes()
    return {
        **{"seed": seed, "share": share, "budget_ms": found.budget_ms, "role": role, "arch": found.arch},
        **{"ms": found.measured_ms, "minutes": minutes, "met": found.met_budget},
        **judged(task, lambda x: torch.from_numpy(outputs(model, x.contiguous().numpy())), input_side(model)),
    }


def input_side(model: bytes) -> int:
    """Side of the images that a model takes, in pixels."""
    return int(onnx.load_from_string(model).graph.input[0].type.tensor_type.shape.dim[-1].dim_value)


def trained(task: Task, code: str, path: Path) -> tuple[Network, int]:
    """Return a trained network, and the side of the images that it takes."""
    own, arch = task_of(task, code)
    network = Network(own.space.graph(arch)).eval()
    checkpoint.load_weights(network, checkpoint.load(path)["module"])
    return network, network.graph.input.shape[1]


@torch.no_grad()
def judged(task: Task, logits_of: Callable[[torch.Tensor], torch.Tensor], side: int) -> Row:
    """Return accuracy and loss on validation, and 1 for each test photo that a network is right about, else 0."""
    validation, test = task.data.validation, task.data.test()
    scores = scores_of(logits_of, validation.batches(64, size=side))
    right = torch.cat([logits_of(x).argmax(1) == y for x, y in test.batches(64, size=side)]).int().tolist()
    return {"validation": scores.accuracy, "loss": scores.loss, "validated": scores.images, "right": right}


def table(rows: Sequence[Row]) -> list[str]:
    """Rows for a person."""
    lines = ["| seed | budget ms | | ms | validation % | test % | minutes |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = row["seed"], f"{row['budget_ms']:.3f} ({row['share']:.0%})", row["role"], f"{row['ms']:.3f}"
        shares = f"{100 * row['validation']:.1f}", f"{100 * np.mean(row['right']):.1f}", f"{row['minutes']:.0f}"
        lines.append("| " + " | ".join(map(str, (*cells, *shares))) + " |")
    return lines


def verdict(rows: Sequence[Row]) -> list[str]:
    """The difference to the best control, in all and by budget, with a bootstrap over photos; and kept budgets."""
    runs = sorted({(row["seed"], row["share"]) for row in rows})
    differences: dict[tuple[int, float], NDArray[np.int64]] = {}
    best: dict[tuple[int, float], Row] = {}
    of = {run: {r["role"]: r for r in rows if (r["seed"], r["share"]) == run} for run in runs}
    for run, roles in of.items():
        controls = [row for role, row in roles.items() if role not in (DELIVERED, NOTHING) and row["met"] is not False]
        if controls and DELIVERED in roles:
            best[run] = best_by_validation(controls)
            differences[run] = np.subtract(roles[DELIVERED]["right"], best[run]["right"])
    if not differences:
        return []
    lines = [f"against the best control by validation, all budgets: {_difference(list(differences.values()))}"]
    for share in sorted({share for _, share in differences}):
        at = [difference for (_, other), difference in differences.items() if other == share]
        lines.append(f"at {share:.0%}: {_difference(at)}")
    steps = sorted({share for _, share in runs})
    for low, high in pairwise(steps):
        pairs = [(seed, (seed, low), (seed, high)) for seed in {seed for seed, _ in runs}]
        at = [
            np.subtract(of[small][DELIVERED]["right"], best[large]["right"])
            for _, small, large in pairs
            if small in differences and large in best
        ]
        if at:
            lines.append(f"the model at {low:.0%} against the control at {high:.0%}: {_difference(at)}")
    nothing = [
        np.subtract(roles[DELIVERED]["right"], roles[NOTHING]["right"])
        for roles in of.values()
        if NOTHING in roles and DELIVERED in roles
    ]
    if nothing:
        lines.append(f"against {NOTHING} from nothing: {_difference(nothing)}")
    delivered = [row for row in rows if row["role"] == DELIVERED]
    met = sum(bool(row["met"]) for row in delivered)
    return [*(f"- {line}" for line in lines), f"- {met} of {len(delivered)} models within their budget"]


def best_by_validation(rows: Sequence[Row]) -> Row:
    """Return what a run would have delivered of these."""
    below = standard_errors_below([row["validation"] for row in rows], rows[0]["validated"])
    return min(zip(below, rows, strict=True), key=lambda pair: (pair[0], pair[1]["loss"]))[1]


def _difference(differences: Sequence[NDArray[np.int64]]) -> str:
    """The mean of differences (photos,) of runs in points, with standard error and interval over photos."""
    paired = np.array(differences)  # (runs, photos)
    rng = np.random.default_rng(0)
    drawn = rng.integers(paired.shape[1], size=(DRAWS, paired.shape[1]))
    means = 100 * paired.mean(0)[drawn].mean(1)
    low, high = np.percentile(means, INTERVAL)
    return (
        f"{100 * paired.mean():+.2f} points on the mean of {len(paired)} runs, standard error {means.std():.2f}, 90 % "
        f"interval {low:+.2f} to {high:+.2f} (bootstrap over {paired.shape[1]} photos, paired)"
    )


if __name__ == "__main__":
    main()
