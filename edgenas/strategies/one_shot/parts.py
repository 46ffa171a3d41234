"""Training in parts: a strategy's state is kept between them; within one, a checkpoint of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from edgenas.errors import Interrupted
from edgenas.system import distributed
from edgenas.system.checkpoint import State, check_identity, load, save, understood
from edgenas.training.context import TrainingContext
from edgenas.training.train import READ_EVERY, SAVE_EVERY_S, Stepper


class Training(Protocol):
    """What is trained: `step` of `steps` are done."""

    step: int
    steps: int
    stepper: Stepper

    def state(self) -> State:
        """Return all that the next step depends on."""
        ...

    def load(self, state: State) -> None:
        """Load what `state` returned."""
        ...


def reopen(training: Training, context: TrainingContext) -> int:
    """Go on within the part that begins at the present step, if it was interrupted; return where it began."""
    begun = training.step
    if context.checkpoint is not None:
        try:
            payload = load(context.checkpoint)
        except FileNotFoundError:
            return begun
        check_identity(context.checkpoint, payload, context.identity)
        # A checkpoint of another part does not go on from the state that the strategy was restored to.
        with understood(context.checkpoint):
            if payload["begun"] == begun:
                training.load(payload)
    return begun


def train_part(
    training: Training, begun: int, until: int, update: Callable[[], Tensor], context: TrainingContext
) -> None:
    """Train up to a step, with a checkpoint now and then.

    Args:
        training: what is trained; its `step` advances.
        begun: the step at which this part began, which marks its checkpoint.
        until: the step at which it ends.
        update: makes one step, and gives its loss ().
        context: keeps the checkpoint, is told of the progress, and says when to stop.

    Raises:
        Interrupted: the run is to stop; what is done is kept.
        EdgeNASError: twenty steps in a row had no finite gradient.
    """
    saved_at = time.monotonic()

    def keep() -> None:
        if context.checkpoint is not None:
            save(context.checkpoint, {"begun": begun, "identity": context.identity, **training.state()})

    while training.step < until:
        loss = update()
        training.step += 1
        # The loss is read rarely: reading it waits for a GPU.
        if training.step % READ_EVERY == 0 or training.step == until:
            training.stepper.check()
            context.progress(training.step, training.steps, f"loss {loss.item():.3f}")
        if context.stop():
            distributed.first(keep)
            raise Interrupted("stopped during the search")
        if distributed.rank() == 0 and time.monotonic() - saved_at > SAVE_EVERY_S:
            keep()
            saved_at = time.monotonic()
