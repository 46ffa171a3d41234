"""`edgenas export`: an ONNX file from a run folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from edgenas.cli import flags, output
from edgenas.system import text

EXAMPLE = """\
edgenas export runs/photos --out photos.onnx
edgenas export runs/photos --out photos.onnx --dynamic-batch"""


def configure(parser: ArgumentParser) -> None:
    """Add the run, the architecture, and the file to write."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `search` or `train`")
    parser.add_argument("--arch", metavar="CODE", help="one of the run's trained architectures (default: the winner)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument("--dynamic-batch", action="store_true", help="any number of images at once (default: one)")
    flags.add_beside_run(parser)


def run(arguments: Namespace) -> int:
    """Write the file and say where it is."""
    from edgenas.workflows.export import export

    path = export(
        arguments.run,
        output.reporter(arguments),
        arch=arguments.arch,
        out=arguments.out,
        dynamic_batch=arguments.dynamic_batch,
        moved=flags.given(arguments),
    )
    output.write(text.printable(str(path)) + "\n")
    return 0
