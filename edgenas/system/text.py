"""How numbers, names and tables read in a terminal: plain text, one line a thing."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edgenas.system.metric import Metric

UNKNOWN = "unknown"
LONGEST = 200  # characters of one piece of input that a message repeats
# The word behind the figure of a limited metric: `1.2 M of 2 M parameters`.
WHAT = {"params": "parameters", "peak_bytes": "of activations", "file_bytes": "for the file"}


def printable(text: str) -> str:
    """Return `text` as one line: line breaks, terminal codes and other characters that do not print are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# A quoted piece, from one quote to the next of its kind; one in the middle of a word is an apostrophe. A piece without
# an end takes the rest of the text, so that no part of it is looked at again.
_QUOTED = re.compile(r"(?:(?<!\w)|(?<=\bb))(['\"])((?:\\.|(?!\1)[^\\])*)(\1|\\?\Z)", re.DOTALL)


def shortened(text: str) -> str:
    """Return a message that repeats no more than 200 characters of one quoted or unbroken piece of input."""
    cut = _QUOTED.sub(_shortened_piece, text)
    return re.sub(rf"(\S{{{LONGEST}}})\S{{100,}}", r"\1...", cut)


def _shortened_piece(match: re.Match[str]) -> str:
    quote, piece, end = match.groups()
    return f"{quote}{piece[:LONGEST]}...{quote}" if end == quote and len(piece) > LONGEST else match.group()


def duration(seconds: float) -> str:
    """Return a duration as `4.2 s`, `1 min 05 s` or `2 h 05 min`."""
    if seconds < 9.95:  # above, one digit after the point would make it 10.0
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def ms(value: float | None) -> str:
    """Return a latency without its unit, to four digits: `0.482`, `18.42`, `1042`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{_digits(value)}f}"


def ms_column(values: Sequence[float]) -> list[str]:
    """Return latencies, each with as many digits after the point as the largest needs."""
    return [f"{value:.{_digits(max(values))}f}" for value in values]


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in 0..1 as `1.2 %`, with `digits` after the point."""
    return UNKNOWN if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def accuracy(share: float | None, images: int | None = None) -> str:
    """Return an accuracy, with its standard error if the number of its images is known: `98.61 % ± 0.61`."""
    text = percent(share, 2)
    if text == UNKNOWN or not images or share is None:
        return text
    return f"{text} ± {100 * math.sqrt(share * (1 - share) / images):.2f}"


def count(value: float) -> str:
    """Return a number of things as `730`, `12.3 k` or `4.56 M`."""
    return _scaled(value, ("", "k", "M", "G", "T"))


def size(value: float) -> str:
    """Return a number of bytes as `730 B` or `4.56 MB`."""
    return _scaled(value, ("B", "kB", "MB", "GB", "TB"))


def figure(metric: str, value: float) -> str:
    """Return a metric's value with its unit: `12.3 k` of params, `4.56 MB` of file_bytes, `0.25 ms` of a latency."""
    parsed = Metric.parse(metric)
    if parsed.quantity.endswith("bytes"):
        return size(value)
    return f"{value:g} ms" if parsed.is_latency else count(value)


def used_of_limit(row: Mapping[str, Any]) -> str:
    """Return in words what a network uses of a limit, a row of `Result.limits`; a prediction is called one."""
    metric = Metric.parse(row["metric"])
    device, allowed = metric.table, figure(row["metric"], row["allowed"])
    if metric.trained:
        used = figure(row["metric"], float(f"{row['used']:.4g}"))
        return f"{used} of {allowed} that the weights were trained up to" + (f", on {device}" if device else "")
    if device and "low" not in row:
        return f"{device}: {ms(row['used'])} ms as recorded among the scores, {allowed} allowed"
    if device:
        middle, low, high = (ms(row[name]) for name in ("used", "low", "high"))
        return f"{device}: predicted {middle} ms ({low} to {high}), not measured, {allowed} allowed"
    share = percent(row["used"] / row["allowed"], 0)
    return f"{figure(row['metric'], row['used'])} of {allowed} {WHAT.get(metric.quantity, metric.quantity)}, {share}"


def bar(share: float, width: int) -> str:
    """Return a bar of `width` characters that is full at 1."""
    full = round(width * min(1.0, max(0.0, share)))
    return "█" * full + "░" * (width - full)


def table(heads: Sequence[str] | None, rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return aligned columns with two blanks between them.

    Args:
        heads: of the columns; None for a table without.
        rows: of cells, one for each column.
        right: numbers of the columns that are flush right.
    """
    lines = [*([heads] if heads else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def ascii_only(text: str) -> str:
    """Return `text` for a terminal that knows no more than ASCII."""
    return text.replace("±", "+-").translate(str.maketrans("█░", "#.")).encode("ascii", "backslashreplace").decode()


def _digits(value: float) -> int:
    return 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0


def _scaled(value: float, units: Sequence[str]) -> str:
    power = 0
    # From 999.5 on three digits are 1000, for which `g` writes 1e+03.
    while abs(value) >= 999.5 and power < len(units) - 1:
        value, power = value / 1000.0, power + 1
    return f"{value:.3g} {units[power]}".rstrip()
