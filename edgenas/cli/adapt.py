"""`edgenas adapt`: a whole latency table of a new device from few measured probes and the tables of source devices."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.cli import flags, output
from edgenas.system import text

if TYPE_CHECKING:
    from edgenas.latency.table import LatencyTable

EXAMPLE = """\
edgenas adapt results-pi5-1t.jsonl --from all
edgenas adapt results-pi5-1t.jsonl --from pi4 --from box/onnxruntime-1t-fp32 --precision fp32 --out tables"""


def configure(parser: ArgumentParser) -> None:
    """Add the results file, the source devices, and where tables are written."""
    parser.add_argument("results", type=Path, metavar="RESULTS", help="file that the kit's run.py or page wrote")
    flags.add_known(parser)
    flags.add_precision(parser)
    parser.add_argument("--kit", type=Path, metavar="FILE", help="the kit that must have been measured")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of tables (default: your own, in the cache)")
    flags.add_kit_scope(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Write one table for each precision in the file, and say how many of its rows are predicted."""
    from edgenas.workflows.adapt import adapt

    written = adapt(
        arguments.results,
        known=arguments.known or ["all"],
        precisions=flags.precisions(arguments),
        kit=arguments.kit,
        out=arguments.out,
        config=flags.settings(arguments),
    )
    facts = [_facts(path, table) for path, table in written]
    if arguments.json:
        output.write_json(facts)
        return 0
    for row in facts:
        output.write(
            f"{text.printable(row['device'])}, {row['precision']}: {row['measured']} rows measured, {row['predicted']} "
            f"predicted within ± {text.percent(row['margin'])}\n{text.printable(row['adapted'])}\n"
            f"{text.printable(row['path'])}\n"
        )
    return 0


def _facts(path: Path, table: LatencyTable) -> dict[str, Any]:
    # Rows with a time and without runs were predicted.
    runs = [*(op.runs for op in table.ops.values()), *(net.runs for net in table.nets)]
    return {
        "path": str(path),
        "device": table.device,
        "precision": table.header["precision"],
        "measured": len(runs) - runs.count(0),
        "predicted": runs.count(0),
        "adapted": table.header["adapted"],
        "margin": table.adapted_margin,
    }
