"""How numbers, names and tables read in a terminal: plain text, one line a thing."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

UNKNOWN = "unknown"
TRAINED = "trained_"  # begins the name of a metric by the costs of the run that trained the weights
WHAT = {"params": "parameters", "peak_bytes": "of activations", "file_bytes": "for the file"}  # there is so much of


def printable(text: str) -> str:
    """One line whatever a file or class is called: line breaks, terminal codes and the like are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """`4.2 s`, `1 min 05 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def ms(value: float | None) -> str:
    """A latency without its unit, to four digits: `0.482`, `18.42`, `1042`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{_digits(value)}f}"


def ms_column(values: Sequence[float]) -> list[str]:
    """Latencies with as many digits after the point each as the largest needs."""
    return [f"{value:.{_digits(max(values))}f}" for value in values]


def percent(share: float | None, digits: int = 1) -> str:
    """A share in 0..1: `1.2 %`."""
    return UNKNOWN if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def accuracy(share: float | None, images: int | None = None) -> str:
    """An accuracy, with its standard error if it is known on how many images: `98.61 % ± 0.61`."""
    text = percent(share, 2)
    if text == UNKNOWN or not images or share is None:
        return text
    return f"{text} ± {100 * math.sqrt(share * (1 - share) / images):.2f}"


def count(value: float) -> str:
    """A number of things: `730`, `12.3 k`, `4.56 M`."""
    return _scaled(value, 1000.0, ("", "k", "M", "G", "T"))


def size(value: float) -> str:
    """A number of bytes: `730 B`, `4.56 MB`."""
    return _scaled(value, 1000.0, ("B", "kB", "MB", "GB", "TB"))


def figure(metric: str, value: float) -> str:
    """A metric's value: `12.3 k` of params, `4.56 MB` of file_bytes, `0.25 ms` of a latency."""
    if metric.endswith("bytes"):
        return size(value)
    return f"{value:g} ms" if "_ms@" in metric else count(value)


def used_of_limit(row: Mapping[str, Any]) -> str:
    """What a network uses of a limit, as `Result.limits` holds it; what is predicted says so."""
    metric, device = row["metric"].partition("@")[::2]
    allowed = figure(row["metric"], row["allowed"])
    if metric.startswith(TRAINED):
        used = figure(row["metric"], float(f"{row['used']:.4g}"))
        return f"{used} of {allowed} that the weights were trained up to" + (f", on {device}" if device else "")
    if device and "low" not in row:
        return f"{device}: {ms(row['used'])} ms as recorded among the scores, {allowed} allowed"
    if device:
        middle, low, high = (ms(row[name]) for name in ("used", "low", "high"))
        return f"{device}: predicted {middle} ms ({low} to {high}), not measured, {allowed} allowed"
    share = percent(row["used"] / row["allowed"], 0)
    return f"{figure(metric, row['used'])} of {allowed} {WHAT.get(metric, metric)}, {share}"


def bar(share: float, width: int) -> str:
    """A bar that is full at 1."""
    full = round(width * min(1.0, max(0.0, share)))
    return "█" * full + "░" * (width - full)


def table(heads: Sequence[str] | None, rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Aligned columns, two blanks between them; those of the numbers `right` are flush right."""
    lines = [*([heads] if heads else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def ascii_only(text: str) -> str:
    """For a terminal that knows no more than ASCII."""
    return text.replace("±", "+-").translate(str.maketrans("█░", "#.")).encode("ascii", "backslashreplace").decode()


def _digits(value: float) -> int:
    return 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0


def _scaled(value: float, base: float, units: Sequence[str]) -> str:
    power = 0
    while abs(value) >= 0.9995 * base and power < len(units) - 1:
        value, power = value / base, power + 1
    return f"{value:.3g} {units[power]}".rstrip()
