"""Memory of the first steps of every training, in every space, at default settings on digits: estimated and measured.

    python -m tests.benchmarks.memory [--spaces NAME ...] [--trainings NAME ...] [--steps 2] [--seconds 120]

A training is that of a strategy that trains weights, of the evaluator `supernet`, or of one `network`, the largest.
Each runs in a process of its own; no budget limits it, so sizes are the largest of the space. Growth is that of the
resident set, from before the training to its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks._common import record

GB = 1e9
UNLIMITED = 1e15  # MACs
BATCH = 64  # the default for sets as small as digits
SUPERNET, NETWORK = "supernet", "network"


class Peak(NamedTuple):
    """What one training needed: bytes of growth as estimated and as measured, of the whole process, and images."""

    estimated: int
    grown: int
    peak: int
    at_once: int
    whole: int

    def row(self) -> str:
        """Return the cells of a table."""
        figures = f"{self.estimated / GB:.2f} | {self.grown / GB:.2f} | {self.peak / GB:.2f}"
        return f"{figures} | {self.at_once} of {self.whole} |"


def main() -> None:
    """Run, print and record; or be one of the trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="*")
    parser.add_argument("--trainings", nargs="*")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0, help="for one training, after which it is stopped")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    parser.add_argument("--be", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be:
        training, space = arguments.be
        be(training, space, arguments.steps, arguments.seconds)
        return
    from edgenas.system import plugins

    spaces = arguments.spaces or plugins.names("spaces")
    lines = ["| training | space | estimated GB | grown GB | peak GB | images at once |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for training in arguments.trainings or trainings():
        for space in spaces:
            lines.append(
                f"| {training} | {space} | {measured(training, space, arguments.steps, arguments.seconds).row()}"
            )
            print(lines[-1], flush=True)
    if not arguments.dry:
        record("Memory of training", lines)


def trainings() -> list[str]:
    """Return the strategies that train weights, and what else is trained."""
    from edgenas.system import plugins

    names = plugins.names("strategies")
    return [*(name for name in names if plugins.load("strategies", name).trains_weights), SUPERNET, NETWORK]


def measured(training: str, space: str, steps: int, seconds: float) -> Peak:
    """Return the peak of the first steps of a training, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--be", training, space]
    command += ["--steps", str(steps), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Peak(*json.loads(done.stdout.splitlines()[-1]))


def be(training: str, space_name: str, steps: int, seconds: float) -> None:
    """Train for the first steps, or for some seconds, in this process, which then prints its peak and ends."""
    from edgenas.system.threads import configure_threads

    configure_threads()  # torch comes with what follows
    from edgenas.cost.counts import CountCost
    from edgenas.data import digits
    from edgenas.errors import Interrupted
    from edgenas.exploration.objective import Objective
    from edgenas.exploration.problem import Problem
    from edgenas.spaces.build import build_space
    from edgenas.system import plugins
    from edgenas.system.run_folder import read_artefact
    from edgenas.testing.toy import ToyContext, ToyPriced, ToySettings
    from edgenas.training.context import TrainingContext
    from edgenas.training.memory import MicroBatch

    data = digits.build(
        root=None, seed=0, image_size=None, validation_share=0.1, download=False, strict=False, device="cpu"
    )
    space = build_space(space_name, data.shape, len(data.classes))
    problem = Problem(space, (CountCost("macs"),), Objective({"macs": UNLIMITED}), lambda arch: {"accuracy": 0.0})
    settings = replace(ToySettings(), search_epochs=None, supernet_epochs=None)
    folder = Path(tempfile.mkdtemp())
    trained: list[int] = []
    context = TrainingContext(
        folder / "it.pt",
        progress=lambda done, total, text: None,
        stop=lambda: trained.append(1) or len(trained) >= steps,  # type: ignore[func-returns-value]
    )

    @dataclass(frozen=True)
    class OnDigits(ToyPriced):
        @property
        def data(self) -> Any:
            return data

    @dataclass(frozen=True)
    class Stopping(ToyContext):
        def training(self, name: str, identity: Mapping[str, Any]) -> TrainingContext:
            return context

    priced, ctx = OnDigits(problem, settings), Stopping()
    before = _status("VmRSS")

    def end() -> None:
        kept = read_artefact(folder, "it-memory", MicroBatch)
        peak = _status("VmHWM")
        print(json.dumps([kept.needed_bytes, peak - before, peak, kept.images, BATCH]), flush=True)
        os._exit(0)

    timer = threading.Timer(seconds, end)  # the first micro-batches show the peak of a long step
    timer.daemon = True
    timer.start()
    try:
        if training == SUPERNET:
            plugins.load("evaluators", SUPERNET).build(priced, ctx)
        elif training == NETWORK:
            _train_largest(problem, data, context)
        else:
            strategy = plugins.load("strategies", training)
            strategy.build(priced, ctx, {name: values[0] for name, values in strategy.options.items()}).ask(1)
    except Interrupted:
        pass
    end()


def _train_largest(problem: Any, data: Any, context: Any) -> None:
    import torch

    from edgenas.cost.bounds import largest_arch
    from edgenas.cost.counts import CountCost
    from edgenas.nn.network import Network
    from edgenas.training.settings import Settings, batch_size_for
    from edgenas.training.train import supervised, train

    largest = largest_arch(problem.space, CountCost("macs"))
    network = Network(problem.space.graph(largest)).to(memory_format=torch.channels_last)
    settings = Settings(1, batch_size_for(len(data.train)))
    size = network.graph.input.shape[1]
    train(network, supervised(network, settings), data.train, settings, size=size, seed=0, context=context)


def _status(name: str) -> int:
    lines: Sequence[str] = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
