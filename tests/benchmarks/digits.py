"""Digits: five budgets over the space's range, three strategies, one supernet.

    python -m tests.benchmarks.digits --output runs/digits

Takes about a quarter of an hour on 2 cores; started again with the same command it goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgenas.runtimes.decide import met
from edgenas.system.progress import PlainReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.profile import profile
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from tests.benchmarks._common import accuracy, record, result_of

STRATEGIES = ("evolution", "random", "reinforce")
SETTINGS: dict[str, Any] = {"finalists": 1, "trials": 60, "shape_choices": 9, "int8": False, "supernet_epochs": 12}
TEST_IMAGES = 361


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    folder = parser.parse_args().output
    reporter = PlainReporter(sys.stderr)
    if not (folder / "base").exists():
        profile(make_config({}), reporter, shape=(1, 32, 32), classes=10)
    base = _search(folder / "base", reporter, budget_ms=20.0, strategy="random", trials=8)
    budgets = np.geomspace(1.6 * base.smallest_ms, 0.9 * base.largest_ms, 5).round(4).tolist()
    lines = [
        f"the space reaches from {base.smallest_ms:.3f} to {base.largest_ms:.3f} ms; {SETTINGS}",
        "",
        "| budget ms | strategy | measured ms | repeat error | used | within | validation % | test % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    used, within, by_budget = [], [], {}
    for budget_ms in budgets:
        for strategy in STRATEGIES:
            output = folder / f"{strategy}-{budget_ms}"
            r = _search(output, reporter, budget_ms=budget_ms, strategy=strategy, reuse=str(folder / "base"))
            used.append(r.measured_ms / budget_ms)
            within.append(met(r.measured_ms, r.repeat_error, budget_ms))
            by_budget.setdefault(budget_ms, []).append(r.test_accuracy)
            lines.append(
                f"| {budget_ms:.3f} | {strategy} | {r.measured_ms:.3f} | {r.repeat_error:.1%} | {used[-1]:.0%} "
                f"| {'yes' if within[-1] else 'NO'} | {100 * r.validation_accuracy:.1f} "
                f"| {accuracy(r.test_accuracy, TEST_IMAGES)} |"
            )
    first, last = (float(np.mean(by_budget[b])) for b in (budgets[0], budgets[-1]))
    lines += [
        "",
        f"{sum(within)} of {len(within)} within budget; median use {median(used):.1%};"
        f" mean test accuracy {first:.2%} at the smallest budget, {last:.2%} at the largest",
    ]
    record("Digits, five budgets", lines)


def _search(output: Path, reporter: PlainReporter, **settings: Any) -> Result:
    if (done := result_of(output)) is not None:
        return done
    return search(make_config(SETTINGS | settings | {"output": str(output), "resume": output.exists()}), reporter)


if __name__ == "__main__":
    main()
