"""What proposes cuts of a trained network best: strategies on one teacher, with as many minutes each.

    python -m tests.benchmarks.proposals RUN --output DIR [--minutes 12] [--strategies milp evolution ...] [--dry]

RUN is the folder of an `edgenas search --pretrained`, whose profile, teacher and settings all searches take over. Each
of them has so many minutes in all, of which a quarter goes to proposing and most of the rest to one finalist; none
trains controls. Of each: trials, minutes of the search itself, the accuracy of the best candidate before it is trained,
and of the delivered model on validation and test. A run that is there is not made again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgenas.system.progress import PlainReporter
from edgenas.system.run_folder import read_artefact
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import make_config, read_run
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from edgenas.workflows.stages.artefacts import Selection
from tests.benchmarks._common import record, result_of

STRATEGIES = ("milp", "evolution", "predictor", "random", "tunas")
# Settings of the run that make it another search.
DROPPED = ("output", "strategy", "evaluator", "options", "trials", "finalists", "controls", "reward", "preset")


def main() -> None:
    """Search by every strategy, and record."""
    configure_threads()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    lines = [
        "| strategy | trials | minutes of search | best candidate % | ms | validation % | test % | minutes |",
        "|---|---|---|---|---|---|---|---|",
        *(row(name, proposed(arguments, name), arguments.output / name) for name in arguments.strategies),
    ]
    print("\n".join(lines)) if arguments.dry else record("What proposes cuts of a trained network", lines)


def proposed(arguments: argparse.Namespace, strategy: str) -> Result:
    """The result of a search by a strategy, made now or before."""
    folder = arguments.output / strategy
    if (there := result_of(folder)) is not None:
        return there
    before = {name: value for name, value in read_run(arguments.run).items() if name not in DROPPED}
    named = {"strategy": strategy, "finalists": 1, "controls": "none", "trials": 10**4, "minutes": arguments.minutes}
    resume = (folder / "config.toml").exists()
    named |= {"output": str(folder), "resume": resume} | ({} if resume else {"reuse": str(arguments.run)})
    return search(make_config({**before, **named}), PlainReporter(sys.stderr))


def row(strategy: str, found: Result, folder: Path) -> str:
    """One line of the table."""
    best = max(row.accuracy for row in read_artefact(folder, "finalists", Selection).candidates)
    minutes = {name: seconds / 60 for name, seconds in found.seconds.items()}
    shares = (best, found.validation_accuracy, found.test_accuracy)
    first, *accuracies = (f"{100 * share:.1f}" for share in shares)
    searched = sum(minutes.get(name, 0.0) for name in ("replacement", "supernet", "shared", "search"))
    cells = strategy, found.trials, f"{searched:.1f}", first, f"{found.measured_ms:.3f}", *accuracies
    return "| " + " | ".join(map(str, (*cells, f"{sum(minutes.values()):.1f}"))) + " |"


if __name__ == "__main__":
    main()
