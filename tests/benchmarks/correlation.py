"""How well shared weights rank: against networks trained alone, and against how well those rank each other.

    python -m tests.benchmarks.correlation RUN [--networks 32] [--again 16] [--epochs 6] [--dry]

RUN is the folder of a search with shared weights, as `tests.benchmarks.sharing` leaves some. Networks are feasible
ones, spread over the latencies, trained alone, shortly and alike. Some of them are trained again with another seed:
between two trainings lies the ceiling of any such correlation. All accuracies are of test images, of which there are
more: on few images networks differ less than an accuracy is uncertain. Without re-estimation, batch norm takes what a
supernet would have tracked: the mean statistics of many random paths, by weight group and channel.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgenas import ranking
from edgenas.engine import process
from edgenas.engine.settings import Settings, batch_size_for
from edgenas.engine.train import evaluate
from edgenas.evaluators._slices import BATCH_SIZE
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.finished import Finished, open_finished
from edgenas.folder import write_atomically
from edgenas.graph import Arch, Node
from edgenas.nn.network import Layer, Network, reestimate_batch_norm
from edgenas.progress import PlainReporter, SilentReporter
from edgenas.strategies._feasible import feasible_samples
from tests.benchmarks._common import record

PATHS = 200  # random ones, whose statistics are averaged


def main() -> None:
    """Train, score, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--again", type=int, default=16, help="so many of them are trained with another seed, too")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--dry", action="store_true", help="print only, without a line in RESULTS.md")
    args = parser.parse_args()
    process.tune()
    finished = open_finished(args.run, SilentReporter())
    finished.run.data = replace(finished.run.data, validation=finished.run.data.test)
    kept = args.run / "on-test-images"
    kept.mkdir(exist_ok=True)
    reporter = PlainReporter(sys.stderr)
    checked = ranking.rank(finished, kept, reporter, networks=args.networks, epochs=args.epochs)
    archs = [finished.run.space.parse(row.arch) for row in checked.networks]
    chosen = np.linspace(0, len(archs) - 1, args.again).round().astype(int)
    alone, shared = ([getattr(row, name) for row in checked.networks] for name in ("alone", "shared"))
    again = trained_again(finished, kept, [archs[i] for i in chosen], args.epochs)
    tracked = without_reestimation(finished, archs)
    ceiling = ranking.correlations([alone[i] for i in chosen], again)
    part = ranking.correlations([alone[i] for i in chosen], [shared[i] for i in chosen])
    rows = {
        f"shared, batch norm re-estimated, {len(archs)} networks": (checked.spearman, checked.kendall),
        f"shared, without re-estimation, {len(archs)} networks": ranking.correlations(alone, tracked),
        f"alone again with another seed, {len(chosen)} networks": ceiling,
        f"shared, batch norm re-estimated, the same {len(chosen)}": part,
    }
    lines = [
        f"{args.run.name}: trained alone for {args.epochs} epochs, {min(alone):.2%} to {max(alone):.2%} of "
        f"{checked.images} images; mean difference of two seeds "
        f"{np.mean(np.abs(np.subtract([alone[i] for i in chosen], again))):.2%}; shared {min(shared):.2%} to "
        f"{max(shared):.2%}, without re-estimation {min(tracked):.2%} to {max(tracked):.2%}",
        "",
        "| against the accuracies of networks trained alone | Spearman | of the ceiling | Kendall |",
        "|---|---|---|---|",
        *(f"| {name} | {rho:.3f} | {rho / ceiling[0]:.2f} | {tau:.3f} |" for name, (rho, tau) in rows.items()),
    ]
    print("\n".join(lines)) if args.dry else record("Rank correlation of shared weights", lines)


def trained_again(finished: Finished, folder: Path, archs: Sequence[Arch], epochs: int) -> list[float]:
    """Accuracies with another seed; kept in the folder, so that a killed benchmark goes on."""
    run, path = finished.run, folder / f"again-{epochs}-epochs.json"
    settings = Settings(epochs, batch_size_for(len(run.data.train)))
    trainer = ScratchEvaluator(run.space, run.data, settings, run.torch_device, run.config.seed + 1000)
    known = json.loads(path.read_text()) if path.exists() else {}
    for i, arch in enumerate(archs):
        code = run.space.code(arch)
        if code not in known:
            known[code] = trainer(arch)["accuracy"]
            write_atomically(path, json.dumps(known).encode())
        print(f"again {i + 1} of {len(archs)}: {known[code]:.2%}", file=sys.stderr, flush=True)
    return [known[run.space.code(arch)] for arch in archs]


def without_reestimation(finished: Finished, archs: Sequence[Arch]) -> list[float]:
    """Accuracies of slices that normalise with the mean statistics of many paths."""
    data, supernet = finished.run.data, finished.supernet
    widths = {group: shapes["scale"][0] for group, (_, shapes) in supernet.groups.items() if "scale" in shapes}
    sums = {group: torch.zeros(3, width) for group, width in widths.items()}  # of means, of variances, of paths
    for epoch, arch in enumerate(random_paths(finished)):
        network = supernet.subnet(arch).to(memory_format=torch.channels_last)
        reestimate_batch_norm(network, data.train.batches(BATCH_SIZE, size=_size(network), epoch=epoch, limit=1))
        for node, layer in normalised(network):
            sums[supernet.group(node)][:, : len(layer.mean)] += torch.stack(
                [layer.mean, layer.variance, torch.ones_like(layer.mean)]
            )
    accuracies = []
    for arch in archs:
        network = supernet.subnet(arch).to(memory_format=torch.channels_last)
        for node, layer in normalised(network):
            mean, variance, paths = sums[supernet.group(node)][:, : len(layer.mean)]
            layer.mean.copy_(mean / paths.clamp(min=1))
            layer.variance.copy_(torch.where(paths > 0, variance / paths.clamp(min=1), 1.0))
        accuracies.append(evaluate(network, data.validation.batches(256, size=_size(network))).accuracy)
    return accuracies


def random_paths(finished: Finished) -> list[Arch]:
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
