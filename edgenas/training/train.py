"""The training loop, read top to bottom: one network or a supernet, on CPUs or GPUs, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.data.base import Split
from edgenas.errors import EdgeNASError, Interrupted
from edgenas.nn.auxiliary import TrainedNetwork
from edgenas.system import distributed
from edgenas.system.checkpoint import check_identity, load, load_weights, save, understood
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch_norm import GhostBatches, split_batch
from edgenas.training.memory import fit, step_in_halves
from edgenas.training.settings import Settings, rate, steps_of

BAD_STEPS_IN_A_ROW = 20  # without a finite gradient: one is bad luck, twenty are a training that has diverged
READ_EVERY = 10  # steps between two looks at what the device has computed: a GPU is not waited for in between
SAVE_EVERY_S = 45.0  # what a killed training has to do again, at most
DROP_STREAM = 13  # first word of a random stream's seed: no other stream has it

# Adds the gradients of one batch (x, y) of one step to the module's parameters; returns the loss.
Gradients = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Scores:
    """What one network scores on one split: top-1 accuracy in 0..1, mean cross-entropy, and the number of images."""

    accuracy: float
    loss: float
    images: int


def train(
    module: nn.Module,
    gradients: Gradients,
    data: Split,
    settings: Settings,
    *,
    size: int,
    seed: int,
    context: TrainingContext,
) -> None:
    """Train `module` in place on augmented images.

    Batches, their augmentation and whatever `gradients` draws follow from (seed, step) alone, so a checkpoint is
    weights, optimiser and step number, and a resumed training equals an uninterrupted one bit for bit on a CPU. Several
    processes share the ghost batches of each step; a checkpoint is read by all of them, and written by the first.

    Args:
        module: what is trained.
        gradients: adds the gradients of one batch to the module's parameters, and returns its loss.
        data: the training split.
        settings: of the training.
        size: side of the images, in pixels.
        seed: of the order of images and their augmentation.
        context: keeps the checkpoint, hears of progress, and may stop the training.

    Raises:
        EdgeNASError: twenty steps in a row had no finite gradient.
        EnvironmentFault: a step does not fit in memory; nothing was trained.
        Interrupted: `stop` said so; the checkpoint is written.
    """
    steps = steps_of(settings, len(data))
    optimizer = make_optimizer(module, settings)
    done = _restore(module, optimizer, context)
    distributed.copy_(list(module.state_dict().values()))
    device = next(module.parameters()).device
    stepper = Stepper(module, optimizer, settings.clip)
    ghosts = split_batch(min(settings.batch_size, len(data)), settings.ghost_batch)
    module.train(not settings.frozen_statistics)
    if done < steps:
        image, _ = next(data.batches(1, size=size))
        last = partial(_last_step, gradients, steps)
        ghosts = fit(ghosts, module, last, (image.shape[1], size, size), context)
    keep = partial(_save, module, optimizer, context, steps)
    per_epoch = steps // max(1, settings.epochs)
    first = done // per_epoch if steps else 0
    batches = partial(data.batches, settings.batch_size, size=size, seed=seed, augment=True, part=ghosts.rows)
    saved_at, text = time.monotonic(), ""
    for epoch in range(first, settings.epochs):
        start = done - epoch * per_epoch
        for x, y in batches(epoch=epoch, start=start, cutout=settings.cutout):
            for group in optimizer.param_groups:
                group["lr"] = rate(settings, done, steps)

            def compute(ghosts: GhostBatches, x: Tensor = x, y: Tensor = y, step: int = done) -> Tensor:
                optimizer.zero_grad()
                with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                    return ghosts.step(module, gradients, x, y, step)

            ghosts, loss = step_in_halves(ghosts, compute, context)
            stepper.step()
            done += 1
            if done % READ_EVERY == 0 or done == steps:
                stepper.check()
                text = f"loss {loss.item():.3f}"
            context.progress(done, steps, text)
            if context.stop():
                distributed.first(partial(keep, done))
                raise Interrupted("stopped during training")
            if distributed.rank() == 0 and time.monotonic() - saved_at > SAVE_EVERY_S:
                keep(done)
                saved_at = time.monotonic()
    distributed.first(partial(keep, done))
    module.eval()


class Stepper:
    """Makes clipped steps of an optimiser, and skips one whose gradient is not finite.

    One overflowing batch must not poison the weights. Only the device knows of it at once, and it is not waited for.
    """

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> None:
        """Start with no bad step.

        Args:
            module: whose gradients are clipped.
            optimizer: as `make_optimizer` makes it: fused kernels look at `found_inf`, meant for scaled gradients.
            clip: largest norm of all gradients together.
        """
        self.parameters, self.optimizer, self.clip = list(module.parameters()), optimizer, clip
        self.bad = torch.zeros((), device=self.parameters[0].device)  # steps without a finite gradient in a row
        self.most = self.bad

    def step(self) -> None:
        """Clip the gradients, and make a step unless one of them is not finite."""
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        is_bad = (~norm.isfinite()).float()
        if self.optimizer.defaults["fused"]:
            self.optimizer.found_inf = is_bad  # type: ignore[attr-defined]
        self.optimizer.step()
        self.bad = (self.bad + 1) * is_bad
        self.most = torch.maximum(self.most, self.bad)

    def check(self) -> None:
        """Wait for the device, and look at how many steps were skipped.

        Raises:
            EdgeNASError: too many steps in a row were skipped.
        """
        if self.most.item() >= BAD_STEPS_IN_A_ROW:
            raise EdgeNASError(
                f"training diverged: {BAD_STEPS_IN_A_ROW} steps without a finite gradient; lower the rate"
            )


def make_optimizer(module: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW, or SGD with Nesterov momentum; weights of two or more dimensions decay.

    It is fused: one kernel for all tensors is three times as fast, on a CPU too.
    """
    kernels = [p for p in module.parameters() if p.dim() > 1]
    others = [p for p in module.parameters() if p.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = True if next(module.parameters()).device.type in ("cpu", "cuda") else None
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, settings.learning_rate, fused=fused)
    sgd = torch.optim.SGD(groups, settings.learning_rate, settings.momentum, nesterov=True, fused=fused)
    for parameter in module.parameters():  # else a first step that is skipped would leave it as memory was
        sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def supervised(network: nn.Module, settings: Settings) -> Gradients:
    """Return a function that adds the gradients of cross-entropy with label smoothing."""

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        loss = F.cross_entropy(network(x), y, label_smoothing=settings.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


def regularised(trained: TrainedNetwork, settings: Settings, *, steps: int, seed: int) -> Gradients:
    """Return a function as `supervised` does, with drop-path and the loss of the auxiliary head.

    Args:
        trained: the network, with what only its training has.
        settings: of the training.
        steps: of the whole training, over which drop-path rises.
        seed: what is dropped follows from it and the step.
    """

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        rng = np.random.default_rng((DROP_STREAM, seed, step))
        trained.drop.draw(settings.drop_path * step / steps, len(x), x.device, rng)
        logits, auxiliary = trained(x)
        loss = F.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
        if auxiliary is not None:
            halfway = F.cross_entropy(auxiliary, y, label_smoothing=settings.label_smoothing)
            loss = loss + settings.auxiliary * halfway
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Scores:
    """Return how well a network does in evaluation mode, in which it is left."""
    network.eval()
    return scores_of(network, batches)


@torch.no_grad()
def scores_of(logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]]) -> Scores:
    """Return how well logits (N, classes), as a function of images (N, C, H, W), tell classes."""
    correct, loss, images = 0, 0.0, 0
    for x, y in batches:
        logits = logits_of(x).float()
        correct += int((logits.argmax(1) == y).sum())
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
        images += len(y)
    return Scores(correct / images, loss / images, images)


def _last_step(gradients: Gradients, steps: int, x: Tensor, y: Tensor) -> Tensor:
    """Compute the gradients of the last step: drop-path, which takes memory, has risen by then."""
    return gradients(x, y, steps - 1)


def _restore(module: nn.Module, optimizer: torch.optim.Optimizer, context: TrainingContext) -> int:
    """Load the checkpoint if there is one; returns the number of steps behind it."""
    if context.checkpoint is None:
        return 0
    try:
        payload = load(context.checkpoint)
    except FileNotFoundError:
        return 0
    check_identity(context.checkpoint, payload, context.identity)
    with understood(context.checkpoint):
        load_weights(module, payload["module"])
        optimizer.load_state_dict(payload["optimizer"])
        return int(payload["step"])


def _save(module: nn.Module, optimizer: torch.optim.Optimizer, context: TrainingContext, steps: int, step: int) -> None:
    if context.checkpoint is None:
        return
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "steps": steps}
    save(context.checkpoint, {**state, "identity": context.identity})
