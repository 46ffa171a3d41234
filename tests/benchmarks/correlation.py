"""How well shared weights rank: against networks trained alone, and against how well those rank each other.

    python -m tests.benchmarks.correlation --output runs/correlation [--networks 32] [--again 16] [--epochs 3] [--dry]

The images are those of `tests.benchmarks.sharing`. No budget binds, and a supernet is trained for all nine sizes.
Networks are spread over the latencies, trained alone, shortly and alike, two at a time. Some of them are trained again
with another seed: between two trainings lies the ceiling of any such correlation. All accuracies are of test images, of
which there are more: on few images networks differ less than an accuracy is uncertain. Without re-estimation, batch
norm takes what a supernet would have tracked: the mean statistics of many random paths, by weight group and channel.

Started again with the same command it goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.evaluators.shared_weights.subnets import BATCH_SIZE
from edgenas.exploration.feasible import feasible_samples
from edgenas.graph.graph import Arch, Node
from edgenas.nn.network import Layer, Network, reestimate_batch_norm
from edgenas.system.progress import PlainReporter, SilentReporter
from edgenas.system.run_folder import write_atomically
from edgenas.system.threads import configure_threads
from edgenas.training.settings import Settings, batch_size_for
from edgenas.training.train import evaluate
from edgenas.workflows.config import make_config
from edgenas.workflows.ranking import correlations, stratified
from edgenas.workflows.search import search
from edgenas.workflows.trained_run import TrainedRun, open_trained_run
from tests.benchmarks import sharing
from tests.benchmarks._common import record, result_of

SEARCH: dict[str, Any] = {
    **sharing.SETTINGS,
    "budget_ms": 5,
    "shape_choices": 9,
    "supernet_epochs": 6,
    "trials": 8,
    "final_epochs": 1,
}
PATHS = 200  # random ones, whose statistics are averaged

_trainer: ScratchEvaluator  # of a process that trains networks alone


def main() -> None:
    """Train, score, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--again", type=int, default=16, help="so many of them are trained with another seed, too")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    folder, reporter = args.output, PlainReporter(sys.stderr)
    if result_of(folder) is None:
        search(make_config({**SEARCH, "output": str(folder), "resume": folder.exists()}), reporter)
    finished = on_test_images(folder)
    priced, kept = finished.priced, folder / "on-test-images"
    kept.mkdir(exist_ok=True)
    problem = replace(priced.problem, space=finished.trained.space)
    archs = stratified(problem, priced.costs.latency.metric, args.networks, finished.context.rng("ranking"))
    chosen = np.linspace(0, len(archs) - 1, args.again).round().astype(int).tolist()
    codes, seed = [priced.space.code(arch) for arch in archs], priced.config.seed
    alone = train(folder, codes, args.epochs, seed, kept / f"alone-{args.epochs}-epochs.json")
    again_file = kept / f"again-{args.epochs}-epochs.json"
    again = train(folder, [codes[i] for i in chosen], args.epochs, seed + 1000, again_file)
    evaluator = finished.evaluator()
    shared = [evaluator.final(arch)["accuracy"] for arch in archs]
    tracked = without_reestimation(finished, archs)
    images = len(priced.data.validation)
    accuracies = {"alone": alone, "alone, another seed": again, "shared": shared, "shared, as tracked": tracked}
    lines = [
        f"{SEARCH['supernet_epochs']} epochs of a supernet, {args.epochs} of a network alone; {images} images",
        "",
        *(f"{name}: {min(them):.2%} to {max(them):.2%}" for name, them in accuracies.items()),
        f"mean difference of two seeds: {np.mean(np.abs(np.subtract([alone[i] for i in chosen], again))):.2%}",
        "",
        *table(accuracies, chosen),
    ]
    print("\n".join(lines)) if args.dry else record("Rank correlation of shared weights", lines)


def table(accuracies: Mapping[str, Sequence[float]], chosen: Sequence[int]) -> list[str]:
    """Correlations with the accuracies of networks trained alone, of all and of those that were trained twice."""
    alone, again, shared, tracked = accuracies.values()

    def some(them: Sequence[float]) -> list[float]:
        return [them[i] for i in chosen]

    ceiling = correlations(some(alone), again)
    rows = {
        f"shared, batch norm re-estimated, {len(alone)} networks": correlations(alone, shared),
        f"shared, without re-estimation, {len(alone)} networks": correlations(alone, tracked),
        f"alone again with another seed, {len(again)} networks": ceiling,
        f"shared, batch norm re-estimated, the same {len(again)}": correlations(some(alone), some(shared)),
        f"shared, without re-estimation, the same {len(again)}": correlations(some(alone), some(tracked)),
    }
    return [
        "| against the accuracies of networks trained alone | Spearman | of the ceiling | Kendall |",
        "|---|---|---|---|",
        *(f"| {name} | {rho:.3f} | {rho / ceiling[0]:.2f} | {tau:.3f} |" for name, (rho, tau) in rows.items()),
    ]


def on_test_images(folder: Path) -> TrainedRun:
    """The run in a folder, its test images in the place of the validation split."""
    configure_threads()
    finished = open_trained_run(folder, SilentReporter())
    priced = finished.priced
    data = replace(priced.data, validation=priced.data.test())
    return replace(finished, priced=replace(priced, task=replace(priced.task, data=data)))


def train(folder: Path, codes: Sequence[str], epochs: int, seed: int, kept: Path) -> list[float]:
    """Accuracies of networks trained alone, a core for each of two; kept in a file: a killed benchmark goes on."""
    known = json.loads(kept.read_text()) if kept.exists() else {}
    with get_context("spawn").Pool(2, _begin, (folder, epochs, seed)) as pool:
        for code, accuracy in pool.imap_unordered(_accuracy, [code for code in codes if code not in known]):
            known[code] = accuracy
            write_atomically(kept, (json.dumps(known, indent=1) + "\n").encode())
            print(f"{len(known)} of {len(codes)}: {accuracy:.2%}", file=sys.stderr, flush=True)
    return [known[code] for code in codes]


def _begin(folder: Path, epochs: int, seed: int) -> None:
    global _trainer
    priced = on_test_images(folder).priced
    torch.set_num_threads(1)
    settings = Settings(epochs, batch_size_for(len(priced.data.train)))
    _trainer = ScratchEvaluator(priced.space, priced.data, settings, priced.torch_device, seed)


def _accuracy(code: str) -> tuple[str, float]:
    return code, _trainer(_trainer.space.parse(code))["accuracy"]


def without_reestimation(finished: TrainedRun, archs: Sequence[Arch]) -> list[float]:
    """Accuracies of slices that normalise with the mean statistics of many paths."""
    data, supernet = finished.priced.data, finished.supernet
    widths = {group: shapes["scale"][0] for group, (_, shapes) in supernet.groups.items() if "scale" in shapes}
    sums = {group: torch.zeros(3, width) for group, width in widths.items()}  # of means, of variances, of paths
    for epoch, arch in enumerate(random_paths(finished)):
        network = supernet.subnet(arch).to(memory_format=torch.channels_last)
        reestimate_batch_norm(network, data.train.batches(BATCH_SIZE, size=_size(network), epoch=epoch, limit=1))
        for node, layer in normalised(network):
            sums[node.weights][:, : len(layer.mean)] += torch.stack(
                [layer.mean, layer.variance, torch.ones_like(layer.mean)]
            )
    accuracies = []
    for arch in archs:
        network = supernet.subnet(arch).to(memory_format=torch.channels_last)
        for node, layer in normalised(network):
            mean, variance, paths = sums[node.weights][:, : len(layer.mean)]
            layer.mean.copy_(mean / paths.clamp(min=1))
            layer.variance.copy_(torch.where(paths > 0, variance / paths.clamp(min=1), 1.0))
        accuracies.append(evaluate(network, data.validation.batches(256, size=_size(network))).accuracy)
    return accuracies


def random_paths(finished: TrainedRun) -> list[Arch]:
    """Feasible ones, uniform over the choices."""
    trained, rng = finished.trained, np.random.default_rng(0)
    paths: list[Arch] = []
    while len(paths) < PATHS:
        paths += feasible_samples(trained, rng, PATHS)
    return paths[:PATHS]


def normalised(network: Network) -> Iterator[tuple[Node, Layer]]:
    """The nodes with batch norm, and their layers."""
    for node in network.graph.priced:
        if network.layer(node.name).statistics is not None:
            yield node, network.layer(node.name)


def _size(network: Network) -> int:
    return network.graph.input.shape[1]


if __name__ == "__main__":
    main()
