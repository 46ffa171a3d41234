"""The same 40 models timed twice, each time in a fresh process: how far the second figures are from the first.

    python -m tests.benchmarks.repeat [--runtime NAME] [--dry]

Random networks of the default space; a ratio counts if both figures repeat within 4 %. Bar: 95 % of the
ratios in .97-1.03.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from edgenas.devices.probes import random_model
from edgenas.graph.ops import shape_text
from edgenas.runtimes.bench import bench_in_fresh_process
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.system.progress import PlainReporter
from tests.benchmarks._common import record

SHAPE, MODELS, SECONDS, NEAR = (1, 32, 32), 40, 2.0, 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime", help="(default: onnxruntime)")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    space, rng = build_space("mbconv", SHAPE, 10), np.random.default_rng(7)
    reporter = PlainReporter(sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.onnx" for i in range(MODELS)]
        for path in paths:
            path.write_bytes(random_model(space.graph(sample(space, rng)), "fp32", rng))
        runs = []
        for number in ("first", "second"):
            with reporter.stage(f"time {MODELS} models, {number} time") as tell:
                runs.append(bench_in_fresh_process(paths, runtime=arguments.runtime, seconds=SECONDS, progress=tell))
    ms, errors = (np.array([[getattr(b, name) for b in run] for run in runs]) for name in ("ms", "repeat_error"))
    counts = (errors <= MAX_REPEAT_ERROR).all(axis=0)
    ratios = (ms[1] / ms[0])[counts]
    near = (abs(ratios - 1) <= NEAR).mean()
    lines = [
        f"{MODELS} networks of {shape_text(SHAPE)} images, {ms.min():.3f} to {ms.max():.3f} ms, {arguments.runtime}, "
        f"1 thread; repeat errors {np.median(errors):.1%} in the middle, {errors.max():.1%} at most",
        "",
        f"{near:.1%} of {len(ratios)} ratios within .97-1.03; they run from {ratios.min():.3f} to {ratios.max():.3f}, "
        f"their median is {np.median(ratios):.3f}",
    ]
    if len(ratios) < MODELS:
        lines.append(f"{MODELS - len(ratios)} not shown: a repeat error over 4 %")
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("The same models timed twice", lines)


if __name__ == "__main__":
    main()
