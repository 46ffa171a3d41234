"""What needs a GPU, in eight minutes, most telling first: speed and memory of every training loop, and one search.

    python -m tests.benchmarks.gpu [--output runs/gpu] [--data FILE.npz] [--seconds 480] [--dry]

Every figure is printed as soon as it is there. What no longer fits before the end of the time is skipped, and said to
be. Loops train on noise; the search is on digits, or on the images of `--data`. On a machine without a GPU `--dry`
runs everything for a moment on the CPU: figures mean nothing then.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgenas.data.base import Augment, Data
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import Gumbel
from edgenas.system.threads import configure_threads
from edgenas.training.memory import measure
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings
from edgenas.training.train import Gradients, Stepper, make_optimizer, supervised
from tests.benchmarks._common import record

BATCH, DRY_BATCH = 256, 8
SIDE, CLASSES, IMAGES = 32, 10, 4096
WARM_STEPS, STEPS = 8, 24
LOOP_S = 45.0  # that one loop may take at most, kernels of the first steps included
SEARCH_S = 60.0  # below which no search is begun
LAST_S = 5.0  # kept at the end, for what is under way to stop in


@dataclass
class Clock:
    """When all must be done."""

    end: float

    @property
    def left(self) -> float:
        """Seconds until then."""
        return self.end - time.monotonic()


@dataclass(frozen=True)
class Loop:
    """One training loop on one batch: its step, and the memory that a step is estimated to need."""

    name: str
    step: Callable[[], None]
    estimated_bytes: int


def main() -> None:
    """Run all that fits in the time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="folder of the search (default: a temporary one)")
    parser.add_argument("--data", type=Path, help="an .npz file of images for the search (default: digits)")
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--dry", action="store_true", help="a moment of each, printed only")
    arguments = parser.parse_args()
    if not (torch.cuda.is_available() or arguments.dry):
        parser.error("torch sees no GPU; --dry runs everything for a moment on the CPU")
    configure_threads()
    clock = Clock(time.monotonic() + arguments.seconds)
    timer = threading.Timer(arguments.seconds, _end)  # should anything hang
    timer.daemon = True
    timer.start()
    lines = []
    for line in itertools.chain(speed(clock, arguments.dry), search(clock, arguments)):
        print(line, flush=True)
        lines.append(line)
    if not arguments.dry:
        record(f"Training on {torch.cuda.get_device_name()}", lines)


def speed(clock: Clock, dry: bool) -> Iterator[str]:
    """Images a second of every training loop, and their operations as a share of those of a large product."""
    peak = _peak()
    yield f"a product of two bf16 matrices reaches {peak / 1e12:.1f} TFLOP/s"
    yield ""
    yield "| loop | images/s | TFLOP/s | share of that | memory GB | estimated GB |"
    yield "|---|---|---|---|---|---|"
    images, batch = noise(), DRY_BATCH if dry else BATCH
    for make in LOOPS:
        if clock.left < 2 * LOOP_S and not dry:
            yield f"| {make.__name__[1:]}: skipped, {clock.left:.0f} s are left |"
            continue
        loop = make(images, batch)
        _reset_memory()
        operations = _operations(loop.step)
        seconds = _seconds(loop.step, *((0, 1) if dry else (WARM_STEPS, STEPS)))
        rate = operations / seconds
        memory = f"{_memory() / 1e9:.2f} | {loop.estimated_bytes / 1e9:.2f}"
        yield f"| {loop.name} | {batch / seconds:,.0f} | {rate / 1e12:.2f} | {rate / peak:.1%} | {memory} |"


def _supernet_bf16(images: Data, batch: int) -> Loop:
    return _supernet(images, batch, bf16=True)


def _supernet_fp32(images: Data, batch: int) -> Loop:
    return _supernet(images, batch, bf16=False)


def _supernet(images: Data, batch: int, *, bf16: bool) -> Loop:
    """The sandwich rule on four paths of mbconv, the largest network among them."""
    space, settings = build_space("mbconv", images.shape, CLASSES), Settings(1000, batch)
    largest = tuple(options[-1] for options in space.allowed)
    module = Supernet(space).to(device()).to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    archs = [largest, *(sample(space, rng) for _ in range(3))]
    name = f"supernet, mbconv, {'bf16' if bf16 else 'float32'}"
    return _plain(name, module, sandwich(module, settings, lambda step: archs), images, settings, bf16=bf16)


def _network(images: Data, batch: int) -> Loop:
    """The final training of the largest network of mbconv."""
    space, settings = build_space("mbconv", images.shape, CLASSES), Settings(1000, batch)
    graph = space.graph(tuple(options[-1] for options in space.allowed))
    network = Network(graph).to(device()).to(memory_format=torch.channels_last)
    return _plain("network, mbconv, bf16", network, supervised(network, settings), images, settings, bf16=True)


def _plain(
    name: str, module: torch.nn.Module, gradients: Gradients, images: Data, settings: Settings, *, bf16: bool
) -> Loop:
    optimizer = make_optimizer(module, settings)
    stepper = Stepper(module, optimizer, settings.clip)
    x, y = next(images.train.batches(settings.batch_size, size=SIDE, epoch=0, seed=0, augment=True))
    module.train()

    def compute(x: torch.Tensor, y: torch.Tensor) -> None:
        with torch.autocast(device(), torch.bfloat16, enabled=bf16 and device() == "cuda"):
            gradients(x, y, 0)

    def step() -> None:
        optimizer.zero_grad()
        compute(x, y)
        stepper.step()

    return Loop(name, step, measure(module, compute, images.shape).of(settings.batch_size))


def _bilevel(images: Data, batch: int) -> Loop:
    """GDAS on the whole network of NAS-Bench-201: a step of alphas, then one of weights."""
    space = build_space("nasbench201", images.shape, CLASSES)
    problem = Problem(space, (), Objective({}), lambda arch: {})
    settings, rng = BilevelSettings(Settings(1000, batch)), np.random.default_rng(0)
    t = BilevelTraining(problem, images.train, Gumbel(), settings, rng, seed=0, device=device())
    weights, alphas = t.batches(0), t.batches(1)
    t.supernet.train()

    def step() -> None:
        batch = next(weights)
        t._step_alphas(next(alphas))
        t._step_weights(batch)
        t.step += 1

    return Loop("bilevel, gdas on nasbench201", step, measure(t.supernet, t._step_on_largest, images.shape).of(batch))


LOOPS = (_supernet_bf16, _supernet_fp32, _bilevel, _network)  # most telling first


def search(clock: Clock, arguments: argparse.Namespace) -> Iterator[str]:
    """One search, from images to a measured model, with its training on the GPU."""
    if clock.left < SEARCH_S:
        yield f"search: skipped, {clock.left:.0f} s are left"
        return
    folder = Path(tempfile.mkdtemp()) / "search" if arguments.output is None else arguments.output
    command = [sys.executable, "-m", "edgenas", "search", "--output", str(folder), "--train-device", device()]
    command += ["--data", "digits" if arguments.data is None else str(arguments.data), "--strategy", "tunas"]
    command += ["--budget-ms", "1.0", *(["--resume"] if folder.exists() else [])]
    if arguments.dry:  # a shipped table, so that nothing is timed
        command += ["--device", "amd-epyc-zen4/onnxruntime-1t-fp32", "--search-epochs", "1", "--trials", "4"]
        command += ["--final-epochs", "1", "--finalists", "1"]
    begun = time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=clock.left - LAST_S)
    except subprocess.TimeoutExpired:
        yield f"search: stopped, as the time was over after {time.monotonic() - begun:.0f} s"
        return
    yield ""
    yield f"search with tunas: {time.monotonic() - begun:.0f} s, exit code {done.returncode}"
    yield ""
    yield from (f"    {line}" for line in done.stdout.splitlines())


def device() -> str:
    """Where to train."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def noise() -> Data:
    """Colour images of CIFAR-10's size, with nothing in them."""
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=np.uint8)
    labels, names = np.arange(IMAGES) % CLASSES, tuple(map(str, range(CLASSES)))
    splits = split_rows(labels, {"train": np.arange(IMAGES)}, names, validation_share=0.1, seed=0, where="noise")
    return data_from_pixels("noise", names, pixels, labels, splits, augment=Augment(flip=True), device=device())


def _seconds(step: Callable[[], None], warm: int, steps: int) -> float:
    """Of one step, in the mean of many that take `LOOP_S` at most: the device is waited for at the end alone."""
    begun = time.perf_counter()
    for _ in range(warm):
        step()
    _wait()
    if warm:
        each = (time.perf_counter() - begun) / warm
        steps = max(1, min(steps, int((LOOP_S - warm * each) / each)))
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    _wait()
    return (time.perf_counter() - begun) / steps


def _operations(step: Callable[[], None]) -> int:
    """Floating-point operations of one step, forwards and backwards; a multiply-add counts two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def _peak() -> float:
    """Operations a second of a large matrix product."""
    side = 8192 if device() == "cuda" else 512
    a = torch.randn(side, side, device=device(), dtype=torch.bfloat16)
    return 2 * side**3 / _seconds(lambda: torch.mm(a, a), 3, 20)  # type: ignore[arg-type]


def _wait() -> None:
    if device() == "cuda":
        torch.cuda.synchronize()


def _reset_memory() -> None:
    if device() == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _memory() -> int:
    return torch.cuda.max_memory_allocated() if device() == "cuda" else 0


def _end() -> None:
    print("stopped: the time is over", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
