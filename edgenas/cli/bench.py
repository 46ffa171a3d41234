"""`edgenas bench`: time any ONNX files, side by side."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from edgenas.cli import flags, output
from edgenas.system import text

EXAMPLE = """\
edgenas bench model.onnx
edgenas bench model.onnx model.int8.onnx --threads 2 --json"""


def configure(parser: ArgumentParser) -> None:
    """Add the files, and the conditions under which they are timed."""
    parser.add_argument("models", nargs="+", type=Path, metavar="FILE", help="ONNX files")
    flags.add_settings(parser, ("threads", "runtime"))
    parser.add_argument(
        "--seconds", type=flags.ranged(float, 0.1, 3600), default=3.0, metavar="S", help="time per file (default: 3)"
    )
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Time all files in the same rounds, in a process of their own."""
    config = flags.settings(arguments)
    from edgenas.runtimes.summary import MAX_REPEAT_ERROR
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
    for item in benches:
        if item.repeat_error > MAX_REPEAT_ERROR:
            reporter.log(  # on stderr: stdout has the figures alone, for whoever reads them by program
                f"{item.model}: repeat error {text.percent(item.repeat_error)}; measure again when less runs beside it"
            )
    if arguments.json:
        output.write_json([asdict(item) for item in benches])
        return 0
    rows = [
        [text.ms(b.ms), text.ms(b.p90_ms), text.percent(b.repeat_error), str(b.runs), str(b.threads)]
        + [f"{b.runtime} {b.version}", text.printable(b.model)]
        for b in benches
    ]
    heads = ["ms", "p90 ms", "repeat error", "runs", "threads", "runtime", "model"]
    output.write(text.table(heads, rows, right=range(5)) + "\n")
    return 0
