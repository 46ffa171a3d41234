"""`edgenas predict model.onnx`, or with `--ops`: latency on a device, and where the time goes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgenas.cli import output
from edgenas.system import text

if TYPE_CHECKING:
    from edgenas.latency.forecast import Forecast, Part
    from edgenas.latency.table import LatencyTable
    from edgenas.system.progress import Reporter

LONGEST = 12  # kernels that the table for people shows; `--csv` and `--json` have all of them
BAR = 20  # columns of a bar
LEAST_REST = 0.005  # share of the latency below which a rest is rounding, and has no row
COLUMNS = ("model", "kernel", "kind", "op", "ms", "share", "estimated", "macs", "params", "bytes")


def show(names: Sequence[str], forecasts: Sequence[Forecast], table: LatencyTable, arguments: Namespace) -> None:
    """Print where the time of each model goes.

    Args:
        names: of the models.
        forecasts: one for each model.
        table: that they are predicted by.
        arguments: `csv` prints all kernels, `json` everything.
    """
    results = list(zip(names, forecasts, strict=True))
    if arguments.json:
        output.write_json([_plain(*result, table) for result in results])
    elif arguments.csv:
        output.write_lines(_csv([row for result in results for row in _rows(*result)]))
    else:
        output.write("\n\n".join(_page(*result, table) for result in results) + "\n")


def warn(table: LatencyTable, reporter: Reporter) -> None:
    """Log a warning where a table is of one space, and files of others are predicted from it."""
    from edgenas.latency.forecast import knows_all_blocks

    if not knows_all_blocks(table):
        reporter.log(
            f"this table of {text.printable(table.device)} holds networks of one space: for others errors may exceed "
            "the interval; measure one with `edgenas profile --general`, or a kit with --general"
        )


def _page(name: str, f: Forecast, table: LatencyTable) -> str:
    """Return latency, kinds of kernel, and the kernels that take longest, for a person."""
    counts = [part.kernel.counts for part in f.parts]
    macs, params = (sum(getattr(count, name) for count in counts) for name in ("macs", "params"))
    header = table.header
    threads = "1 thread" if header["threads"] == "1" else f"{header['threads']} threads"
    conditions = f"{header['runtime']}, {threads}, {header['precision']}"
    lines = [
        f"{text.printable(name)} on {text.printable(table.device)} ({conditions})",
        f"{text.ms(f.latency_ms)} ms, 90 % interval {text.ms(f.low_ms)} to {text.ms(f.high_ms)} ms, "
        f"corrected on {f.nets} networks; {text.percent(f.estimated_share, 0)} of it estimated",
        f"{text.count(macs)} MACs, which alone would say {text.ms(f.macs_only_ms)} ms; "
        f"{text.count(params)} parameters; {len(f.parts)} kernels",
    ]
    longest = sorted(f.parts, key=lambda part: -part.ms)[:LONGEST]
    heads = [f"the {len(longest)} longest of {len(f.parts)} kernels", "ms", "share", "", "", "op"]
    rows = [[_short(part.kernel.name), *_figures([part], f), _op(part)] for part in longest]
    return "\n\n".join(["\n".join(lines), _kinds(f), text.table(heads, rows, right=(1, 2))])


def _kinds(f: Forecast) -> str:
    heads = ["where the time goes", "ms", "share", "", "", "kernels"]
    rows = [[text.printable(kind), *_figures(parts, f), str(len(parts))] for kind, parts in f.by_kind().items()]
    if abs(f.rest_ms) >= LEAST_REST * f.latency_ms:
        rows.append(["of the call, not of a kernel", text.ms(f.rest_ms), "", "", "", ""])
    return text.table(heads, rows, right=(1, 2, 5))


def _figures(parts: Sequence[Part], f: Forecast) -> list[str]:
    """Return ms, share, bar, and a mark on what was estimated, wholly or in part."""
    ms = sum(part.ms for part in parts)
    # Of the kernels, and not of the latency, which has a rest that is no kernel's: shares sum to 1.
    share = ms / sum(part.ms for part in f.parts)
    mark = "estimated" if all(part.estimated for part in parts) else "partly" if any(p.estimated for p in parts) else ""
    return [text.ms(ms), text.percent(share), text.bar(share, BAR), mark]


def _op(part: Part) -> str:
    """Return the row that prices a part; one that only resembles it has a wave before it."""
    kernel = part.kernel
    return kernel.key if kernel.exact else f"~ {kernel.key}" if kernel.key else text.printable(kernel.kind)


def _short(name: str, most: int = 48) -> str:
    """Return a name, or the end of a long one, which tells most."""
    name = text.printable(name)
    return name if len(name) <= most else "..." + name[3 - most :]


def _rows(name: str, f: Forecast) -> Iterator[dict[str, Any]]:
    total = sum(part.ms for part in f.parts)
    for part in f.parts:
        k = part.kernel
        values = (k.name, k.kind, k.key, part.ms, part.ms / total, part.estimated)
        yield dict(zip(COLUMNS, (name, *values, k.counts.macs, k.counts.params, k.counts.bytes), strict=True))


def _csv(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield ",".join(COLUMNS)
    for row in rows:
        yield output.csv_line([f"{cell:.6g}" if name in ("ms", "share") else cell for name, cell in row.items()])


def _plain(name: str, f: Forecast, table: LatencyTable) -> dict[str, Any]:
    return {
        "model": name,
        "device": table.device,
        "latency_ms": f.latency_ms,
        "low_ms": f.low_ms,
        "high_ms": f.high_ms,
        "estimated_share": f.estimated_share,
        "macs_only_ms": f.macs_only_ms,
        "rest_ms": f.rest_ms,
        "nets": f.nets,
        "kernels": list(_rows(name, f)),
    }
