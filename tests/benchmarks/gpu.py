"""All that needs a GPU, in 25 minutes: speed of every training loop, cells by GDAS, a search with a long training.

    python -m tests.benchmarks.gpu --data DIR --output runs/gpu [--minutes 25] [--parts speed cells search] [--dry]

`--data` (or the environment variable EDGENAS_DATA) names the folder of `cifar10_jpeg.npz` and `nb201.npz`. Every part
prints its lines and appends them to docs/results.md under the card's name. On a machine without a GPU `--dry` runs
everything for a moment on the CPU: figures mean nothing then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.cost.counts import CountCost
from edgenas.data.base import Data
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import Gumbel
from edgenas.system.progress import PlainReporter
from edgenas.system.threads import configure_threads
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings
from edgenas.training.train import Stepper, make_optimizer, supervised
from edgenas.workflows import api
from edgenas.workflows.config import make_config
from tests.benchmarks import cells
from tests.benchmarks._common import accuracy, record, spread

PARTS = {"speed": 0.12, "cells": 0.4, "search": 0.48}  # shares of the minutes
BATCH, SEEDS = 256, 3
WARM_STEPS, STEPS = 10, 30
DRY_IMAGES = 600


def main() -> None:
    """Run the parts; or one search for cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), help="folder of the two files")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=[*PARTS])
    parser.add_argument("--dry", action="store_true", help="a moment of each, printed only")
    parser.add_argument("--cell", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the data: --data DIR, or EDGENAS_DATA")
    if not (torch.cuda.is_available() or arguments.dry):
        parser.error("torch sees no GPU; --dry runs everything for a moment on the CPU")
    configure_threads()
    arguments.output.mkdir(parents=True, exist_ok=True)
    minutes = arguments.minutes
    if arguments.cell is not None:
        cell(arguments, minutes * PARTS["cells"])
        return
    for part in arguments.parts:
        title, lines = {"speed": speed, "cells": found_cells, "search": search}[part](arguments, minutes * PARTS[part])
        if arguments.dry:
            print("\n".join([title, *lines]))
        else:
            record(f"{title}, {torch.cuda.get_device_name()}", lines)


def device() -> str:
    """Where to train."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def speed(arguments: argparse.Namespace, minutes: float) -> tuple[str, list[str]]:
    """Images a second of every training loop, and their operations as a share of those of a large product."""
    peak = _peak()
    lines = [f"a product of two bf16 matrices reaches {peak / 1e12:.1f} TFLOP/s", ""]
    lines += ["| loop | images/s | TFLOP/s | share of that |", "|---|---|---|---|"]
    for name, step in _loops(_images(arguments, 32)).items():
        seconds, operations = _seconds(step, *((0, 1) if arguments.dry else (WARM_STEPS, STEPS))), _operations(step)
        rate = operations / seconds
        lines.append(f"| {name} | {BATCH / seconds:,.0f} | {rate / 1e12:.2f} | {rate / peak:.1%} |")
    return "Training loops on a GPU", lines


def _loops(images: Data) -> dict[str, Callable[[], None]]:
    """One step of each."""
    space, settings = build_space("mbconv", images.shape, len(images.classes)), Settings(1000, BATCH)
    space = space.restrict({space.choices[i].name: [space.allowed[i][-1]] for i in space.static_indices})
    largest = tuple(options[-1] for options in space.allowed)
    network = Network(space.graph(largest)).to(device()).to(memory_format=torch.channels_last)
    module = Supernet(space).to(device()).to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    archs = [largest, *(sample(space, rng) for _ in range(3))]
    final = _plain_step(network, supervised(network, settings), images, settings)
    shared = _plain_step(module, sandwich(module, settings, lambda step: archs), images, settings)
    return {"final, mbconv": final, "supernet, mbconv": shared, "bilevel, gdas on nasbench201": _bilevel_step(images)}


def _plain_step(module: torch.nn.Module, gradients: Any, images: Data, settings: Settings) -> Callable[[], None]:
    optimizer = make_optimizer(module, settings)
    stepper = Stepper(module, optimizer, settings.clip)
    x, y = next(iter(images.train.batches(BATCH, size=32, epoch=0, seed=0, augment=True)))
    module.train()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device(), torch.bfloat16, enabled=device() == "cuda"):
            gradients(x, y, 0)
        stepper.step()

    return step


def _bilevel_step(images: Data) -> Callable[[], None]:
    space = build_space("nasbench201", images.shape, len(images.classes))
    problem = Problem(space, (), Objective({}), lambda arch: {})
    t = BilevelTraining(
        problem,
        images.train,
        Gumbel(),
        BilevelSettings(Settings(1000, BATCH)),
        np.random.default_rng(0),
        seed=0,
        device=device(),
    )
    weights, alphas = t.batches(0), t.batches(1)
    t.supernet.train()

    def step() -> None:
        batch = next(weights)
        t._step_alphas(next(alphas))
        t._step_weights(batch)
        t.step += 1

    return step


def found_cells(arguments: argparse.Namespace, minutes: float) -> tuple[str, list[str]]:
    """GDAS on all of CIFAR-10, full networks of NAS-Bench-201, seeds side by side; what they find is looked up."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.gpu",
        "--data",
        str(arguments.data),
        "--output",
        str(arguments.output),
    ]
    command += ["--minutes", str(arguments.minutes), *(["--dry"] if arguments.dry else [])]
    seeds = range(1 if arguments.dry else SEEDS)
    running = [subprocess.Popen([*command, "--cell", str(seed)]) for seed in seeds]
    if any([process.wait() for process in running]):
        raise SystemExit("a search for cells failed")
    rows = [json.loads((arguments.output / f"cell-{seed}.json").read_text()) for seed in seeds]
    lines = [
        f"- seed {s}: {r['c10']:.2f} / {r['c100']:.2f}, {r['epochs']} epochs, {r['cell']}" for s, r in enumerate(rows)
    ]
    mean = " / ".join(spread([row[name] for row in rows]) for name in ("c10", "c100"))
    least = min(row["c10"] for row in rows)
    return "GDAS without a budget: test accuracy of CIFAR-10 / CIFAR-100 by look-up", [
        f"mean {mean}, least on CIFAR-10 {least:.2f}",
        *lines,
    ]


def cell(arguments: argparse.Namespace, minutes: float) -> None:
    """One seed, for as long as the minutes allow."""
    images, table = _images(arguments, 32), cells.load(arguments.data / cells.FILE)
    job, space, epochs = cells.Job("gdas", arguments.cell, budgeted=False), table.space, 1
    if arguments.dry:
        images, space = cells.part(images, DRY_IMAGES), cells.Small(images.shape, len(images.classes))
    else:
        seconds = _seconds(_bilevel_step(images), WARM_STEPS, STEPS) * (len(images.train) // 2 // BATCH)
        epochs = max(1, int(60 * minutes * 0.85 / seconds))
    problem = Problem(space, (CountCost("macs"),), Objective({}), lambda arch: {})
    archs, notes = cells.searched(job, images, problem, epochs=epochs, device=device(), options={})
    place = table.scores.archs.index(archs[0])
    row = {name: 100 * float(table.scores.accuracy[f"{name}_test"][place]) for name in ("c10", "c100")}
    row |= {"cell": space.published(archs[0]), "epochs": epochs, "notes": notes}
    (arguments.output / f"cell-{arguments.cell}.json").write_text(json.dumps(row))


def search(arguments: argparse.Namespace, minutes: float) -> tuple[str, list[str]]:
    """A search on CIFAR-10 to half the latency of the largest network, with a final training of most of the minutes."""
    settings: dict[str, Any] = {
        "data": "npz",
        "data_root": str(arguments.data / cells.IMAGES),
        "strategy": "tunas",
        "budget_ms": 1.0,
        "finalists": 1,
        "train_device": device(),
        "output": str(arguments.output / "search"),
        "resume": (arguments.output / "search").exists(),
    }
    if arguments.dry:
        settings |= {
            "data": "digits",
            "data_root": None,
            "search_epochs": 1,
            "trials": 4,
            "final_epochs": 1,
            "int8": False,
        }
    else:
        seconds = _seconds(_loops(_images(arguments, 32))["final, mbconv"], WARM_STEPS, STEPS)
        settings["final_epochs"] = max(1, int(60 * minutes / (seconds * 45_000 / BATCH)))
        settings["search_epochs"] = 20
    begun = time.monotonic()
    r = api.search(make_config(settings), PlainReporter(sys.stderr))
    return "CIFAR-10 to a budget", [
        f"{r.measured_ms:.3f} ms of {r.budget_ms} ms (repeat error {r.repeat_error:.1%}), test accuracy "
        f"{accuracy(r.onnx_test_accuracy, 10_000)} %, {r.params:,} parameters, {settings['final_epochs']} epochs, "
        f"{(time.monotonic() - begun) / 60:.1f} minutes",
    ]


def _images(arguments: argparse.Namespace, size: int) -> Data:
    return cells.images(arguments.data, size, device())


def _seconds(step: Callable[[], None], warm: int, steps: int) -> float:
    """Of one step, in the mean of many: the device is waited for at the end alone."""
    for _ in range(warm):
        step()
    _wait()
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
    return 2 * side**3 / _seconds(lambda: torch.mm(a, a), 3, 20)  # type: ignore[arg-type, return-value]


def _wait() -> None:
    if device() == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
