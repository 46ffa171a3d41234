"""A trained supernet taken to other budgets and to int8, beside a search of its own for each.

    python -m tests.benchmarks.specialised --output runs/sharing [--strategy random] [--seeds 2] [--dry]

The folder is that of `tests.benchmarks.sharing`, whose runs of `--strategy` left the supernets. The searches are that
strategy's, as they were made there. Budgets are shares of that comparison's. Takes half an hour on 2 cores; started
again with the same command it goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.system.progress import PlainReporter, Reporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.result import Result
from edgenas.workflows.source_run import settings
from edgenas.workflows.specialize import specialize
from tests.benchmarks import sharing
from tests.benchmarks._common import record, result_of

CASES = (("fp32", 0.4), ("fp32", 0.7), ("fp32", 1.3), ("int8", 0.7))  # precision, share of the budget
BRIEF: dict[str, Any] = {"finalists": 1, "trials": 8}


def main() -> None:
    """Run, print and record."""
    configure_threads()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--strategy", default="random", help="whose supernets")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    folder, reporter = args.output, PlainReporter(sys.stderr)
    lines = [
        f"weights of `{args.strategy}`; {BRIEF}; means over {args.seeds} seeds; seconds without those of a profile",
        "",
        "| precision, budget ms | specialised: validation % | test % | ms | s | own search: validation % | test % | ms "
        "| s | difference, test | share of the time |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    worst, slowest = 0.0, 0.0
    for precision, share in CASES:
        pairs = [pair(folder, reporter, args.strategy, seed, precision, share) for seed in range(args.seeds)]
        budget_ms = float(np.mean([own.budget_ms for _, own in pairs]))
        ours, own = (figures([p[side] for p in pairs], precision) for side in (0, 1))
        difference, time = ours[1] - own[1], ours[3] / own[3]
        worst, slowest = min(worst, difference), max(slowest, time)
        cells = " | ".join("{:.2f} | {:.2f} | {:.3f} | {:.0f}".format(*side) for side in (ours, own))
        lines.append(f"| {precision}, {budget_ms:.3f} | {cells} | {difference:+.2f} | {time:.1%} |")
    lines += ["", f"worst difference of test accuracy {worst:+.2f} points; longest {slowest:.1%} of a search's time"]
    title = "Specialised models beside searches of their own, 10,000 images of Fashion-MNIST"
    print("\n".join(lines)) if args.dry else record(title, lines)


def pair(folder: Path, reporter: Reporter, strategy: str, seed: int, precision: str, share: float) -> Sequence[Result]:
    """The specialised model, and that of a search for the same budget."""
    source = folder / f"{strategy}-{seed}"
    first = result_of(source)
    assert first is not None and first.budget_ms is not None
    goal = {"budget_ms": round(share * first.budget_ms, 3), "precision": precision, "int8": precision == "int8"}
    name = f"{strategy}-{seed}-{precision}-{share}"
    alike = {"strategy": strategy, **sharing.STRATEGIES[strategy], "seed": seed}
    own = sharing.run(folder / f"own-{name}", reporter, **alike, **goal)
    output = folder / f"special-{name}"
    if (done := result_of(output)) is not None:
        return done, own
    given = {"output": str(output), "resume": output.exists(), **BRIEF, **goal}
    return specialize(settings(source, given), source, reporter), own


def figures(results: Sequence[Result], precision: str) -> tuple[float, ...]:
    """Means of validation and test accuracy in %, latency in ms, and seconds on the clock."""
    tests = [r.onnx_test_accuracy if precision == "fp32" else r.int8_test_accuracy for r in results]
    seconds = [sum(s for stage, s in r.seconds.items() if stage != "profile") for r in results]
    columns = [[100 * r.validation_accuracy for r in results], [100 * (t or 0.0) for t in tests]]
    return tuple(float(np.mean(column)) for column in (*columns, [r.measured_ms or 0.0 for r in results], seconds))


if __name__ == "__main__":
    main()
