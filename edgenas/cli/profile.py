"""`edgenas profile`: measure the latency table of this machine, or of one that ssh reaches, for a space."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from edgenas.cli import flags, output, tables
from edgenas.errors import UsageError
from edgenas.system import text
from edgenas.workflows.config import Config

EXAMPLE = """\
edgenas profile
edgenas profile --general
edgenas profile --ssh pi@raspberrypi.local --python venv/bin/python --name pi5 --only width=0.5,1
edgenas profile --shape 3x96x96 --classes 20 --threads 2 --out pi5.csv"""

# Flags that mean something with --ssh only: alone, they are refused rather than ignored.
FAR_FLAGS = {"python": "--python", "name": "--name", **flags.KIT_FLAGS}


def configure(parser: ArgumentParser) -> None:
    """Add the space, the conditions, and the device that ssh reaches, if it is not this machine."""
    flags.add_settings(parser, ("threads", "runtime", "seed"))
    flags.add_input(parser)
    parser.add_argument(
        "--general",
        action="store_true",
        help="measure ops of all kinds and sizes instead, to predict ONNX files that edgenas did not make",
    )
    parser.add_argument(
        "--seconds",
        type=flags.ranged(float, 1, 86_400),
        metavar="S",
        help="time to measure for (default: what it needs)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="file to write it to, with --ssh folder of tables (default: your own, in the cache)",
    )
    flags.add_json(parser)
    ssh = parser.add_argument_group("another device, by a kit; broken off, the same command goes on")
    ssh.add_argument("--ssh", metavar="HOST", help="user@host, or what ~/.ssh/config calls it")
    ssh.add_argument("--python", metavar="PATH", help="Python 3.9 with numpy and onnxruntime there (default: python3)")
    ssh.add_argument("--name", type=name, help="name of the device in tables (default: its processor)")
    flags.add_kit(ssh)


def name(words: str) -> str:
    """Read a name that can be that of a folder, for `type=`."""
    # The same as `devices.ingest` asks for: else a whole measurement would be refused in the end.
    if not re.fullmatch(r"\w[\w.-]*", words, re.ASCII):
        raise ArgumentTypeError(f"{words!r} is not a name of letters, digits, '.', '-' and '_'; for example pi5")
    return words


def run(arguments: Namespace) -> int:
    """Measure, write, and say what was written."""
    config = flags.settings(arguments)
    if arguments.ssh is not None:
        return _over_ssh(config, arguments)
    idle = next((flag for item, flag in FAR_FLAGS.items() if getattr(arguments, item) is not None), None)
    if idle:
        raise UsageError(f"{idle} is for another device; name it with --ssh user@host")
    from edgenas.workflows.profile import profile

    shape, classes = flags.input_of(arguments, config)
    path, table = profile(
        config,
        output.reporter(arguments),
        shape=shape,
        classes=classes,
        seconds=arguments.seconds,
        out=arguments.out,
        general=arguments.general,
    )
    error = float(table.header.get("repeat_error", "nan"))
    if arguments.json:
        facts = {"path": str(path), "device": table.device, "ops": len(table.ops), "nets": len(table.nets)}
        output.write_json({**facts, "repeat_error": error, "header": dict(table.header)})
    else:
        output.write(
            f"{text.printable(table.device)}: {len(table.ops)} ops and {len(table.nets)} whole networks, "
            f"repeat error {text.percent(error)}\n{text.printable(str(path))}\n"
        )
    return 0


def _over_ssh(config: Config, arguments: Namespace) -> int:
    """Measure as `run` does, on another device."""
    if arguments.seconds is not None or config.runtime != "onnxruntime":
        raise UsageError("--ssh measures a kit, by onnxruntime and to its end; leave --seconds and --runtime out")
    from edgenas.workflows.kit_content import KitOptions
    from edgenas.workflows.remote_profile import profile_over_ssh

    reporter = output.reporter(arguments)
    choices = flags.kit_choices(arguments)
    options = KitOptions(*flags.input_of(arguments, config), general=arguments.general, **choices)
    try:
        written = profile_over_ssh(
            config,
            reporter,
            options,
            host=arguments.ssh,
            python=arguments.python or "python3",
            name=arguments.name,
            out=arguments.out,
        )
    except KeyboardInterrupt:
        reporter.log("what was measured is kept there; the same command goes on with it")
        raise
    tables.show(written, as_json=arguments.json)
    return 0
