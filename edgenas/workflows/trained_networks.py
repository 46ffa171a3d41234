"""Networks that a run has trained, from its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch

from edgenas.errors import CheckpointError
from edgenas.graph.graph import Arch
from edgenas.nn.auxiliary import network_state
from edgenas.nn.network import Network
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import is_allowed
from edgenas.system import checkpoint
from edgenas.system.run_folder import is_kept, read_artefact
from edgenas.training.distillation import Teacher
from edgenas.workflows.pretrained import teacher_space
from edgenas.workflows.result import Result
from edgenas.workflows.source_run import FINALISTS, SOURCE, TEACHER
from edgenas.workflows.task import Task

Networks: TypeAlias = "dict[Arch, Network]"


def trained_networks(folder: Path, space: SearchSpace, trained: SearchSpace, device: str) -> Networks:
    """Return the networks that a run trained to the end, the delivered one first; none before there is a result.

    Args:
        folder: of the run.
        space: that it searched.
        trained: the part of it whose shared weights were trained; networks of others are left out.
        device: where to put the networks.

    Raises:
        CheckpointError: the weights are damaged, or another version's.
    """
    found: Networks = {}
    if not is_kept(folder, "result"):  # the last training may not have come to its end
        return found
    for path in sorted(folder.glob(FINALISTS)):
        payload = checkpoint.load(path)
        with checkpoint.understood(path):
            if payload["identity"]["space"] != space.spec:  # a control that is another network
                continue
            arch = space.parse(payload["identity"]["arch"])
            if not is_allowed(trained, arch):
                continue
            network = Network(space.graph(arch))
            checkpoint.load_weights(network, network_state(payload["module"]))
        found[arch] = network.to(device).to(memory_format=torch.channels_last)
    delivered = read_artefact(folder, "result", Result).arch
    # False sorts before True: the delivered one is first, and the others keep their order.
    return {arch: found[arch] for arch in sorted(found, key=lambda arch: space.code(arch) != delivered)}


def trained_finalist(folder: Path, number: int, arch: Arch, task: Task) -> Network:
    """Return a finalist, in evaluation mode, with the weights of the end of its training.

    Args:
        folder: of the run.
        number: of the finalist.
        arch: of the finalist.
        task: of the finalist.

    Raises:
        CheckpointError: the weights are damaged, another version's or architecture's, or not yet those of the end.
    """
    path = _checkpoint(folder, number, arch, task)
    payload = checkpoint.load_kept(path)
    checkpoint.check_identity(path, payload, {"arch": task.space.code(arch)})
    network = Network(task.space.graph(arch))
    with checkpoint.understood(path):
        step = int(payload["step"])
        if step < (steps := int(payload.get("steps", step))):  # those of earlier versions do not say it
            raise CheckpointError(
                f"{path}: trained for {step} of {steps} steps; go on with --resume, and export it then"
            )
        checkpoint.load_weights(network, network_state(payload["module"]))
    return network.eval()


def _checkpoint(folder: Path, number: int, arch: Arch, task: Task) -> Path:
    """The file of a finalist's weights; one that a run has taken as it was lies with those whose weights it uses."""
    path = folder / f"finalist-{number}.pt"
    if task.config.final_epochs or path.exists() or checkpoint.previous(path).exists():
        return path
    for kept in sorted((folder / SOURCE).glob(FINALISTS)):
        identity = checkpoint.load(kept).get("identity", {})
        with checkpoint.understood(kept):
            if identity["space"] == task.space.spec and task.space.parse(identity["arch"]) == arch:
                return kept
    return path


def trained_teacher(folder: Path, task: Task) -> Teacher | None:
    """Return the teacher of a run's cuts, the whole network or a larger one; None if it had none.

    Args:
        folder: of the run.
        task: of the run.

    Raises:
        CheckpointError: the weights are damaged, or another version's.
    """
    path = folder / TEACHER
    if not path.exists():
        return None
    payload = checkpoint.load(path)
    space = teacher_space(task.config, task.data.shape, len(task.data.classes)) or task.space
    with checkpoint.understood(path):
        network = Network(space.graph(space.parse(payload["identity"]["arch"])))
        checkpoint.load_weights(network, payload["module"])
    return Teacher(network.to(task.torch_device).to(memory_format=torch.channels_last))
