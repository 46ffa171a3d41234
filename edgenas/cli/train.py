"""`edgenas train`: one architecture, as a search trains its finalists."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgenas.cli import flags, output, search
from edgenas.cli.signals import Stopper
from edgenas.system import text
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.workflows.train import Trained

EXAMPLE = """\
edgenas train 2012110... --data fashion-mnist --final-epochs 20 --output runs/one
edgenas train --output runs/one --resume"""

SETTINGS = (
    *("data", "data_root", "image_size", *flags.PHOTO_SETTINGS, "download", "strict", "validation_share"),
    *("space", "pretrained", "weights", "final_epochs", "recipe", "ghost_batch", "train_device", "seed"),
    *("output", "resume"),
)


def configure(parser: ArgumentParser) -> None:
    """Add the architecture, and what its training depends on."""
    parser.add_argument(
        "arch",
        metavar="ARCH",
        nargs="?",
        help="its code, as `search` and `predict` print, or as papers on the space write it; a resumed run knows it",
    )
    flags.add_settings(parser, SETTINGS)
    flags.add_config_file(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Train, and print what is known of the network then."""
    config = flags.settings(arguments)

    def train(config: Config, reporter: Reporter, stop: Stopper) -> Trained:
        from edgenas.workflows.train import train

        return train(config, arguments.arch, reporter, stop)

    facts = asdict(search.stoppable("train", train, config, arguments))
    if arguments.json:
        output.write_json(facts)
    else:
        recall = {f"recall of {name!r}": text.percent(share) for name, share in facts.pop("validation_recall").items()}
        rows = [(name, text.printable(str(value))) for name, value in (facts | recall).items()]
        output.write(text.table(None, rows) + "\n")
    return 0
