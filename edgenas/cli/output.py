"""What commands print on stdout: whole, or quietly given up where nobody reads it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgenas.system import distributed
from edgenas.system.progress import Reporter, abandon, make_reporter
from edgenas.system.text import ascii_only

if TYPE_CHECKING:
    from edgenas.workflows.result import Result


def reporter(arguments: Namespace) -> Reporter:
    """Return what reports progress on stderr, unless --quiet; of several processes, only the first one reports."""
    return make_reporter(quiet=arguments.quiet or distributed.rank() > 0)


def write(text: str) -> None:
    """Write a text, whose last line may be ended or not."""
    write_lines([text.removesuffix("\n")])


def write_lines(lines: Iterable[str]) -> None:
    """Write lines as they come, in the first process alone; when the reader has gone, no more are asked for."""
    stream = sys.stdout  # None in a program without a console
    if stream is None or distributed.rank() > 0:
        return
    try:
        for line in lines:
            try:
                stream.write(line + "\n")
            except UnicodeEncodeError:  # bars and ± are not in every terminal's encoding
                stream.write(ascii_only(line) + "\n")
        stream.flush()  # here and not at exit: a reader that has gone shows when the rest is written out
    except BrokenPipeError:
        abandon(stream)


def csv_line(cells: Sequence[object]) -> str:
    """Return cells as a line of CSV, without its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def show_result(result: Result, arguments: Namespace) -> int:
    """Print a search's result, for a person or as JSON; return the exit code."""
    from edgenas.cli import summary
    from edgenas.system.run_folder import read_artefact
    from edgenas.workflows.stages.artefacts import Report

    if arguments.json:
        write(result.to_json())
        if summary.is_open(result):
            for line in summary.next_step(result):
                reporter(arguments).log(line)
    else:
        width = min(summary.WIDTH, shutil.get_terminal_size((summary.WIDTH, 24)).columns)
        report = read_artefact(result.path, "report", Report)
        write(summary.summary(result, result.front, report.notes, report.images, width))
    return 1 if result.met_budget is False else 0  # None: nobody knows yet, which is no miss


def write_json(value: Any) -> None:
    """Write an object as indented JSON; NaN, which JSON lacks, is null."""
    from edgenas.workflows.result import plain

    write(json.dumps(plain(value), indent=2, allow_nan=False))
