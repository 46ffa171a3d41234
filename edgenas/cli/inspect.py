"""`edgenas inspect`: what a data set holds, as a search would use it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.cli import flags, output
from edgenas.errors import DataError
from edgenas.system import text
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.data.report import DataReport

EXAMPLE = """\
edgenas inspect photos
edgenas inspect photos --html report.html"""

SETTINGS = ("data_root", "image_size", *flags.PHOTO_SETTINGS, "validation_share", "strict", "download", "seed")
SHOWN = 20  # lines on what is left out


def configure(parser: ArgumentParser) -> None:
    """Add the data, how they are read, and where the report goes."""
    parser.add_argument("data", metavar="DATA", help="folder with a folder per class, .npz file, or name of a data set")
    flags.add_settings(parser, SETTINGS)
    flags.add_config_file(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page that shows what is left out")
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the report.

    Raises:
        DataError: the data cannot be used, after all that is wrong was listed.
    """
    from edgenas.workflows.inspect import inspect, write_html

    config, reporter = flags.settings(arguments), output.reporter(arguments)
    try:
        report = inspect(config, reporter)
    except DataError as error:
        lines = error.details or (str(error),)
        if arguments.html is not None:
            write_html(arguments.html, None, lines, None)
        if error.details and not arguments.json:
            output.write_lines(map(text.printable, error.details))
        raise
    if arguments.html is not None:
        write_html(arguments.html, report, (), _folder(config))
    if arguments.json:
        output.write_json(asdict(report))
    else:
        output.write(_text(report))
    return 0


def _folder(config: Config) -> Path | None:
    """The folder of the files that are left out; arrays have none."""
    return next((path for given in (config.data_root, config.data) if given and (path := Path(given)).is_dir()), None)


def _text(report: DataReport) -> str:
    from edgenas.data.report import SPLITS
    from edgenas.workflows.inspect import facts

    rows = [
        [text.printable(name), *(f"{counts[split]:,}" for split in SPLITS)]
        for name, counts in (*report.classes.items(), ("all", report.images))
    ]
    heads = ["class", *(f"{split} (drawn)" if split in report.found.drawn else split for split in SPLITS)]
    lines = [text.table(heads, rows, right=range(1, 4)), "", *map(text.printable, (*facts(report), *report.notices))]
    if left_out := report.found.left_out:
        lines += ["", f"{len(left_out):,} left out:"]
        few = [[text.printable(one.name), text.printable(one.reason)] for one in left_out[:SHOWN]]
        lines += [f"  {line}" for line in text.table(None, few).splitlines()]
        rest = len(left_out) - SHOWN
        lines += [f"  and {rest:,} more; --html and --json have all"] if rest > 0 else []
    return "\n".join(lines) + "\n"
