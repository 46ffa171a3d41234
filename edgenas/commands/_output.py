"""What commands print on stdout: whole, or quietly given up where nobody reads it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from edgenas.progress import Reporter, abandon, make_reporter
from edgenas.text import ascii_only


def reporter(arguments: Namespace) -> Reporter:
    """Progress on stderr, unless --quiet."""
    return make_reporter(quiet=arguments.quiet)


def write(text: str) -> None:
    """A text that ends its last line itself."""
    write_lines([text.removesuffix("\n")])


def write_lines(lines: Iterable[str]) -> None:
    """Lines as they come; when the reader has gone, no more are asked for."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        for line in lines:
            try:
                stream.write(line + "\n")
            except UnicodeEncodeError:
                stream.write(ascii_only(line) + "\n")
        stream.flush()
    except BrokenPipeError:
        abandon(stream)


def write_json(value: Any) -> None:
    """An object, indented; NaN is null."""
    from edgenas.report import plain

    write(json.dumps(plain(value), indent=2, allow_nan=False))
