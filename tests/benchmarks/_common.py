"""What the benchmarks share: a line in docs/results.md with its command, commit and processor; standard errors."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenas.runtimes import host
from edgenas.workflows.result import Result

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


def record(title: str, lines: Sequence[str]) -> None:
    """Print a result and append it to docs/results.md under the command that made it."""
    command = " ".join(["python", "-m", *_module(), *(a for a in sys.argv[1:] if not a.startswith("/"))])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    head = f"\n### {title}\n\n`{command}` at {commit or 'no commit'}, {host.processor()}, {host.usable_cores()} cores\n"
    text = "\n".join([head, *lines, ""])
    print(text)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(text)


def _module() -> list[str]:
    return [f"tests.benchmarks.{Path(sys.argv[0]).stem}"]


def accuracy(share: float, images: int) -> str:
    """Percent with its binomial standard error."""
    return f"{100 * share:.2f} +- {100 * math.sqrt(share * (1 - share) / images):.2f}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.2f} +- {np.std(values, ddof=1) if len(values) > 1 else 0:.2f}"


def result_of(run: Path) -> Result | None:
    """Of a search that came to its end."""
    path = run / "result.json"
    return Result.from_json(path.read_text(encoding="utf-8")) if path.exists() else None
