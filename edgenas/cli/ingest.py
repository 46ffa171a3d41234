"""`edgenas ingest`: a latency table from what a kit measured on a device."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from edgenas.cli import flags, output, tables

EXAMPLE = """\
edgenas ingest results-pi5-1t.jsonl
edgenas ingest results-pi5-1t.jsonl --kit kit.zip --out latency_tables
edgenas ingest confirmed.jsonl --bundle runs/pi5"""


def configure(parser: ArgumentParser) -> None:
    """Add the results file, its kit, and where tables are written."""
    parser.add_argument("results", type=Path, metavar="RESULTS", help="file that the kit's run.py or page wrote")
    parser.add_argument("--kit", type=Path, metavar="FILE", help="the kit that must have been measured")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of tables (default: your own, in the cache)")
    parser.add_argument(
        "--bundle", type=Path, metavar="RUN", help="take what a kit of a run's finalists measured into that run"
    )
    flags.add_kit_scope(parser, of_run=True)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Write one table for each precision in the file; for a run's finalists, print the result of the run."""
    named = flags.given(arguments)
    if arguments.bundle:
        from edgenas.workflows.confirm import confirm

        reporter = output.reporter(arguments)
        result = confirm(arguments.results, arguments.bundle, reporter, kit=arguments.kit, moved=named)
        return output.show_result(result, arguments)
    from edgenas.workflows.ingest import ingest

    written = ingest(arguments.results, kit=arguments.kit, out=arguments.out, config=flags.settings(arguments))
    tables.show(written, as_json=arguments.json)
    return 0
