"""Run cases until the time is up: `python -m tests.fuzz --minutes 10 --seed 0`.

A case is drawn from its kind and its seed alone: case number i of a run has the seed of the run plus i. It exits with 1
if something was found, whose input then stays in the folder.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Both are read when the libraries are imported, and no case may import them first.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import KINDS, Case
from tests.fuzz.oracle import Finding
from tests.fuzz.running import Outcome
from tests.fuzz.samples import Samples
from tests.fuzz.watching import Stopwatch


def main() -> int:
    """Run cases and print the report; return the exit code."""
    options = _arguments()
    root = options.folder or Path(tempfile.mkdtemp(prefix="edgenas-fuzz-"))
    for part in ("samples", "cases", "sound"):
        shutil.rmtree(root / part, ignore_errors=True)
    campaign = Campaign(Samples(root / "samples"), root)
    kinds = [options.kind] if options.kind else list(KINDS)
    # Of the real stderr, which a case's own takes the place of.
    with Stopwatch() as watch, os.fdopen(os.dup(2), "w") as stderr:
        for i in itertools.count() if options.cases is None else range(options.cases):
            if watch.seconds > 60 * options.minutes:
                break
            kind, seed = kinds[i % len(kinds)], options.seed + i
            # For whoever finds the process gone.
            (root / "last").write_text(f"--kind {kind} --seed {seed} --cases 1\n")
            case, outcome, findings = campaign.run(kind, seed)
            if options.verbose or findings:
                stderr.write(_line(case, outcome, findings))
                stderr.flush()
    print(campaign.report())
    if campaign.found:
        print(f"\ninputs are in {root / 'kept'}")
    elif not options.folder:
        shutil.rmtree(root)
    return 1 if campaign.found else 0


def _line(case: Case, outcome: Outcome, findings: list[Finding]) -> str:
    problems = "; ".join(finding.problem for finding in findings) or outcome.err.strip().split("\n")[-1]
    head = f"{case.kind} {case.seed}: {outcome.seconds:.1f} s, exit {outcome.code}"
    return f"{head}; {case.said!r:.100}; {problems!r:.200}\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="time to run for, beside the last case (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case (0)")
    parser.add_argument("--cases", type=int, help="most cases (default: as many as there is time for)")
    parser.add_argument("--kind", choices=KINDS, help="one kind alone (default: each in turn)")
    parser.add_argument("--folder", type=Path, help="where samples and inputs with a finding are kept")
    parser.add_argument("--verbose", action="store_true", help="a line for each case")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
