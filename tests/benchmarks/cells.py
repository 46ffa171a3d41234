"""Cells of NAS-Bench-201 (arXiv:2001.00326) found by gradients in minutes, looked up in its table.

    python -m tests.benchmarks.cells --data DIR [--seeds 3] [--keep FILE] [--dry]

CIFAR-10 as JPEG at a quarter of its pixels, a network of few cells and channels; the 50,000 training images are split
into validation and two halves, nothing else is seen. What is found is looked up: accuracies of full networks, trained
for 200 epochs, none of which a search has seen. The budget is the median latency on a Raspberry Pi 4; latencies are
looked up too, and are no sums. `first` is the alphas' own cell, `found` the one that the shared weights prefer among
those that the search recommends.

Controls, for as long as the strategies took on average: random feasible cells, and feasible cells in order of
multiply-adds, each trained alone at the same small size; the best by validation is found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from edgenas import driver, plugins
from edgenas.data import npz
from edgenas.data._base import Data
from edgenas.engine import process
from edgenas.engine.settings import Settings
from edgenas.engine.train import Surroundings
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.evaluators.shared import SharedEvaluator
from edgenas.graph import Arch
from edgenas.objective import Objective
from edgenas.problem import Problem
from edgenas.spaces.nasbench201 import NASBench201
from edgenas.study import Study
from tests.benchmarks._common import record
from tests.benchmarks._tabular import _forget, _missing, load

DEVICE = "raspi4"
ACCURACIES = ("c10_val", "c10_test")
STRATEGIES = ("darts", "gdas", "proxyless")
SIZE, TRIALS = 16, 60
EPOCHS = {"darts": 6, "gdas": 20, "proxyless": 14}  # for 3 minutes of two cores at most


class Small(NASBench201):
    """The space in a size for two cores: the same cells, fewer of them, and fewer channels."""

    name = "nasbench201"
    channels, cells = (8, 16, 32), 1


@dataclass(frozen=True)
class Config:
    """What strategies read of a configuration."""

    seed: int
    search_epochs: int
    trials: int = TRIALS
    evaluator: str = "shared"

    def seeing(self, images: int, at_least: int, train_images: int) -> int:
        raise AssertionError("the epochs are given")


class Run:
    """What `build` of a strategy gets."""

    torch_device = "cpu"

    def __init__(self, job: Job, data: Data, problem: Problem) -> None:
        self.config = Config(job.seed, EPOCHS[job.strategy])
        self.evaluator = SharedEvaluator(data)
        self.problem = replace(problem, evaluator=self.evaluator)
        self.options: Mapping[str, str] = {
            name: values[0] for name, values in plugins.load("strategies", job.strategy).OPTIONS.items()
        } | ({} if job.guarded else {"guards": "off"})

    def rng(self, name: str) -> Generator:
        return np.random.default_rng([self.config.seed, *name.encode()])

    def surroundings(self, name: str, identity: dict[str, Any]) -> Surroundings:
        return Surroundings()


@dataclass(frozen=True)
class Job:
    """One search."""

    strategy: str
    seed: int
    budgeted: bool
    guarded: bool = True


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), help="folder of the two files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=STRATEGIES, help="these strategies alone")
    parser.add_argument("--keep", type=Path, help="file of finished searches, of one commit: killed, it goes on there")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in RESULTS.md")
    args = parser.parse_args()
    if args.data is None:
        parser.error("name the data: --data DIR, or EDGENAS_DATA")
    process.tune()
    jobs = [Job(*job) for job in itertools.product(args.only, range(args.seeds), (True, False))]
    jobs += [Job(name, 0, budgeted, guarded=False) for name in args.only for budgeted in (True, False)]
    done = kept(args.keep)
    for job in jobs:
        if repr(job) not in done:
            done[repr(job)] = searched(job, args.data)
            keep(args.keep, repr(job), done[repr(job)])
            print(job, done[repr(job)], flush=True)
