"""What a kit measured of networks that its table was not fitted on, against what the table predicts.

    edgenas kit --only width=0.5,1 --only resolution=28,32 --nets 110 --tests 100 -o kit.zip
    (unpacked) python run.py --out results.jsonl        or the kit's page, in a browser
    python -m tests.benchmarks.unseen results.jsonl [--most N] [--dry]

For each precision in the file the table is made of its ops and its networks for the correction, as `edgenas ingest`
does; the networks for the test are those that count here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edgenas.devices.ingest import fitted_and_tests, read_results
from edgenas.latency.registry import table_name
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.spaces.build import parse_spec
from tests.benchmarks._common import record
from tests.benchmarks._predictors import comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results file of a kit")
    parser.add_argument("--most", type=int, help="count only the first so many networks")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    for table, tests in fitted_and_tests(read_results(arguments.results)):
        header, tests = table.header, tests[: arguments.most]
        space = parse_spec(tests[0].spec)
        graphs = [space.graph(space.parse(net.code)) for net in tests]
        measured = np.array([net.ms for net in tests])
        repeat_error = float(header["repeat_error"])
        lines = [
            f"{table_name(table)}, version {header['version']}: {len(table.ops)} ops, {len(table.nets)} networks "
            f"behind the correction, {len(tests)} unseen networks of "
            f"{measured.min():.3f} to {measured.max():.3f} ms; repeat error {repeat_error:.1%} (9 rows of 10 within)",
            "",
            *comparison(table, space, graphs, measured),
        ]
        if repeat_error > MAX_REPEAT_ERROR:
            lines.append("not shown: figures count at a repeat error of 4 % or less; measure again")
        if arguments.dry:
            print("\n".join(lines), "\n")
        else:
            record(f"Unseen networks: {header['runtime']}, {header['threads']} thread(s), {header['precision']}", lines)


if __name__ == "__main__":
    main()
