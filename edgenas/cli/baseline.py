"""`edgenas baseline`: what trained networks take as they are, at each resolution."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgenas.cli import flags, output
from edgenas.system import text
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.workflows.result import Result
    from edgenas.workflows.whole_networks import Baseline

EXAMPLE = """\
edgenas baseline --data photos --budget-ms 20
edgenas baseline --data photos --budget-ms 20 --train --output runs/photos"""

# Those of `edgenas.workflows.baseline_train`, whose import `--help` does not wait for; a test holds them equal.
TRAIN_SETTINGS = ("train_device", "validation_share", "strict", "final_epochs", "int8", "output", "resume")
SETTINGS = (
    *("budget_ms", "data", "data_root", "image_size", *flags.PHOTO_SETTINGS, "pretrained", "weights", "download"),
    *("device", "precision", "runtime", "threads", "wait_minutes", "seed"),
    *TRAIN_SETTINGS,
)
WORDS = {True: "fits", False: "too slow", None: "unclear"}


def configure(parser: ArgumentParser) -> None:
    """Add the budget, the images and the networks."""
    flags.add_settings(parser, [name for name in SETTINGS if name not in TRAIN_SETTINGS])
    group = parser.add_argument_group("training")
    group.add_argument(
        "--train", action="store_true", help="fine-tune the best of those that fit, and deliver it as `search` does"
    )
    flags.add_settings(group, TRAIN_SETTINGS)
    flags.add_config_file(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Print a table of networks; with `--train`, the result of the best.

    Raises:
        BudgetError: no network fits, after the table.
        UsageError: a flag that does nothing without `--train`.
    """
    if arguments.train:
        return _train(arguments)
    from edgenas.workflows.baseline import baseline
    from edgenas.workflows.baseline_train import refuse_without_training
    from edgenas.workflows.whole_networks import none_fits

    refuse_without_training(flags.given(arguments))
    config, reporter = flags.settings(arguments), output.reporter(arguments)
    rows = baseline(config, reporter)
    if arguments.json:
        output.write_json([asdict(row) for row in rows])
    else:
        output.write(_table(rows, config))
    if any(row.fits for row in rows):
        return 0
    if config.device is None and any(row.fits is None for row in rows):
        reporter.log("whether any network fits is unclear: other programs ran; ask again when the machine is quiet")
        return 0
    raise none_fits(config, rows)


def _train(arguments: Namespace) -> int:
    """Fine-tune the best network; a run that is resumed has chosen it already."""
    config, reporter = flags.settings(arguments), output.reporter(arguments)
    from edgenas.workflows.baseline import baseline
    from edgenas.workflows.baseline_train import train_baseline

    rows: list[Baseline] = [] if config.resume else baseline(config, reporter)
    if rows and not arguments.json:
        output.write(f"Before any training, to choose by:\n\n{_table(rows, config)}\n")
    result = train_baseline(config, rows, reporter)
    code = output.show_result(result, arguments)
    if not arguments.json and (line := _which_is_which(rows, result)):
        output.write(line)
    return code


def _which_is_which(rows: Sequence[Baseline], result: Result) -> str:
    """Return what the latencies are that were printed for the network that was trained, the one that counts first."""
    row = next((row for row in rows if (row.network, row.arch) == (result.space, result.arch)), None)
    if row is None or result.measured_ms is None:
        return ""
    before = [] if row.measured_ms is None else [f"{text.ms(row.measured_ms)} ms measured with random weights"]
    before += [] if row.predicted_ms == row.measured_ms else [f"{text.ms(row.predicted_ms)} ms predicted"]
    return (
        f"\n{row.network} at {row.resolution} pixels takes {text.ms(result.measured_ms)} ms ± "
        f"{text.percent(result.repeat_error)}: the delivered file, measured in a fresh process.\n"
        f"Earlier figures only chose it: {', '.join(before)} before the run; "
        f"{text.ms(result.predicted_ms)} ms predicted in it."
    )


def _table(rows: Sequence[Baseline], config: Config) -> str:
    """Return the networks as a table: of each the largest resolution that fits, and those above it that do not."""
    shown = [row for network in dict.fromkeys(row.network for row in rows) for row in _edge(rows, network)]
    cells = [
        [
            row.network,
            str(row.resolution),
            f"{row.macs / 1e6:.0f} M",
            "" if row.predicted_ms == row.measured_ms else text.ms(row.predicted_ms),
            "" if row.measured_ms is None else text.ms(row.measured_ms),
            f"{text.ms(row.low_ms)} to {text.ms(row.high_ms)}" if math.isfinite(row.high_ms) else text.UNKNOWN,
            WORDS[row.fits],
            "" if row.is_here else "weights not here",
        ]
        for row in shown
    ]
    heads = ["network", "pixels", "MACs", "predicted ms", "measured ms", "interval", f"in {config.budget_ms:g} ms", ""]
    rest = len(rows) - len(shown)
    more = f"\n{rest} more resolution{'s are' if rest > 1 else ' is'} in --json\n" if rest else "\n"
    return text.table(heads, cells, right=range(1, 6)) + more


def _edge(rows: Sequence[Baseline], network: str) -> Sequence[Baseline]:
    """The resolutions of a network between which the budget lies, the unclear among them; the smallest if none fits."""
    own = [row for row in rows if row.network == network]
    clear = next((i for i, row in enumerate(own) if row.fits is not False), len(own))
    first = next((i for i, row in enumerate(own) if row.fits), len(own))
    return own[max(0, clear - 1) : first + 1]
