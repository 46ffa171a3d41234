"""One search to a budget: strategies that train weights while they search, on digits.

    python -m tests.benchmarks.budgets --output runs/budgets

Every budget binds: the largest network exceeds it. `expected` is the latency that the alphas expect in the end over
that of the architecture they come to, by the same table. Takes half an hour on 2 cores; started again with the same
command it goes on.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

from edgenas.runtimes.decide import met
from edgenas.system.progress import PlainReporter
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.config import make_config
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from edgenas.workflows.stages.artefacts import Report
from tests.benchmarks._common import accuracy, record

SHARES = {"darts": (0.3, 0.5, 0.7), "tunas": (0.3, 0.5, 0.7)}  # of the largest network's latency
STRATEGIES = ("darts", "gdas", "proxyless", "enas", "tunas", "oneshot")
SETTINGS: dict[str, Any] = {"data": "digits", "space": "mbconv", "finalists": 1, "trials": 60, "int8": False}
TEST_IMAGES = 361
_EXPECTED = re.compile(r"latency_high_ms\S* ([\d.e-]+) expected, ([\d.e-]+) after")


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=STRATEGIES, help="these strategies alone")
    arguments = parser.parse_args()
    folder, reporter = arguments.output, PlainReporter(sys.stderr)
    base = searched(folder / "base", reporter, budget_ms=20.0, strategy="random", trials=8, supernet_epochs=2)
    lines = [
        f"the space reaches from {base.smallest_ms:.3f} to {base.largest_ms:.3f} ms; {SETTINGS}",
        "",
        "| strategy | budget ms | measured ms | repeat error | used | within | expected | validation % | test % | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    used, within, ratios = [], [], []
    for strategy in arguments.only:
        for share in SHARES.get(strategy, (0.5,)):
            budget_ms = round(share * base.largest_ms, 3)
            r = searched(folder / f"{strategy}-{share}", reporter, budget_ms=budget_ms, strategy=strategy)
            used.append(r.measured_ms / budget_ms)
            within.append(met(r.measured_ms, r.repeat_error, budget_ms))
            ratio = expected_over_found(read_artefact(folder / f"{strategy}-{share}", "report", Report).notes)
            ratios += [] if ratio is None else [ratio]
            lines.append(
                f"| {strategy} | {budget_ms:.3f} | {r.measured_ms:.3f} | {r.repeat_error:.1%} | {used[-1]:.0%} "
                f"| {'yes' if within[-1] else 'NO'} | {'' if ratio is None else f'{ratio:.3f}'} "
                f"| {100 * r.validation_accuracy:.1f} | {accuracy(r.test_accuracy, TEST_IMAGES)} "
                f"| {sum(r.seconds.values()):.0f} |"
            )
    lines += [
        "",
        f"{sum(within)} of {len(within)} within the budget, each from one search; median use {median(used):.1%}",
    ]
    if ratios:
        worst = max(ratios, key=lambda ratio: abs(ratio - 1))
        lines.append(f"expected over discretised latency: median {median(ratios):.3f}, farthest from 1: {worst:.3f}")
    record("One search to a budget, with weights that the search trains", lines)


def searched(output: Path, reporter: PlainReporter, **settings: Any) -> Result:
    """A search, gone on with if it was interrupted."""
    return search(make_config({**SETTINGS, "output": str(output), "resume": output.exists(), **settings}), reporter)


def expected_over_found(notes: list[str]) -> float | None:
    """Of a gradient search."""
    for note in notes:
        if found := _EXPECTED.search(note):
            return float(found[1]) / float(found[2])
    return None


if __name__ == "__main__":
    main()
