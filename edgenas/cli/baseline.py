"""`edgenas baseline`: what trained networks take as they are, at each resolution."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgenas.cli import flags, output
from edgenas.system import text

if TYPE_CHECKING:
    from edgenas.workflows.whole_networks import Baseline

EXAMPLE = """\
edgenas baseline --data photos --budget-ms 20
edgenas baseline --data photos --budget-ms 20 --train --output runs/photos"""

SETTINGS = (
    *("budget_ms", "data", "data_root", "image_size", *flags.PHOTO_SETTINGS, "pretrained", "weights", "download"),
    *("device", "precision", "runtime", "threads", "wait_minutes", "seed"),
    *("train_device", "validation_share", "strict", "final_epochs", "int8", "output", "resume"),
)


def configure(parser: ArgumentParser) -> None:
    """Add the budget, the images and the networks."""
    flags.add_settings(parser, SETTINGS)
    parser.add_argument(
        "--train", action="store_true", help="fine-tune the best of those that fit, and deliver it as `search` does"
    )
    flags.add_config_file(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Print a table of networks; with `--train`, the result of the best."""
    config, reporter = flags.settings(arguments), output.reporter(arguments)
    from edgenas.workflows.baseline import baseline, train_baseline

    rows = baseline(config, reporter)
    if arguments.train:
        if not arguments.json:
            output.write(_table(rows))
        return output.show_result(train_baseline(config, rows, reporter), arguments)
    if arguments.json:
        output.write_json([asdict(row) for row in rows])
    else:
        output.write(_table(rows))
    return 0


def _table(rows: Sequence[Baseline]) -> str:
    """Return the networks as a table: of each the largest resolution that fits and the next one, which does not."""
    shown = [row for network in dict.fromkeys(row.network for row in rows) for row in _edge(rows, network)]
    cells = [
        [
            row.network,
            str(row.resolution),
            f"{row.macs / 1e6:.0f} M",
            text.ms(row.predicted_ms),
            "" if row.measured_ms is None else text.ms(row.measured_ms),
            "" if row.repeat_error is None else f"± {text.percent(row.repeat_error)}",
            "fits" if row.fits else "",
            "" if row.is_here else "weights not here",
        ]
        for row in shown
    ]
    heads = ["network", "pixels", "MACs", "predicted ms", "measured ms", "", "", ""]
    more = f"\n{len(rows) - len(shown)} more resolutions are in --json\n" if len(rows) > len(shown) else "\n"
    return text.table(heads, cells, right=range(1, 5)) + more


def _edge(rows: Sequence[Baseline], network: str) -> Sequence[Baseline]:
    """The resolutions of a network between which the budget lies; the smallest if none fits."""
    own = [row for row in rows if row.network == network]
    first = next((i for i, row in enumerate(own) if row.fits), len(own))
    return own[max(0, first - 1) : first + 1]
