"""Small searches by a shipped table, which times nothing: 32 architectures of `tests._toys` on digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.result import Result
from edgenas.workflows.search import search as run_workflow

# Both widths fit with kernel 3; of the larger one with kernel 5 even one and a half budgets leave nothing.
BUDGET_MS = 0.03
FEW = {"trials": 6, "batch": 2, "finalists": 1, "final_epochs": 1, "int8": False}
TOY = {
    **FEW,
    "data": "tests._few_digits",
    "space": "tests._toys",
    "device": "amd-epyc-zen4",
    "budget_ms": BUDGET_MS,
    "supernet_epochs": 1,
}


def search(folder: Path, **changes: Any) -> Result:
    return run_workflow(make_config({**TOY, **changes, "output": folder}), SilentReporter())


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
