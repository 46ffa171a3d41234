"""`edgenas search`: the whole way from images and a budget to a measured model."""

from __future__ import annotations

import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from edgenas.cli import flags, output
from edgenas.cli.signals import Stopper
from edgenas.errors import EdgeNASError, Interrupted
from edgenas.system import plugins
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config, flag, resolve_data
from edgenas.workflows.named import KINDS
from edgenas.workflows.result import Result

EXAMPLE = """\
edgenas search --budget-ms 20
edgenas search --budget-ms 8 --data photos --image-size 96 --output runs/photos
edgenas search --budget-ms 20 --max-params 1e6 --max-file-mb 1 --budget-ms amd-epyc-zen4=0.2
edgenas search --output runs/photos --resume"""

PATIENCE_S = 5.0  # that a run has to come to a safe point after a signal; then it ends at its last checkpoint
Search = Callable[[Config, Reporter, Stopper], Result]
Found = TypeVar("Found")
GROUPS = {
    "limits": ("budget_ms", "budgets_ms", "max_params", "max_memory_mb", "max_file_mb"),
    "task": ("data", "data_root", "image_size", *flags.PHOTO_SETTINGS, "download", "strict", "validation_share"),
    "search": (
        "space",
        "pretrained",
        "weights",
        "teacher",
        "preset",
        "strategy",
        "options",
        "reward",
        "trials",
        "minutes",
        "batch",
        "prune",
        "shape_choices",
        "finalists",
        "controls",
    ),
    "scores": ("evaluator", "scores", "scores_name"),
    "parallel": ("workers", "ray"),
    "device": ("device", "precision", "runtime", "threads", "wait_minutes", "int8"),
    "training": (
        *("train_device", "recipe", "ghost_batch"),
        *("supernet_epochs", "search_epochs", "final_epochs", "scratch_epochs"),
    ),
}


def configure(parser: ArgumentParser) -> None:
    """Add a flag for every field of Config; those in no group belong to the run."""
    parser.usage = "edgenas search --budget-ms MS [options]"
    for title, names in GROUPS.items():
        flags.add_settings(parser.add_argument_group(title), names)
    run_group = parser.add_argument_group("run")
    grouped = {name for names in GROUPS.values() for name in names}
    flags.add_settings(run_group, [item.name for item in fields(Config) if item.name not in grouped])
    flags.add_config_file(run_group)
    flags.add_json(run_group)


def run(arguments: Namespace) -> int:
    """Search; return 1 if the model was measured above the budget, 0 if within it or not yet on its device."""
    return carry_out("search", _search, flags.settings(arguments), arguments)


def carry_out(command: str, search: Search, config: Config, arguments: Namespace) -> int:
    """Search as `command` does, and show the result; return the exit code as `run` does.

    Args:
        command: its name, for the line that says how to go on.
        search: does it.
        config: the effective settings.
        arguments: whether the result is shown as JSON, and progress at all.

    Raises:
        Interrupted: by a signal; it says what to type to go on.
    """
    return output.show_result(stoppable(command, search, config, arguments), arguments)


def stoppable(
    command: str, run: Callable[[Config, Reporter, Stopper], Found], config: Config, arguments: Namespace
) -> Found:
    """Return what a run finds; a signal ends it at a safe point.

    Args:
        command: its name, for the line that says how to go on.
        run: does it.
        config: the effective settings.
        arguments: whether progress is shown.

    Raises:
        Interrupted: by a signal; it says what to type to go on.
    """
    with Stopper(PATIENCE_S) as stop:
        from edgenas.workflows.setup import output_path

        # The folder gets its name here, so that an interrupted run can be named.
        config = replace(config, output=str(output_path(config)))
        try:
            with redirect_stdout(sys.stderr):  # stdout is for the result alone, whatever libraries print
                return run(config, output.reporter(arguments), stop)
        except (Exception, KeyboardInterrupt) as error:  # a signal also kills children, which then fail in their ways
            if stop.signum is None:
                raise
            raise _interrupted(config, stop.signum, command) from error


def _search(config: Config, reporter: Reporter, stop: Stopper) -> Result:
    from edgenas.workflows.search import search

    return search(config, reporter, stop)


def _own_code(config: Config) -> Iterator[str]:
    """Yield the flags that name what is one's own: a run's folder does not choose what code runs."""
    for setting, kind in KINDS.items():
        with suppress(EdgeNASError):  # the folder of images may be gone, and what nobody named was not used
            name = getattr(resolve_data(config) if setting == "data" else config, setting)
            if name is not None and name.partition(":")[0] not in plugins.names(kind):
                plugins.check_named(kind, name)
                yield from (flag(setting), name)


def _interrupted(config: Config, signum: int, command: str = "search") -> Interrupted:
    """Return the error that says how to go on after a signal, whatever the run made of it."""
    name, folder = signal.Signals(signum).name, str(config.output)
    if (Path(folder) / "config.toml").exists():
        words = ["edgenas", command, "--output", folder, "--resume"]
        words += _own_code(config)
        # The folder does not keep these two, as a run may go on with others.
        words += ["--workers", str(config.workers)] if config.workers > 1 else []
        words += ["--ray", config.ray] if config.ray else []
        text = f"stopped by {name}; to go on: {shlex.join(words)}"
    else:
        text = f"stopped by {name} before there was anything to keep; begin again"
    error = Interrupted(text)
    error.exit_code = 128 + signum
    return error
