"""`edgenas kit`: a zip of probes to measure on any device that runs onnxruntime."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path

from edgenas import text
from edgenas.commands import _flags, _output

HELP = "make a kit that measures a space's ops on another device"
EXAMPLE = """\
edgenas kit --space mbconv --resolution 96 -o kit.zip
edgenas kit --shape 1x28x28 --only width=0.5,1 --only resolution=24,28 -o kit.zip
edgenas kit --general -o general.zip"""


def configure(parser: ArgumentParser) -> None:
    """Space, static choices, and how much of it."""
    _flags.add_settings(parser, ("space", "seed"))
    _flags.add_input(parser)
    parser.add_argument(
        "--resolution", type=_flags.ranged(int, 1, 4096), metavar="N", help="short for --shape 3xNxN: colour images"
    )
    parser.add_argument(
        "--general", action="store_true", help="400 ops of all kinds and sizes, for networks that edgenas did not make"
    )
    _flags.add_kit(parser)
    parser.add_argument(
        "--page",
        action=BooleanOptionalAction,
        default=True,
        help="add the page that runs the kit in browsers (default: yes)",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("kit.zip"), metavar="FILE", help="(default: kit.zip)")
    _flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Write the zip, and say what to do with it."""
    config = _flags.settings(arguments)
    side = arguments.resolution
    from edgenas import api

    manifest = api.kit(
        config,
        _output.reporter(arguments),
        shape=(3, side, side) if side else arguments.shape,
        classes=arguments.classes,
        **_flags.kit_choices(arguments),
        out=arguments.out,
        general=arguments.general,
        page=arguments.page,
    )
    facts = {"path": str(arguments.out), "kit": manifest["kit"], "probes": len(manifest["probes"])}
    if arguments.json:
        _output.write_json(facts)
        return 0
    size = text.size(arguments.out.stat().st_size)
    _output.write(
        f"{text.printable(facts['path'])}: {facts['probes']} probes, {size}\n"
        "on a board: unpack it and run `python run.py`; on a phone or in a browser: open its index.html\n"
        "then bring the results file back, and: edgenas ingest RESULTS.jsonl\n"
    )
    return 0
