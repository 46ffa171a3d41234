"""`edgenas predict`: latency and size of architectures or ONNX files, without training or measuring anything."""

from __future__ import annotations

import itertools
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.cli import flags, forecast, output
from edgenas.errors import UsageError
from edgenas.system import text
from edgenas.system.text_file import read_text
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.spaces.base import SearchSpace

EXAMPLE = """\
edgenas predict --samples 5
edgenas predict model.onnx --device pi5
edgenas predict --archs codes.txt --device pi5 --ops
edgenas predict --samples 10000 --table pi5.csv > samples.csv
edgenas predict --archs codes.txt --json"""

MOST_IN_A_TABLE = 20  # rows that a person reads; more are for a program, as CSV


def configure(parser: ArgumentParser) -> None:
    """Add which architectures, of which space, and by which table."""
    parser.add_argument(
        "archs",
        nargs="*",
        metavar="ARCH",
        help="codes of architectures, as `search` and this command print, or as papers on the space write them; or "
        "ONNX files, which end in .onnx",
    )
    parser.add_argument(
        "--samples", type=flags.ranged(int, 1, 10**7), metavar="N", help="draw N architectures at random"
    )
    parser.add_argument("--archs", dest="file", metavar="FILE", help="read codes from a file, one a line; - is stdin")
    parser.add_argument("--table", type=Path, metavar="FILE", help="latency table (default: this machine's own)")
    parser.add_argument(
        "--estimate-missing",
        action=BooleanOptionalAction,
        help="estimate ops that the table lacks, instead of stopping; default: only where it holds whole networks of "
        "this space, of images as large or larger, as from its kit",
    )
    flags.add_input(parser)
    flags.add_settings(parser, ("device", "threads", "runtime", "seed"))
    parser.add_argument("--ops", action="store_true", help="op by op: where the time goes, as for ONNX files")
    parser.add_argument("--csv", action="store_true", help=f"print CSV (default for more than {MOST_IN_A_TABLE})")
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Print one row an architecture; for ONNX files, one architecture alone and with `--ops`, where the time goes."""
    config = flags.settings(arguments)
    if files := _files(arguments):
        from edgenas.workflows.predict import predict_files

        table, forecasts = predict_files(config, files, table=arguments.table)
        forecast.show([file.name for file in files], forecasts, table, arguments)
        forecast.warn(table, output.reporter(arguments))
        return 0
    codes = _codes(arguments)
    if not arguments.ops:
        _show_rows(config, codes, arguments)
    elif codes is not None:
        _show_ops(config, codes, arguments)
    else:
        raise UsageError("--ops takes codes of architectures, or --archs FILE; `predict --samples N` prints some")
    return 0


def _show_rows(config: Config, codes: Sequence[str] | None, arguments: Namespace) -> None:
    from edgenas.workflows.predict import predict

    space, options = _space(config, arguments), _options(arguments)
    rows = (asdict(row) for row in predict(config, space, archs=codes, samples=arguments.samples, **options))
    if arguments.json:
        output.write_json(list(rows))
        return
    # Rows are predicted as they are read: one more than a table takes tells whether there are too many for it.
    few = list(itertools.islice(rows, MOST_IN_A_TABLE + 1))
    if arguments.csv or len(few) > MOST_IN_A_TABLE:
        output.write_lines(_csv(itertools.chain(few, rows)))
        return
    output.write(_table(few))
    if len(few) == 1:
        output.write("\n")
        _show_ops(config, [few[0]["arch"]], arguments)


def _show_ops(config: Config, codes: Sequence[str], arguments: Namespace) -> None:
    from edgenas.workflows.predict import predict_ops

    table, forecasts = predict_ops(config, _space(config, arguments), archs=codes, **_options(arguments))
    forecast.show(codes, forecasts, table, arguments)


def _space(config: Config, arguments: Namespace) -> SearchSpace:
    """Return the space of the architectures."""
    from edgenas.spaces.build import build_space
    from edgenas.workflows.pretrained import space_source

    return build_space(space_source(config), *flags.input_of(arguments, config))


def _options(arguments: Namespace) -> dict[str, Any]:
    """Return what architectures are predicted from, as keywords."""
    return {"table": arguments.table, "estimate_missing": arguments.estimate_missing}


def _files(arguments: Namespace) -> list[Path]:
    """Return the ONNX files that were named. Raises UsageError for a mix with codes."""
    files = [Path(word) for word in arguments.archs if word.lower().endswith(".onnx")]
    if files and (len(files) < len(arguments.archs) or arguments.file is not None or arguments.samples is not None):
        raise UsageError("ONNX files and architectures are predicted apart; give one or the other")
    return files


def _codes(arguments: Namespace) -> list[str] | None:
    """Return the codes that were given, None for samples. Raises UsageError unless one way was taken and gives some."""
    ways = [bool(arguments.archs), arguments.file is not None, arguments.samples is not None]
    if sum(ways) != 1:
        raise UsageError("say which architectures: codes, or --archs FILE, or --samples N, one of them")
    if arguments.file is None:
        return list(arguments.archs) or None
    try:
        content = sys.stdin.read() if arguments.file == "-" else read_text(Path(arguments.file))
    except (OSError, ValueError) as error:
        raise UsageError(f"--archs {arguments.file}: cannot be read ({error})") from error
    codes = [line.strip() for line in content.splitlines() if line.strip()]
    if not codes:
        raise UsageError(f"--archs {arguments.file}: no architecture in it; expected one code a line")
    return codes


def _csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        if number == 0:
            yield ",".join(row)
        yield output.csv_line([_csv_cell(value) for value in row.values()])


def _csv_cell(value: object) -> object:
    """Return counts in full, other numbers to six digits."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else f"{value:.6g}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["ms", "low", "high", "by MACs", "MACs", "params", "peak", "arch"]
    figures = ("latency_ms", "low_ms", "high_ms", "macs_only_ms")
    columns = [text.ms_column([row[name] for row in rows]) for name in figures]
    columns += [[text.count(row[name]) for row in rows] for name in ("macs", "params")]
    columns += [[text.size(row["peak_bytes"]) for row in rows], [text.printable(row["arch"]) for row in rows]]
    lines = text.table(heads, list(zip(*columns, strict=True)), right=range(7))
    # The note is of the worst row, since a note for each would hide the table.
    share = max(row["estimated_share"] for row in rows)
    note = f"\nup to {text.percent(share, 0)} of a latency is estimated: the table lacks ops" if share else ""
    return lines + note + "\n"
