"""Codes of what a run trains: which there are, and of which network.

The next smaller network of a trained one's family is a control that is no cut of it. Its architectures have codes of
its own space, behind its name: `efficientnet-lite0/2000...`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path

from edgenas.errors import EnvironmentFault
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.graph.graph import Arch
from edgenas.system.run_folder import is_kept, read_artefact
from edgenas.workflows.pretrained import smaller_space
from edgenas.workflows.stages.artefacts import Selection
from edgenas.workflows.stages.finalists import epochs_in_all, final_settings
from edgenas.workflows.task import Priced, Task, price

BEHIND = "/"  # the name of a network its codes stand


def selection_file(attempt: int) -> str:
    """Return the name of the artefact that lists the finalists of an attempt."""
    return f"finalists-{attempt}" if attempt else "finalists"


def trained_codes(run_folder: Path) -> list[str]:
    """Return the codes of the trained architectures, by the number in their files' names."""
    names = map(selection_file, count())
    there = takewhile(lambda name: is_kept(run_folder, name), names)
    return [code for name in there for code in read_artefact(run_folder, name, Selection).finalists]


def is_member(code: str) -> bool:
    """Tell whether a code is of another network than the run's."""
    return BEHIND in code


def smaller_task(task: Task) -> Task | None:
    """Return the task of fine-tuning the next smaller network whole, at any size; None if there is none.

    It begins with the weights that the network came with, and sees as many images as a teacher and a cut of it.
    """
    space = smaller_space(task.config, task.data.shape, len(task.data.classes))
    config = replace(task.config, final_epochs=epochs_in_all(task))
    return None if space is None else replace(task, space=space, config=config)


def smaller_member(priced: Priced) -> Priced | None:
    """Return the same with its prices."""
    task = smaller_task(priced.task)
    return None if task is None else price(task, priced.table)


def member_code(member: Priced, arch: Arch) -> str:
    """Return the code of an architecture of the smaller network."""
    return f"{member.space.name}{BEHIND}{member.space.code(arch)}"


def task_of(task: Task, code: str) -> tuple[Task, Arch]:
    """Return the task that a code is of, the run's or that of the smaller network, and the architecture.

    Raises:
        EnvironmentFault: the weights of the smaller network are not here any more.
    """
    name, _, own = code.rpartition(BEHIND)
    if not name:
        return task, task.space.parse(own)
    found = smaller_task(task)
    if found is None or found.space.name != name:
        raise EnvironmentFault(f"the run has trained {name}, whose weights are not here any more; install them again")
    return found, found.space.parse(own)


def of_code(priced: Priced, code: str) -> tuple[Priced, Arch]:
    """Return the same with its prices: the run's, or those of the smaller network."""
    task, arch = task_of(priced.task, code)
    return (price(task, priced.table) if is_member(code) else priced), arch


def fresh(task: Task) -> ScratchEvaluator:
    """Return what gives the networks of a task the weights that they came with."""
    return ScratchEvaluator(task.space, task.data, final_settings(task), task.torch_device, task.config.seed)
