"""`edgenas profile`: measure this machine's latency table for a space."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from edgenas import text
from edgenas.commands import _flags, _output

HELP = "measure this machine's latency table for a space"
EXAMPLE = """\
edgenas profile
edgenas profile --general
edgenas profile --shape 3x96x96 --classes 20 --threads 2 --out pi5.csv"""


def configure(parser: ArgumentParser) -> None:
    """Space and conditions."""
    _flags.add_settings(parser, ("space", "threads", "runtime", "seed"))
    _flags.add_input(parser)
    parser.add_argument(
        "--general",
        action="store_true",
        help="measure ops of all kinds and sizes instead, to predict ONNX files that edgenas did not make",
    )
    parser.add_argument(
        "--seconds",
        type=_flags.ranged(float, 1, 86_400),
        metavar="S",
        help="time to measure for (default: what it needs)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: this machine's own, in the cache)"
    )
    _flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Measure, write, and say what was written."""
    config = _flags.settings(arguments)
    from edgenas import api

    path, table = api.profile(
        config,
        _output.reporter(arguments),
        shape=arguments.shape,
        classes=arguments.classes,
        seconds=arguments.seconds,
        out=arguments.out,
        general=arguments.general,
    )
    error = float(table.header.get("repeat_error", "nan"))
    if arguments.json:
        facts = {"path": str(path), "device": table.device, "ops": len(table.ops), "nets": len(table.nets)}
        _output.write_json({**facts, "repeat_error": error, "header": dict(table.header)})
    else:
        _output.write(
            f"{text.printable(table.device)}: {len(table.ops)} ops and {len(table.nets)} whole networks, "
            f"repeat error {text.percent(error)}\n{text.printable(str(path))}\n"
        )
    return 0
