"""Minutes of each stage of a search among the cuts of a trained network, by photos, with and without a bound.

    python -m tests.benchmarks.stages --data DIR --output DIR [--photos 400 2000] [--image-size 96] [--share 0.5]
        [--minutes 15] [--network efficientnet-lite0] [--dry]

Links to so many photos of `--data` (a folder a class, or with such folders under `train`) are searched on, as many of
each class as there are. The budget is a share of what the whole network takes. Every search begins with an empty cache,
so that each profiles the machine. A run that is there is not made again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edgenas.system.progress import PlainReporter, SilentReporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.baseline import baseline
from edgenas.workflows.config import make_config
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from tests.benchmarks._common import record, result_of
from tests.benchmarks.busy import link_photos

# Stages by what a person waits for.
COLUMNS = {
    "profile": ("bounds", "profile"),
    "teacher": ("teacher", "whole"),
    "search": ("supernet", "replacement", "search", "finalists"),
    "training": ("training", "folds"),
    "ending": ("export", "measure", "bundle"),
}


def main() -> None:
    """Search with and without a bound, and record."""
    configure_threads()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--photos", type=int, nargs="+", default=[400, 2000])
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    lines = [f"| photos | asked | {' | '.join(COLUMNS)} | all | test % | ms |", "|---" * (len(COLUMNS) + 5) + "|"]
    for photos in arguments.photos:
        for minutes in (None, arguments.minutes):
            found = searched(arguments, photos, minutes)
            lines.append(row(photos, minutes, found))
            print(lines[-1], flush=True)
    print("\n".join(lines)) if arguments.dry else record(f"Minutes by stage at {arguments.image_size} px", lines)


def searched(arguments: argparse.Namespace, photos: int, minutes: float | None) -> Result:
    """The result of a search on so many photos, made now or before."""
    folder = arguments.output / f"{photos}-photos-{'unbounded' if minutes is None else f'{minutes:g}-minutes'}"
    if (there := result_of(folder)) is not None:
        return there
    linked = arguments.output / f"photos-{photos}"
    if not linked.is_dir():
        link_photos(arguments.data, linked, photos)
    os.environ["XDG_CACHE_HOME"] = str(folder.with_name(f"{folder.name}-cache"))
    named = {"pretrained": arguments.network, "data": str(linked), "image_size": arguments.image_size}
    rows = baseline(make_config({**named, "budget_ms": 1000.0}), SilentReporter())
    whole = max(rows, key=lambda row: row.resolution)
    named |= {"budget_ms": arguments.share * (whole.measured_ms or whole.predicted_ms), "output": str(folder)}
    named |= {} if minutes is None else {"minutes": minutes}
    return search(make_config({**named, "resume": (folder / "config.toml").exists()}), PlainReporter(sys.stderr))


def row(photos: int, minutes: float | None, found: Result) -> str:
    """One line of the table."""
    parts = [sum(found.seconds.get(name, 0.0) for name in names) / 60 for names in COLUMNS.values()]
    whole = sum(found.seconds.values()) / 60
    cells = [f"{photos:,}", "" if minutes is None else f"{minutes:g} min", *(f"{part:.1f}" for part in parts)]
    return (
        "| "
        + " | ".join([*cells, f"{whole:.1f}", f"{100 * found.test_accuracy:.1f}", f"{found.measured_ms:.3f}"])
        + " |"
    )


if __name__ == "__main__":
    main()
