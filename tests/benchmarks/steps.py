"""Training steps against the same steps in a plain loop, interleaved.

    python -m tests.benchmarks.steps [--rounds 8] [--dry]

The bilevel step is one of DARTS, first order: space `darts`, 8 cells, 16 channels, 32x32 images, batch 64. The supernet
step is one of the sandwich rule, teacher and three students: space `mbconv`, the same images. The plain loop computes
the same in the order of the channels that torch has by default, sums branch by branch, clips and steps by torch's
defaults, reads the loss each step, and leaves OpenMP and malloc as they are. Each loop has a process of its own; they
take turns, one step each.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.benchmarks._common import record

BATCH = 64
TASKS = ("bilevel", "supernet")
LOOPS = ("ours", "plain")
Step = Callable[[], None]


def main() -> None:
    """Run, print and record; or be one of the loops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    parser.add_argument("--be", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be:
        serve(*arguments.be)
        return
    lines = ["| step | ours s | plain s | ratio | ratios of the rounds |", "|---|---|---|---|---|"]
    profiles = []
    for task in TASKS:
        seconds, profile = timed(task, arguments.rounds)
        ours, plain = (float(np.quantile(seconds[loop], 0.1)) for loop in LOOPS)
        ratios = np.array(seconds["ours"]) / np.array(seconds["plain"])
        low, high = np.quantile(ratios, [0.1, 0.9])
        lines.append(f"| {task} | {ours:.3f} | {plain:.3f} | {ours / plain:.2f} | {low:.2f} to {high:.2f} |")
        profiles += ["", f"{task}, where the time of ours goes:", "", *profile]
    if arguments.dry:
        print("\n".join([*lines, *profiles]))
    else:
        record("Training steps against a plain loop", [*lines, *profiles])


def timed(task: str, rounds: int) -> tuple[dict[str, list[float]], list[str]]:
    """Seconds of every step by loop, and a profile of ours."""
    workers = {loop: _worker(loop, task) for loop in LOOPS}
    seconds: dict[str, list[float]] = {loop: [] for loop in LOOPS}
    for _ in range(rounds):
        for loop, worker in workers.items():
            seconds[loop].append(float(_asked(worker, "step")))
    profile = _asked(workers["ours"], "profile").split(";")
    for worker in workers.values():
        worker.communicate("end\n")
    return seconds, profile


def _worker(loop: str, task: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.steps", "--be", loop, task]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    return worker


def _asked(worker: subprocess.Popen[str], what: str) -> str:
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(what + "\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def serve(loop: str, task: str) -> None:
    """Make a step, or profile one, for every line on standard input."""
    if loop == "ours":
        from edgenas.system.threads import configure_threads

        configure_threads()
    step = (bilevel if task == "bilevel" else supernet)(loop == "ours")
    for _ in range(2):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "step\n":
            begun = time.perf_counter()
            step()
            print(time.perf_counter() - begun, flush=True)
        elif line == "profile\n":
            print(";".join(profiled(step)), flush=True)
        else:
            return


def profiled(step: Step, most: int = 8) -> list[str]:
    """The functions that take most of a step's time themselves."""
    profile = cProfile.Profile()
    profile.runcall(step)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in stats.values())
    largest = sorted(stats.items(), key=lambda item: -item[1][2])[:most]
    return [f"- {row[2] / total:.0%} {name}, {row[0]} calls" for (_, _, name), row in largest]


def bilevel(ours: bool) -> Step:
    """A step of the alphas and one of the weights."""
    import torch

    from edgenas.exploration.objective import Objective
    from edgenas.exploration.problem import Problem
    from edgenas.spaces.build import build_space
    from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
    from edgenas.strategies.gradient.relaxations import Softmax
    from edgenas.training.settings import Settings

    space = build_space("darts", (3, 32, 32), 10)
    chosen = {"width": [space.choices[space.index["width"]].options.index(16)], "cells": [0]}
    problem = Problem(space.restrict(chosen), (), Objective({}), lambda arch: {})
    settings = BilevelSettings(Settings(100, BATCH))
    rng, images = np.random.default_rng(0), noise(space.shape)
    t = BilevelTraining(problem, images, Softmax(), settings, rng, seed=0, device="cpu")
    weights, alphas = t.batches(0), t.batches(1)
    t.supernet.train()
    if ours:

        def step() -> None:
            batch = next(weights)
            t._step_alphas(next(alphas))
            t._step_weights(batch)
            t.step += 1

        return step
    supernet = t.supernet.to(memory_format=torch.contiguous_format)
    trained = [parameter for parameter in supernet.parameters() if parameter.requires_grad]
    logits = t.alphas.logits
    optimizers = {"weights": torch.optim.AdamW(trained), "alphas": torch.optim.Adam([logits])}

    def plain_step() -> None:
        for which, batches in (("alphas", alphas), ("weights", weights)):
            x, y = next(batches)
            mixtures = dict(zip(t.alphas.names(), t._mixtures(True), strict=True)) | t.certain
            loss = torch.nn.functional.cross_entropy(
                _plainly(supernet, t.supergraph, mixtures, x.contiguous(), t.settings.skip), y
            )
            optimizers[which].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 5.0)
            optimizers[which].step()
            loss.item()

    return plain_step


def supernet(ours: bool) -> Step:
    """A step of the sandwich rule."""
    import torch
    from torch.nn.functional import cross_entropy

    from edgenas.nn.supernet import Supernet
    from edgenas.spaces.build import build_space
    from edgenas.spaces.sampling import sample
    from edgenas.training.sandwich import sandwich
    from edgenas.training.settings import Settings
    from edgenas.training.train import Stepper, make_optimizer

    space = build_space("mbconv", (3, 32, 32), 10)
    rng, settings, count = np.random.default_rng(0), Settings(100, BATCH), iter(range(10**6))
    largest = {space.choices[i].name: [space.allowed[i][-1]] for i in space.static_indices}
    module = Supernet(space.restrict(largest), torch.Generator().manual_seed(0))
    largest_arch = tuple(options[-1] for options in module.space.allowed)
    batches = noise(space.shape).batches(BATCH, size=32, epoch=0, seed=0, augment=True)
    x, y = next(iter(batches))
    module.train()

    def archs(step: int) -> Sequence[tuple[int, ...]]:
        return [largest_arch, *(sample(module.space, rng) for _ in range(3))]

    if ours:
        module.to(memory_format=torch.channels_last)
        gradients, optimizer = sandwich(module, settings, archs), make_optimizer(module, settings)
        stepper = Stepper(module, optimizer, settings.clip)

        def step() -> None:
            optimizer.zero_grad()
            gradients(x, y, next(count))
            stepper.step()

        return step
    plain_optimizer = torch.optim.AdamW(module.parameters())
    x = x.contiguous()

    def plain_step() -> None:
        plain_optimizer.zero_grad()
        teacher, *students = archs(0)
        logits = module(x, teacher)
        loss = cross_entropy(logits, y)
        loss.backward()  # type: ignore[no-untyped-call]
        target = logits.detach().softmax(1)
        for arch in students:
            cross_entropy(module(x, arch), target).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        plain_optimizer.step()
        loss.item()

    return plain_step


def noise(shape: tuple[int, int, int]) -> Any:
    """Training images with nothing in them."""
    from edgenas.data.base import Augment
    from edgenas.data.storage.splits import split_rows
    from edgenas.data.storage.tensor import data_from_pixels

    pixels = np.random.default_rng(0).integers(0, 256, (1500, *shape), dtype=np.uint8)
    labels, names = np.arange(len(pixels)) % 10, tuple(map(str, range(10)))
    splits = split_rows(labels, {"train": np.arange(len(labels))}, names, validation_share=0.1, seed=0, where="noise")
    augment = Augment(flip=True, shift=0.125)
    return data_from_pixels("noise", names, pixels, labels, splits, augment=augment, device="cpu").train


def _plainly(supernet: Any, graph: Any, mixtures: Any, x: Any, skip: float) -> Any:
    """Logits of a mixture, every sum branch by branch."""
    from edgenas.graph.ops import Choose
    from edgenas.nn.layers import apply
    from edgenas.nn.mixture import skips

    values, auxiliary = {graph.input.name: x}, skips(supernet.space, graph)
    for node in graph.nodes[1:]:
        if isinstance(node.op, Choose):
            mixture = mixtures[node.op.choice]
            branches = dict(zip(node.op.options, node.inputs, strict=True))
            total = sum(w * values[branches[o]] for o, w in zip(mixture.options, mixture.weights, strict=True))
            if node.name in auxiliary:
                total = total + skip * values[auxiliary[node.name]]
            values[node.name] = total
        else:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = apply(node.op, inputs, supernet.weights(node), None)
    return values[graph.output.name]


if __name__ == "__main__":
    main()
