"""Many photos in files: time of the cache, memory, images per second, and the time that training waits for them.

    python -m tests.benchmarks.photos --data CLOTHING --output FOLDER [--files 50000] [--network mbconv] [--dry]

Files of 232 to 288 pixels are cut at random places out of the photos in --data, class folders, and left in --output for
another run. Then training steps of batches of 32 at 224 pixels are timed: on batches that `Split.batches` makes of the
files, and, half of them before and half after, on batches that are already in memory. The network is the cheapest of
`mbconv`, whose steps wait most for data, or a trained one by its name. Private memory is summed over this process and
its workers (USS, every ten steps). Of processor time the ratio is that of all these processes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.system import plugins
from tests.benchmarks._common import record

SIZE, BATCH, WARM = 224, 32, 5
SHORTEST, LONGEST = 232, 288
KEPT = 8  # batches in memory, taken in turn
FOLDERS = 1000  # files in one folder of --output at most: some systems are slow with more
KINDS = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")

Batch = tuple[Any, Any]


@dataclass
class Timed:
    """Seconds of some steps, of which some passed before the batch was there, and the most private memory meanwhile."""

    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    cpu_seconds: float = 0.0
    most_bytes: int = 0
    processes: int = 1

    @property
    def per_step(self) -> float:
        """Return the mean."""
        return self.seconds / self.steps


def main() -> None:
    """Make the files, run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--output", type=Path, required=True, help="where files and cache go")
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--network", default="mbconv", help="mbconv, or as --pretrained takes it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    arguments = parser.parse_args()
    from edgenas.system.threads import configure_threads

    configure_threads()  # torch comes with what follows
    from edgenas.data import folder
    from edgenas.data.storage.options import PhotoOptions

    root = make_files(arguments.data, arguments.output / f"files-{arguments.files}", arguments.files)
    started = time.monotonic()
    options = PhotoOptions(cache=arguments.output / "cache", log=lambda text: print(text, flush=True))
    data = folder.build(
        root=root,
        seed=0,
        image_size=SIZE,
        validation_share=0.1,
        download=False,
        strict=False,
        device=arguments.device,
        photos=options,
    )
    opened = time.monotonic() - started
    step = make_step(arguments.network, len(data.classes), arguments.device)
    kept = list(itertools.islice(epochs(data), KEPT))
    steps = arguments.steps
    memory = timed(itertools.cycle(kept), step, steps // 2)
    files = timed(epochs(data), step, steps)
    again = timed(itertools.cycle(kept), step, steps - steps // 2)
    in_memory, cpu = (memory.seconds + again.seconds) / steps, (memory.cpu_seconds + again.cpu_seconds) / steps
    columns = {
        "files": f"{arguments.files:,}",
        "open": f"{opened:.0f} s",
        "images/s": f"{BATCH / files.per_step:.1f}",
        "same in memory": f"{BATCH / in_memory:.1f}",
        "ratio": f"{files.per_step / in_memory:.3f}",
        "of processor time": f"{files.cpu_seconds / steps / cpu:.3f}",
        "waiting": f"{files.waited / files.seconds:.1%}",
        "private memory": f"{files.most_bytes / 1e9:.2f} GB",
        "processes": str(files.processes),
    }
    lines = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), columns.values())]
    if arguments.dry:
        print("\n".join(lines))
    else:
        record(f"Photos in files at {SIZE} pixels, {arguments.network}", lines)


def epochs(data: Any) -> Iterator[Batch]:
    """Yield training batches without end, as a training does."""
    for epoch in itertools.count():
        yield from data.train.batches(BATCH, size=SIZE, epoch=epoch, augment=True)


def make_files(photos: Path, root: Path, count: int) -> Path:
    """Cut `count` pictures out of photos at random places, into class folders; those that are there are kept."""
    from PIL import Image

    sources = sorted(file for file in photos.rglob("*") if file.suffix.lower() in (".jpg", ".png"))
    if not sources:
        raise SystemExit(f"{photos}: no photos; give class folders of .jpg or .png files as --data")
    rng = np.random.default_rng(0)
    for number in range(count):
        source = sources[number % len(sources)]
        width, height = (int(side) for side in rng.integers(SHORTEST, LONGEST, 2))
        x, y = rng.random(2)
        path = root / source.parent.name / str(number // FOLDERS) / f"{number}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(source) as image:
            photo = image.convert("RGB")
        share = max(1.0, width / photo.width, height / photo.height)
        photo = photo.resize((round(photo.width * share), round(photo.height * share)))
        left, top = round(x * (photo.width - width)), round(y * (photo.height - height))
        photo.crop((left, top, left + width, top + height)).save(path, quality=88)
        if number % 5000 == 0:
            print(f"{number:,} of {count:,} files", flush=True)
    return root


def make_step(name: str, classes: int, device: str) -> Callable[[Any, Any], object]:
    """Return a training step of a network."""
    from edgenas.cost.bounds import cheapest_arch, largest_arch
    from edgenas.cost.counts import CountCost
    from edgenas.nn.network import fresh_network
    from edgenas.spaces.build import build_space
    from edgenas.training.settings import Settings
    from edgenas.training.train import Stepper, make_optimizer, supervised

    shape = (3, SIZE, SIZE)
    if name == "mbconv":
        space = build_space(name, shape, classes)
        arch = cheapest_arch(space, CountCost("macs"))
    else:
        source, variant = plugins.pretrained(name)
        space = plugins.load("pretrained", source).build(variant).space(shape, classes)
        arch = largest_arch(space, CountCost("macs"))
    network = fresh_network(space, arch, 0, device).train()
    settings = Settings(epochs=1)
    optimizer = make_optimizer(network, settings)
    stepper, gradients = Stepper(network, optimizer, settings.clip), supervised(network, settings)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        gradients(x, y, 0)
        stepper.step()
        if device == "cuda":
            import torch

            torch.cuda.synchronize()

    return step


def timed(batches: Iterator[Batch], step: Callable[[Any, Any], object], steps: int) -> Timed:
    """Return what steps took, after some that warm up."""
    found, before = Timed(steps), 0.0
    for number in range(WARM + steps):
        if number == WARM:
            before = sum(map(_cpu_seconds, family()))
        begun = time.perf_counter()
        batch = next(batches)
        there = time.perf_counter()
        step(*batch)
        if number >= WARM:
            found.waited += there - begun
            found.seconds += time.perf_counter() - begun
        if number % 10 == 0:
            used, processes = private_bytes()
            found.most_bytes, found.processes = max(found.most_bytes, used), max(found.processes, processes)
    found.cpu_seconds = sum(map(_cpu_seconds, family())) - before
    return found


def private_bytes() -> tuple[int, int]:
    """Return the memory that this process and those below it have for themselves, and how many they are."""
    members = family()
    return sum(map(_private, members)), len(members)


def family() -> set[int]:
    """Return this process and those below it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    found = {os.getpid()}
    while below := {child for child, parent in parents.items() if parent in found} - found:
        found |= below
    return found


def _cpu_seconds(process: int) -> float:
    """Return the time on a processor of a process, and of those below it that have ended."""
    try:
        words = (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def _private(process: int) -> int:
    try:
        lines = (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0
    kilobytes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
    return 1024 * sum(kilobytes.get(kind, 0) for kind in KINDS)


if __name__ == "__main__":
    main()
