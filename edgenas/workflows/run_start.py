"""The start of a run: its configuration is kept, and taken back if the run is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.errors import BudgetError, DataError, Interrupted, UsageError
from edgenas.system import distributed
from edgenas.system.file_index import GUARDED, INDEX, begin, check, note, write_kept
from edgenas.system.run_folder import CONFIG, FORMAT_FILE, SECONDS, is_run, write_format
from edgenas.system.text import shortened
from edgenas.workflows.config import OF_START, Config, make_config, read_run
from edgenas.workflows.context import Context
from edgenas.workflows.moved import check_same
from edgenas.workflows.origin import ORIGIN, keep_origin
from edgenas.workflows.toml import to_toml

if TYPE_CHECKING:
    from edgenas.workflows.task import Task

# What `--reuse` copies: the profile, the narrowing, and last the weights, which a run may be without.
REUSED = (
    "bounds.json",
    "narrow.json",
    "table.csv",
    "teacher.pt",
    "teacher-plan.json",
    "whole.pt",
    "whole-plan.json",
    "importance.json",
    "supernet.pt",
)
SPREAD = "table-spread"  # the table that the space is narrowed by, before the rest is profiled
MINIMUM = "limits"  # artefact: the least that the space has of each metric that is limited beside the latency
MOVABLE = "cache"  # kept, so that a resumed run finds its decoded pictures; it may be told another place
DATA = "data"  # artefact: what the images are
ARCH = "arch"  # artefact: which architecture `edgenas train` trains
REFUSALS = (BudgetError, DataError, UsageError)  # the same start would be refused again
# What a run writes before it trains anything, by pattern: all that there is of one that was refused, the index last.
FIRST_FILES = (
    *(CONFIG, FORMAT_FILE, SECONDS, "device-*.csv", f"{SPREAD}.csv", *REUSED, "source", "source.new"),
    *(f"{name}.json" for name in (MINIMUM, ORIGIN, ARCH, DATA, "source")),
    INDEX,
)
# And what it writes later. Where one of these is before a run begins, it is somebody's own.
TRAININGS = ("supernet", "teacher", "whole", "paths", "bilevel", "finalist-*", "fold-*")
RUN_FILES = (
    *(*FIRST_FILES, "trials.jsonl", "search.pt*", "finalist-*.onnx", "finalists*.json"),
    *(f"{name}{ending}" for name in TRAININGS for ending in (".pt*", "-plan.json", "-memory.json")),
    *("exported-*.json", "measured-*.json", "folds-*.json", "ranking-*.json"),
    *("replacement.json", "confirmed.json", "test.json", "report.json", "result.json"),
    *("model.onnx", "model.int8.onnx", "manifest.json", "golden.npz", "pictures.npz", "labels.txt", "MODEL_CARD.md"),
)


@contextmanager
def roll_back_if_refused(config: Config, ctx: Context) -> Iterator[None]:
    """Begin a run, and leave the folder as it was if this one ends before there is anything to go on with.

    What was measured before the disk or the device failed is kept, and so is the run: `--resume` goes on from there.

    Args:
        config: says whether the run is a resumed one.
        ctx: with the folder.

    Raises:
        UsageError: in the folder of a new run is a file that this would write over.
    """
    folder = ctx.folder.path
    if not config.resume:
        distributed.first(lambda: _make_room(folder))
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # a space or a network of one's own may raise anything
        measured = (folder / name for name in (f"{MINIMUM}.json", f"{SPREAD}.csv", *REUSED))
        has_work = config.reuse is None and any(path.exists() for path in measured)
        # What an earlier run has kept here is not this one's to remove.
        if ctx.folder.writes and not config.resume and (isinstance(error, REFUSALS) or not has_work):
            _clear(folder)
        raise


def _make_room(folder: Path) -> None:
    """Begin the index of a new run, which says from here on that what it writes is its own.

    A folder with an index and no run is one in which another start was killed: what that left goes.

    Raises:
        UsageError: something of the name of a run's file is there.
    """
    if (folder / INDEX).exists():
        _clear(folder)
    there = (path.name for path in sorted(folder.iterdir()))
    names = [name for name in there if any(fnmatch(name, pattern) for pattern in RUN_FILES)]
    if names:
        raise UsageError(
            f"{folder} holds no run, and {shortened(names[0])} is there, which a run would write over; choose another "
            "--output"
        )
    begin(folder)


def _clear(folder: Path) -> None:
    """Remove what a run writes before it trains; where it is killed meanwhile, the next start goes on with that."""
    with suppress(OSError):  # the disk may be full
        begin(folder)
    for pattern in FIRST_FILES:
        for path in folder.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def keep_data(task: Task, ctx: Context) -> None:
    """Keep what the images are: their classes, by which another run knows them, and the report on them.

    Args:
        task: with the images.
        ctx: with the folder.
    """
    from edgenas.data.report import DataReport, report_of  # torch comes with it

    distributed.first(lambda: keep_origin(ctx.folder.path, task))
    ctx.folder.artefact(DATA, DataReport, lambda: report_of(task.data), again=True)


def keep_config(config: Config, ctx: Context) -> bool:
    """Write the effective configuration into a new run's folder; a resumed run must have the same one.

    Returns whether the run is new.

    Raises:
        UsageError: the run was begun with other settings.
    """
    folder = ctx.folder.path
    path = folder / CONFIG
    # Names in tables are quoted, so only a setting's own line begins with its name.
    lines = [
        line
        for line in to_toml(config).splitlines(keepends=True)
        if not line.startswith(tuple(f"{n} = " for n in OF_START))
    ]
    if is_run(folder):
        before = make_config(read_run(folder))
        for name in (item.name for item in fields(Config) if item.name not in (*OF_START, MOVABLE)):
            check_same(str(folder), name, getattr(before, name), getattr(config, name), "use a new --output")
        return False
    if config.reuse is not None:
        _reuse(Path(config.reuse).expanduser(), folder)
    # Last of all: a folder with a configuration is a run, which can be resumed.
    write_format(folder, version("edgenas"))
    write_kept(path, "".join(lines).encode())
    return True


def _reuse(source: Path, folder: Path) -> None:
    """Copy another run's profile, narrowing and supernet."""
    missing = [name for name in REUSED[:3] if not (source / name).exists()]
    if missing:
        raise UsageError(f"--reuse {source}: it has no {missing[0]}; give the folder of a run that came so far")
    for name in REUSED:
        check(source / name)
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
            if not name.endswith(GUARDED):
                note(folder / name)
