"""`edgenas export`: a trained network of a run as one ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgenas.errors import UsageError
from edgenas.system.file_index import write_atomically
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import is_kept, read_artefact
from edgenas.workflows.context import never
from edgenas.workflows.given import Given, objects_again
from edgenas.workflows.result import Result
from edgenas.workflows.setup import plain_task, run_in
from edgenas.workflows.source_run import reopened
from edgenas.workflows.stages.codes import BEHIND, task_of, trained_codes
from edgenas.workflows.stages.files import onnx_file
from edgenas.workflows.trained_networks import trained_finalist


def export(
    run_folder: Path,
    reporter: Reporter,
    *,
    arch: str | None = None,
    out: Path,
    dynamic_batch: bool = False,
    given: Given | None = None,
    moved: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write a trained architecture of a run as one ONNX file; return its path.

    Args:
        run_folder: of `search` or `train`.
        reporter: who is told of stages and notices.
        arch: code of the architecture; by default the one that the run delivered.
        out: the file to write.
        dynamic_batch: whether the model takes any number of images at once, rather than one.
        given: objects that stand for names of the configuration.
        moved: settings that may have changed since: where the data and a network's own weights are.

    Raises:
        UsageError: the run has no such trained architecture, or is about something else than `moved` says.
        ExportError: the file differs from the network; it is kept as `finalist-N.onnx.rejected` in the run folder.
        CheckpointError: the weights are damaged, another version's, or not yet those of the end of a training.
    """
    # A folder that holds a run is only opened to resume it; so it is locked meanwhile.
    config = reopened(run_folder, moved)
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; give the file to write, for example {out / 'model.onnx'}")
    codes = trained_codes(run_folder)
    if not codes:
        raise UsageError(
            f"{run_folder} has no trained network; run `edgenas search` or `edgenas train` to its end first"
        )
    with run_in(config, reporter, never) as ctx:
        chosen = arch if arch is not None else _winner(run_folder, codes)
        if chosen not in codes:
            raise UsageError(f"{run_folder}: {chosen} is not trained there; trained are {', '.join(codes)}")
        number = codes.index(chosen)  # by which its checkpoint is named
        with ctx.stage("export", "export"):
            with objects_again():
                task = plain_task(config, given or Given(), ctx.reporter, run_folder)
            task, trained = task_of(task, chosen)
            network = trained_finalist(run_folder, number, trained, task)
            rejected = run_folder / f"finalist-{number}.onnx.rejected"
            model = onnx_file(task.data, network, rejected, dynamic_batch=dynamic_batch)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, model)
    return out


def _winner(run_folder: Path, codes: Sequence[str]) -> str:
    """The architecture of the result; before there is one, the only finalist."""
    if is_kept(run_folder, "result"):
        result = read_artefact(run_folder, "result", Result)
        member = f"{result.space}{BEHIND}{result.arch}"
        return member if member in codes else result.arch
    if len(codes) > 1:
        raise UsageError(f"{run_folder} is not finished: say which with --arch, one of {', '.join(codes)}")
    return codes[0]
