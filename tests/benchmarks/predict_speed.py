"""How many architectures a second `edgenas predict` prices on one core.

    python -m tests.benchmarks.predict_speed

Measures this machine's table first if there is none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from edgenas.errors import MissingOps
from edgenas.spaces.build import build_space
from edgenas.system.progress import PlainReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.predict import predict
from edgenas.workflows.profile import profile
from tests.benchmarks._common import record

SHAPE, CLASSES, SAMPLES = (1, 32, 32), 10, 10_000


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    config = make_config({})
    try:
        list(predict(config, build_space(config.space, SHAPE, CLASSES), samples=200))
    except MissingOps:
        profile(config, PlainReporter(sys.stderr), shape=SHAPE, classes=CLASSES)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    command = [sys.executable, "-m", "edgenas", "predict", "--samples", str(SAMPLES), "--csv"]
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds.append(time.monotonic() - started)
    assert len(output.splitlines()) == SAMPLES + 1
    seconds.sort()
    lines = [
        f"{SAMPLES:,} architectures, whole process on one core: {SAMPLES / seconds[0]:,.0f} a second"
        f" (best of 5; median {SAMPLES / seconds[2]:,.0f}, worst {SAMPLES / seconds[-1]:,.0f})"
    ]
    record("Speed of predict", lines)


if __name__ == "__main__":
    main()
