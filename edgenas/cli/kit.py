"""`edgenas kit`: a zip of probes to measure on any device that runs onnxruntime."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.cli import flags, output
from edgenas.errors import UsageError
from edgenas.system import plugins, text
from edgenas.workflows.config import flag

LEAST_PROBES = 3  # as in latency/transfer.py, whose import `--help` does not wait for

EXAMPLE = """\
edgenas kit --space mbconv --resolution 96 -o kit.zip
edgenas kit --shape 1x28x28 --only width=0.5,1 --only resolution=24,28 -o kit.zip
edgenas kit --pretrained efficientnet-lite0 --data photos --image-size 96 -o kit.zip
edgenas kit --probes 10 --from all -o few.zip
edgenas kit --general -o general.zip
edgenas kit --bundle runs/pi5 -o confirm.zip"""


def configure(parser: ArgumentParser) -> None:
    """Add the space, and how much of it is measured."""
    flags.add_settings(parser, ("seed",))
    flags.add_input(parser)
    parser.add_argument(
        "--resolution", type=flags.ranged(int, 1, 4096), metavar="N", help="short for --shape 3xNxN: colour images"
    )
    parser.add_argument(
        "--general", action="store_true", help="400 ops of all kinds and sizes, for networks that edgenas did not make"
    )
    parser.add_argument(
        "--probes",
        type=flags.ranged(int, LEAST_PROBES, 1000),
        metavar="N",
        help="only the N ops and networks that tell most, by the tables of source devices, for `edgenas adapt`; "
        "then --nets and --tests do not count",
    )
    flags.add_known(parser)
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="RUN",
        help="instead: the finalists of a search for another device, to be measured there",
    )
    flags.add_kit(parser)
    parser.add_argument(
        "--page",
        action=BooleanOptionalAction,
        default=True,
        help="add the page that runs the kit in browsers (default: yes)",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("kit.zip"), metavar="FILE", help="(default: kit.zip)")
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Write the zip, and say what to do with it."""
    manifest = _made(arguments)
    facts = {"path": str(arguments.out), "kit": manifest["kit"], "probes": len(manifest["probes"])}
    if arguments.json:
        output.write_json(facts)
        return 0
    size = text.size(arguments.out.stat().st_size)
    browser = "; on a phone or in a browser: open its index.html" if arguments.page else ""
    command = "adapt" if arguments.probes else "ingest"
    bundle = f" --bundle {text.printable(str(arguments.bundle))}" if arguments.bundle else ""
    output.write(
        f"{text.printable(facts['path'])}: {facts['probes']} probes, {size}{_chosen(manifest)}\n"
        f"on a board: unpack it and run `python run.py`{browser}\n"
        f"then bring the results file back, and: edgenas {command} RESULTS.jsonl{bundle}{_of_own(arguments)}\n"
    )
    return 0


def _of_own(arguments: Namespace) -> str:
    """Return the flags that name a space or a network of one's own again: of it, a kit knows the name alone."""
    named = flags.given(arguments)
    own = {name: str(named[name]) for name in ("space", "pretrained", "weights") if name in named}
    if named.get("weights") is None and own.get("space", "mbconv") in plugins.names("spaces"):
        return ""
    return "".join(f" {flag(name)} {text.printable(shlex.quote(value))}" for name, value in own.items())


def _chosen(manifest: Mapping[str, Any]) -> str:
    """Say how much of the space a kit of chosen ops measures, and how long that takes; nothing of any other kit."""
    if "ops_of_space" not in manifest:
        return ""
    ops = len({probe["id"] for probe in manifest["probes"] if probe["kind"] == "op"})
    return (
        f"; {ops} of the space's {manifest['ops_of_space']} ops, the rest is estimated; about "
        f"{text.duration(60 * manifest['board_minutes'])} on a Raspberry Pi 4 (5 GMAC/s)"
    )


def _made(arguments: Namespace) -> dict[str, Any]:
    """Write the kit that the arguments ask for, and return its manifest."""
    if arguments.known and not arguments.probes:
        raise UsageError("--from chooses a few probes; say how many, for example --probes 10")
    config = flags.settings(arguments)
    side, reporter = arguments.resolution, output.reporter(arguments)
    from edgenas.workflows.kit import finalists_kit, kit, reduced_kit
    from edgenas.workflows.kit_content import KitOptions

    if arguments.bundle:
        return finalists_kit(arguments.bundle, reporter, out=arguments.out, page=arguments.page)
    shape, classes = flags.input_of(arguments, config)
    shape = (3, side, side) if side else shape
    options = KitOptions(shape, classes, general=arguments.general, **flags.kit_choices(arguments))
    if not arguments.probes:
        return kit(config, reporter, options, out=arguments.out, page=arguments.page)
    known = arguments.known or ["all"]
    return reduced_kit(
        config, reporter, options, count=arguments.probes, known=known, out=arguments.out, page=arguments.page
    )
