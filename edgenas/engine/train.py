"""The training loop, read top to bottom: one network or a supernet, on a CPU or one GPU, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.data._base import Split
from edgenas.engine.checkpoint import check_identity, load, save
from edgenas.engine.settings import Settings, rate
from edgenas.errors import EdgeNASError, Interrupted

BAD_STEPS_IN_A_ROW = 20
SAVE_EVERY_S = 45.0

# Adds the gradients of one batch (x, y) of one step to the module's parameters; returns the loss.
Gradients = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Surroundings:
    """What a training may touch besides its module: where it is kept, who is told, who may stop it."""

    checkpoint: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[int, int, str], None] = lambda done, total, text: None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Scores:
    """Of one network on one split."""

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
    around: Surroundings,
) -> None:
    """Train `module` in place on augmented images of `size` pixels a side.

    Batches, their augmentation and whatever `gradients` draws follow from (seed, step) alone, so a checkpoint is
    weights, optimiser and step number, and a resumed training equals an uninterrupted one bit for bit on a CPU.

    Raises:
        EdgeNASError: twenty steps in a row had no finite gradient.
        Interrupted: `stop` said so; the checkpoint is written.
    """
    per_epoch = max(1, len(data) // settings.batch_size)
    steps = per_epoch * settings.epochs
    optimizer = make_optimizer(module, settings)
    done = _restore(module, optimizer, around)
    device = next(module.parameters()).device
    saved_at, bad, text = time.monotonic(), 0, ""
    module.train()
    for epoch in range(done // per_epoch, settings.epochs):
        start = done - epoch * per_epoch
        for x, y in data.batches(settings.batch_size, size=size, epoch=epoch, seed=seed, augment=True, start=start):
            for group in optimizer.param_groups:
                group["lr"] = rate(settings, done, steps)
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = gradients(x, y, done)
            norm = nn.utils.clip_grad_norm_(module.parameters(), settings.clip)
            if torch.isfinite(norm):
                optimizer.step()
                bad = 0
            else:  # skipped: one overflowing batch must not poison the weights
                bad += 1
                if bad == BAD_STEPS_IN_A_ROW:
                    raise EdgeNASError(f"training diverged: {bad} steps without a finite gradient; lower the rate")
            done += 1
            if done % 10 == 0 or done == steps:
                text = f"loss {loss.item():.3f}"
            around.progress(done, steps, text)
            if around.checkpoint and (time.monotonic() - saved_at > SAVE_EVERY_S or around.stop()):
                _save(module, optimizer, done, around)
                saved_at = time.monotonic()
            if around.stop():
                raise Interrupted("stopped during training")
    if around.checkpoint:
        _save(module, optimizer, done, around)
    module.eval()


def make_optimizer(module: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; weight decay on tensors of two or more dimensions."""
    kernels = [p for p in module.parameters() if p.dim() > 1]
    others = [p for p in module.parameters() if p.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, settings.learning_rate, settings.momentum, nesterov=True)
    return torch.optim.AdamW(groups, settings.learning_rate)


def supervised(network: nn.Module, settings: Settings) -> Gradients:
    """Gradients of cross-entropy with label smoothing."""

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        loss = F.cross_entropy(network(x), y, label_smoothing=settings.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


@torch.no_grad()
def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Scores:
    """Top-1 accuracy (0..1) and mean cross-entropy, in evaluation mode."""
    network.eval()
    correct, loss, images = 0, 0.0, 0
    for x, y in batches:
        logits = network(x).float()
        correct += int((logits.argmax(1) == y).sum())
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
        images += len(y)
    return Scores(correct / images, loss / images, images)


def _restore(module: nn.Module, optimizer: torch.optim.Optimizer, around: Surroundings) -> int:
    """Load the checkpoint if there is one; returns the number of steps behind it."""
    if around.checkpoint is None:
        return 0
    try:
        payload = load(around.checkpoint)
    except FileNotFoundError:
        return 0
    check_identity(around.checkpoint, payload, around.identity)
    module.load_state_dict(payload["module"])
    optimizer.load_state_dict(payload["optimizer"])
    return int(payload["step"])


def _save(module: nn.Module, optimizer: torch.optim.Optimizer, step: int, around: Surroundings) -> None:
    assert around.checkpoint is not None
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    save(around.checkpoint, {**state, "identity": around.identity})
