"""`edgenas bench`: time any ONNX files, side by side, or the models of a bundle against its budget."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.cli import flags, output
from edgenas.errors import UsageError
from edgenas.system import text

if TYPE_CHECKING:
    from edgenas.runtimes.bench import Bench
    from edgenas.workflows.config import Config

EXAMPLE = """\
edgenas bench model.onnx
edgenas bench model.onnx model.int8.onnx --threads 2 --json
edgenas bench runs/photos"""

# How a bundle is measured stands in its manifest.
OF_FILES = ("threads", "runtime")


def configure(parser: ArgumentParser) -> None:
    """Add the files, and the conditions under which they are timed."""
    parser.add_argument(
        "models",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="ONNX files; or one run folder, whose models are measured against its budget: what is found is written "
        "into its result, manifest and card",
    )
    flags.add_settings(parser, (*OF_FILES, "wait_minutes"))
    parser.add_argument(
        "--seconds", type=flags.ranged(float, 0.1, 3600), default=3.0, metavar="S", help="time per file (default: 3)"
    )
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Time all files in the same rounds, in a process of their own; return 1 if a bundle misses its budget."""
    config = flags.settings(arguments)
    folders = [path for path in arguments.models if path.is_dir()]
    if folders and len(arguments.models) > 1:
        raise UsageError(f"{folders[0]} is a folder, which is measured alone; give files, or one folder")
    if folders:
        return _bundle(folders[0], config, arguments)
    from edgenas.workflows.bench import bench

    reporter = output.reporter(arguments)
    with reporter.stage("time " + ", ".join(path.name for path in arguments.models)) as progress:
        benches = bench(
            arguments.models,
            threads=config.threads,
            runtime=config.runtime,
            seconds=arguments.seconds,
            progress=progress,
        )
    _show(benches, arguments)
    return 0


def _bundle(folder: Path, config: Config, arguments: Namespace) -> int:
    """Measure a bundle as its manifest says; what is said again must be the same."""
    from edgenas.workflows.bench import bench_bundle

    said = {name: getattr(config, name) for name in OF_FILES if name in flags.given(arguments)}
    reporter = output.reporter(arguments)
    benches = bench_bundle(folder, reporter, seconds=arguments.seconds, wait_minutes=config.wait_minutes, said=said)
    _show(benches, arguments)
    is_met = next((row.met_budget for row in benches if row.met_budget is not None), None)
    if is_met is not None and not arguments.json:
        output.write(f"Budget {'met' if is_met else 'missed'}; {text.printable(str(folder))} says so now.")
    return 1 if is_met is False else 0


def _show(benches: Sequence[Bench], arguments: Namespace) -> None:
    """Print figures, and warn of those that repeat badly."""
    from edgenas.runtimes.summary import MAX_REPEAT_ERROR

    reporter = output.reporter(arguments)
    for item in benches:
        if item.repeat_error > MAX_REPEAT_ERROR:
            reporter.log(  # on stderr: stdout has the figures alone, for whoever reads them by program
                f"{item.model}: repeat error {text.percent(item.repeat_error)}; measure again when less runs beside it"
            )
    if arguments.json:
        output.write_json([asdict(item) for item in benches])
        return
    rows = [
        [text.ms(b.ms), text.ms(b.p90_ms), text.percent(b.repeat_error), str(b.runs), str(b.threads)]
        + [f"{b.runtime} {b.version}", text.printable(b.model)]
        for b in benches
    ]
    heads = ["ms", "p90 ms", "repeat error", "runs", "threads", "runtime", "model"]
    output.write(text.table(heads, rows, right=range(5)) + "\n")
