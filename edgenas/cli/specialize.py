"""`edgenas specialize`: the trained weights of a search, for another budget, device or precision."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from edgenas.cli import flags, search
from edgenas.cli.signals import Stopper
from edgenas.errors import UsageError
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.result import Result

EXAMPLE = """\
edgenas specialize runs/photos --budget-ms 5
edgenas specialize runs/photos --budget-ms 2 --device amd-epyc-zen4 --precision int8 --output runs/photos-epyc
edgenas specialize --output runs/photos-epyc --resume"""

GROUPS = {
    "limits": ("budget_ms", "budgets_ms", "max_params", "max_memory_mb", "max_file_mb"),
    "device": ("device", "precision", "runtime", "threads", "wait_minutes", "int8"),
    "search": ("strategy", "options", "trials", "minutes", "batch", "prune", "finalists", "controls", "final_epochs"),
    "run": (*flags.BESIDE_RUN, "output", "resume"),
}


# The defaults of `edgenas.workflows.source_run`, whose import `--help` does not wait for; a test holds them equal.
DEFAULTS = {"strategy": "predictor", "trials": 64}


def configure(parser: ArgumentParser) -> None:
    """Add the run whose weights are used, and what may differ from it; all else is as it was there."""
    # The first line is of `main.COMMANDS`, as for every command.
    parser.description = f"{parser.description}\nWhat is not given is as it was there."
    parser.usage = "edgenas specialize RUN --budget-ms MS [options]"
    parser.add_argument("source", metavar="RUN", nargs="?", type=Path, help="folder of a search; it is only read")
    for title, names in GROUPS.items():
        flags.add_settings(parser.add_argument_group(title), names, {**flags.UNSAID, **DEFAULTS})
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Search on the weights of a run; return the exit code as `edgenas search` does."""
    given = flags.given(arguments)
    if given.get("resume"):  # the folder knows whose weights it uses
        config = flags.settings(arguments)
    elif arguments.source is None:
        raise UsageError("say whose weights: `edgenas specialize RUN`, the folder of an `edgenas search`")
    else:
        from edgenas.workflows.source_run import settings

        config = settings(arguments.source, given)
    return search.carry_out("specialize", partial(_specialize, arguments.source), config, arguments)


def _specialize(source: Path | None, config: Config, reporter: Reporter, stop: Stopper) -> Result:
    from edgenas.workflows.specialize import specialize

    return specialize(config, source, reporter, stop)
