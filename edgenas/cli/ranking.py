"""`edgenas ranking`: whether the shared weights of a run can be trusted to rank."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from edgenas.cli import flags, output
from edgenas.system import text

EXAMPLE = """\
edgenas ranking runs/photos
edgenas ranking runs/photos --networks 32 --epochs 20"""


def configure(parser: ArgumentParser) -> None:
    """Add the run, how many networks, and how long each is trained."""
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of a search with shared weights")
    parser.add_argument(
        "--networks",
        type=flags.ranged(int, 3, 1000),
        default=16,
        metavar="N",
        help="spread over the latencies within the budget (default: 16)",
    )
    parser.add_argument(
        "--epochs",
        type=flags.ranged(int, 1, 10**5),
        metavar="N",
        help="of each network alone (default: as of the evaluator scratch)",
    )
    flags.add_beside_run(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Train what was not trained before, and print both accuracies of each network, and how they agree."""
    moved = flags.given(arguments)
    from edgenas.workflows.ranking import ranking

    found = ranking(
        arguments.folder, output.reporter(arguments), networks=arguments.networks, epochs=arguments.epochs, moved=moved
    )
    if arguments.json:
        output.write_json(asdict(found))
        return 0
    columns = {
        "ms": [text.ms(row.latency_ms) for row in found.networks],
        "shared": [text.percent(row.shared, 2) for row in found.networks],
        "alone": [text.percent(row.alone, 2) for row in found.networks],
        "losses": [f"{row.replacement:.3f}" for row in found.networks if row.replacement is not None],
        "network": [row.arch for row in found.networks],
    }
    columns = {head: cells for head, cells in columns.items() if cells}  # not every search begins with losses
    rows = list(zip(*columns.values(), strict=True))
    output.write(text.table(list(columns), rows, right=range(len(columns) - 1)) + "\n")
    # Nan, which equals nothing: all networks are level on one side.
    spearman, kendall = (text.UNKNOWN if x != x else f"{x:.2f}" for x in (found.spearman, found.kendall))
    output.write(
        f"rank correlation of {len(rows)} networks: Spearman {spearman}, Kendall {kendall} "
        f"(alone: {found.epochs} epochs each; accuracies on {found.images} images)\n"
    )
    if found.replacement_spearman is not None:
        output.write(
            f"by replacement losses, without a pass of the network: Spearman {found.replacement_spearman:.2f}\n"
        )
    return 0
