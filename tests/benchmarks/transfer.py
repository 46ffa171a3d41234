"""Fine-tuning by `edgenas train --pretrained`, beside a plain loop of AdamW with as many images.

    python -m tests.benchmarks.transfer --data DIR --output DIR [--sides 64 96 128] [--photos 0] [--seeds 0] [--dry]

The data is a folder with `train`, `validation` and `test`. Both train on the training photos alone, for as many epochs,
and choose nothing: so the photos of validation and test together are the test. `--photos 200` takes that many training
photos, of each class in proportion; 0 takes all. Four to eight minutes each at 96 pixels on two cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgenas.data.base import stratified_split
from edgenas.nn.network import Network
from edgenas.pretrained import efficientnet_lite0
from edgenas.system import checkpoint
from edgenas.system.progress import SilentReporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.stages.finalists import final_settings
from edgenas.workflows.train import train
from tests.benchmarks._common import accuracy, record

SPLITS = ("validation", "test")
BATCH, RATE, DECAY = 32, 1e-3, 0.02  # of the plain loop


def main() -> None:
    """Train both ways for every side, number of photos and seed, and record."""
    configure_threads()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), required=False)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 96, 128])
    parser.add_argument("--photos", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, help="of both; default: those of `edgenas train`")
    parser.add_argument("--no-plain", action="store_true", help="without the plain loop")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    lines = ["| photos | pixels | seed | edgenas | minutes | plain loop | minutes |", "|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for photos in arguments.photos:
        folder = part(arguments.data, photos, arguments.output / f"photos-{photos}") if photos else arguments.data
        for side in arguments.sides:
            for seed in arguments.seeds:
                ours = trained(arguments, folder, side, seed, arguments.output / f"{photos}-{side}-{seed}")
                plain = ("", "") if arguments.no_plain else plain_loop(folder, side, seed, ours[2])
                lines.append("| " + " | ".join([str(photos or "all"), str(side), str(seed), *ours[:2], *plain]) + " |")
                print(lines[-1], flush=True)
    if not arguments.dry:
        record("Fine-tuning of trained networks", ["test: the photos of validation and test", "", *lines])


def part(data: Path, count: int, folder: Path) -> Path:
    """Return a folder of links to some of the training photos, each class in proportion, and to all others."""
    files = sorted((data / "train").glob("*/*"))
    names = sorted({file.parent.name for file in files})
    labels = np.array([names.index(file.parent.name) for file in files])
    share = count / len(files)
    for i in stratified_split(labels, (share, 1 - share), 0)[0]:
        link = folder / "train" / files[i].parent.name / files[i].name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(files[i].resolve())
    for split in SPLITS:
        if not (folder / split).exists():
            (folder / split).symlink_to((data / split).resolve())
    return folder


def trained(arguments: argparse.Namespace, folder: Path, side: int, seed: int, run: Path) -> tuple[str, str, int]:
    """Accuracy on the test photos, minutes, and epochs, of `edgenas train`."""
    named = {"pretrained": arguments.network, "data": str(folder), "image_size": side, "seed": seed, "output": str(run)}
    config = make_config({**named, "final_epochs": arguments.epochs, "resume": run.exists()})
    started = time.monotonic()
    task = plain_task(checked_names(config, Given()), Given())
    code = task.space.code((0,) * len(task.space.choices))
    train(config, code, SilentReporter())
    minutes = (time.monotonic() - started) / 60
    network = Network(task.space.graph(task.space.parse(code)))
    checkpoint.load_weights(network, checkpoint.load(run / "finalist-0.pt")["module"])
    splits = (task.data.validation, task.data.test())
    right = sum(correct(network, split.batches(64, size=side)) for split in splits)
    images = sum(map(len, splits))
    return accuracy(right / images, images), f"{minutes:.1f}", final_settings(task).epochs


@torch.no_grad()
def correct(network: nn.Module, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> int:
    network.eval()
    return sum(int((network(x).argmax(1) == y).sum()) for x, y in batches)


def plain_loop(folder: Path, side: int, seed: int, epochs: int) -> tuple[str, str]:
    """Accuracy and minutes of what one writes in an hour: torchvision's transforms, AdamW along a cosine."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    found = efficientnet_lite0.build("")
    ending = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(found.mean, found.std)]
    augment = v2.Compose([v2.RandomResizedCrop(side, scale=(0.35, 1.0)), v2.RandomHorizontalFlip(), *ending])
    plain = v2.Compose([v2.Resize(side), v2.CenterCrop(side), *ending])
    images = ImageFolder(str(folder / "train"), augment)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, drop_last=True, num_workers=1)
    network = found.module()
    network.load_state_dict(dict(found.weights()))
    network.classifier = nn.Linear(1280, len(images.classes))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, len(loader) * epochs, pct_start=0.1)
    started = time.monotonic()
    network.train().to(memory_format=torch.channels_last)
    for _ in range(epochs):
        for x, y in loader:
            loss = nn.functional.cross_entropy(network(x), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    minutes = (time.monotonic() - started) / 60
    tests = [ImageFolder(str(folder / split), plain) for split in SPLITS]
    right = sum(correct(network, iter(torch.utils.data.DataLoader(test, 64))) for test in tests)
    total = sum(map(len, tests))
    return accuracy(right / total, total), f"{minutes:.1f}"


if __name__ == "__main__":
    main()
