"""`edgenas train`: one architecture, as a search trains its finalists."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from edgenas.cli import flags, output
from edgenas.system import text

EXAMPLE = "edgenas train 2012110... --data fashion-mnist --final-epochs 20 --output runs/one"

SETTINGS = (
    *("data", "data_root", "image_size", *flags.PHOTO_SETTINGS, "download", "strict", "validation_share"),
    *("space", "pretrained", "weights", "final_epochs", "recipe", "ghost_batch", "train_device", "seed", "output"),
)


def configure(parser: ArgumentParser) -> None:
    """Add the architecture, and what its training depends on."""
    parser.add_argument(
        "arch",
        metavar="ARCH",
        help="its code, as `search` and `predict` print, or as papers on the space write it",
    )
    flags.add_settings(parser, SETTINGS)
    flags.add_config_file(parser)
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Train, and print what is known of the network then."""
    config = flags.settings(arguments)
    from edgenas.workflows.train import train

    facts = asdict(train(config, arguments.arch, output.reporter(arguments)))
    if arguments.json:
        output.write_json(facts)
    else:
        recall = {f"recall of {name!r}": text.percent(share) for name, share in facts.pop("validation_recall").items()}
        rows = [(name, text.printable(str(value))) for name, value in (facts | recall).items()]
        output.write(text.table(None, rows) + "\n")
    return 0
