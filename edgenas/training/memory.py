"""Memory of a training step: known before anything is trained, and kept under what is free by micro-batches.

What a step keeps for its backward pass grows with the images of its batch, and is nearly all that it needs. So it is
counted on a step with two images. Where a whole batch needs more than may be used, it is cut into micro-batches whose
gradients add up, as ghost batches do: batch norm sees one micro-batch at a time.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from edgenas.errors import TooLarge
from edgenas.system import distributed
from edgenas.system.free_memory import free_bytes, give_back, resident_bytes
from edgenas.system.run_folder import is_kept, read_artefact, write_artefact
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch_norm import GhostBatches, split_batch

PROBED = 2  # images of the step that is measured: batch norm has no variance of one value
SMALLEST = 4  # images of a micro-batch, at least: the statistics of fewer are noise to batch norm
FREE_SHARE = 0.9  # of what is free may be used: other programs grow, and estimates are off by a tenth
# The resident set grows by more than what is kept: code that is loaded at the first step, gradients of activations,
# memory that kernels pad and reorder in, holes between blocks: `python -m tests.benchmarks.memory` measures by how much
# for every strategy and space.
OVERHEAD, WORKSPACE_BYTES = 1.3, 180_000_000
COPIES = 3  # tensors as large as each parameter: its gradient, and the two moments of AdamW

Step = Callable[[Tensor, Tensor], object]  # computes the gradients of one batch (x, y)
Shape = tuple[int, int, int]  # (C, H, W)


@dataclass(frozen=True)
class MicroBatch:
    """How much of a batch is computed at once, and the memory that decided it; the record of one training."""

    images: int
    needed_bytes: int
    usable_bytes: int
    step: StepMemory | None = None  # what it is computed from; records of earlier versions do not say it
    parts: int = 1

    def of(self, images: int) -> MicroBatch:
        """Return the record of the same step in smaller micro-batches."""
        if self.step is None:
            return replace(self, images=images)
        parts = self.parts * -(-self.images // images)
        return replace(self, images=images, needed_bytes=self.step.of(images, parts), parts=parts)


def fit(ghosts: GhostBatches, module: nn.Module, step: Step, shape: Shape, context: TrainingContext) -> GhostBatches:
    """Return the ghost batches of a step that fits in memory: `ghosts` where they do, else smaller ones.

    What was decided is kept beside the checkpoint, so that a resumed training computes what it would have.

    Args:
        ghosts: how the batch is cut if memory suffices.
        module: what is trained; it comes back as it was.
        step: computes the gradients of `module` on one batch.
        shape: of one image.
        context: keeps the record, and logs what was found.

    Raises:
        TooLarge: not even the smallest micro-batch fits.
    """
    device = next(module.parameters()).device
    if device.type not in ("cpu", "cuda"):
        return ghosts
    whole = ghosts.largest
    record = distributed.first(partial(_kept, context))
    give_back()  # what stages before have freed counts as held, and would leave less room than there is
    free = min(distributed.gather(_free(device)))
    if record is None:
        usable = min(distributed.gather(usable_bytes(device, context.ceiling_bytes)))
        parts = -(-ghosts.count // distributed.world())  # the most that a process has: all are to decide the same
        record = choose(measure(module, step, shape), whole, parts, usable)
        # The ceiling is for other programs' sake: it makes batches smaller, and refuses nothing that there is room for.
        _check(record, int(FREE_SHARE * free), f"{context.name}: even {record.images} images at once need")
        distributed.first(partial(_keep, context, record))
    else:
        _check(record, free, f"{context.name} was begun with {record.images} images at once, which need")
    context.log(f"{context.name}: {described(record, whole)}")
    return ghosts if record.images >= whole else split_batch(ghosts.edges[-1], record.images)


def step_in_halves(
    ghosts: GhostBatches, compute: Callable[[GhostBatches], Tensor], context: TrainingContext
) -> tuple[GhostBatches, Tensor]:
    """Compute a step; where a GPU has no memory for it after all, its micro-batches are halved, once, from then on.

    Args:
        ghosts: micro-batches of the step.
        compute: computes the step's gradients anew, in these micro-batches, and returns its loss.
        context: keeps the new size, and logs it.

    Returns:
        the micro-batches that fitted, and the loss.

    Raises:
        TooLarge: not even half of each fits.
    """
    try:
        return ghosts, compute(ghosts)
    except torch.cuda.OutOfMemoryError:
        if distributed.world() > 1:  # the others wait for this step's sums
            raise
    torch.cuda.empty_cache()  # it does nothing where there is no GPU
    images = -(-ghosts.largest // 2)
    context.log(
        f"{context.name}: the GPU has no memory for {ghosts.largest} images at once; {images} are computed from here on"
    )
    record = _kept(context)
    if record is not None:
        _keep(context, record.of(images))
    smaller = split_batch(ghosts.edges[-1], images)
    try:
        return smaller, compute(smaller)
    except torch.cuda.OutOfMemoryError as error:
        raise TooLarge(
            f"{context.name}: the GPU has no memory for {images} images at once; end other programs, or choose smaller "
            "images (--image-size) or a smaller space"
        ) from error


@dataclass(frozen=True)
class StepMemory:
    """What a training needs: for its weights, and for each image that it computes at once."""

    weights_bytes: int
    image_bytes: int

    def of(self, images: int, parts: int = 1) -> int:
        """Return by how much the process grows.

        Args:
            images: of a micro-batch.
            parts: micro-batches whose gradients are added up, those of halves of halves in turn.
        """
        sums = math.ceil(math.log2(parts)) + 1 if parts > 1 else 0
        counted = (COPIES + sums) * self.weights_bytes + self.image_bytes * images
        return int(OVERHEAD * counted) + WORKSPACE_BYTES


def choose(memory: StepMemory, whole: int, parts: int, usable: int) -> MicroBatch:
    """Choose the largest of `whole`, its half, its quarter and so on that fits; the smallest one if none does.

    Args:
        memory: what a step needs.
        whole: images that are computed at once if memory suffices.
        parts: how many times `whole` a process computes in a step.
        usable: bytes that may be used.
    """
    sizes = [whole >> halvings for halvings in range(whole.bit_length())]
    whole_batch = MicroBatch(whole, memory.of(whole, parts), usable, memory, parts)
    records = [whole_batch.of(size) for size in sizes if size >= min(SMALLEST, whole)]
    return next((record for record in records if record.needed_bytes <= usable), records[-1])


def measure(module: nn.Module, step: Step, shape: Shape) -> StepMemory:
    """Return what a step needs, measured on two images; nothing of `module` or of torch's generator changes.

    Args:
        module: what is trained.
        step: computes its gradients on one batch.
        shape: of one image.
    """
    parameters = list(module.parameters())
    device = parameters[0].device
    x = torch.zeros((PROBED, *shape), device=device).contiguous(memory_format=torch.channels_last)
    y = torch.zeros(PROBED, dtype=torch.int64, device=device)
    kept = _Kept([*parameters, *module.buffers()])
    # Two images are little work: threads would wait for each other most of the time.
    with unchanged(module, threads=1), saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        step(x, y)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    return StepMemory(weights, kept.peak // PROBED)


class _Kept:
    """Counts the bytes that are kept for backward passes at once, each block of memory one time."""

    def __init__(self, own: list[Tensor]) -> None:
        """Begin with nothing kept; what a module has of its `own` is never counted."""
        self.now = self.peak = 0
        self._own = {tensor.untyped_storage()._cdata for tensor in own}
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor that is kept."""
        storage = tensor.untyped_storage()
        place, size = storage._cdata, storage.nbytes()
        if place not in self._own and place not in self._alive:
            self.now += size
            self.peak = max(self.peak, self.now)
            self._alive[place] = weakref.ref(storage, partial(self._gone, place, size))
        return tensor

    def _gone(self, place: int, size: int, _: object) -> None:
        self.now -= size
        del self._alive[place]


@contextmanager
def unchanged(module: nn.Module, threads: int) -> Iterator[None]:
    """Undo what steps inside do: to gradients, to running statistics, and to torch's generators.

    Args:
        module: what the steps are of.
        threads: of the steps.
    """
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    before = torch.get_num_threads()
    for parameter, _ in gradients:
        parameter.grad = None
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            yield
    finally:
        torch.set_num_threads(before)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for buffer, value in buffers:
            buffer.copy_(value)


def usable_bytes(device: torch.device, ceiling_bytes: int) -> int:
    """Return by how much this process may grow: a share of what is free, or of what is left up to a ceiling.

    Args:
        device: where it trains.
        ceiling_bytes: the most that the process may hold in all, if it trains on a CPU.
    """
    free = _free(device)
    return int(FREE_SHARE * (free if device.type == "cuda" else max(0, min(free, ceiling_bytes - resident_bytes()))))


def described(record: MicroBatch, whole: int) -> str:
    """Say what a training takes, and in which micro-batches, if its batches do not fit."""
    text = f"a step needs about {_gigabytes(record.needed_bytes)} of {_gigabytes(record.usable_bytes)} that may be used"
    if record.images >= whole:
        return text
    return f"{text}, in micro-batches of {record.images} images, which batch norm sees at once, not {whole}"


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    free_here = free_bytes()
    if free_here is None:
        return 1 << 62  # nobody says: the ceiling alone holds
    return free_here // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes on this machine share it


def _check(record: MicroBatch, bound: int, text: str) -> None:
    """Raise TooLarge if this does not fit."""
    if record.needed_bytes > bound:
        raise TooLarge(
            f"{text} about {_gigabytes(record.needed_bytes)} of memory, and {_gigabytes(bound)} may be used; "
            "end other programs, or choose smaller images (--image-size) or a smaller space"
        )


def _kept(context: TrainingContext) -> MicroBatch | None:
    path = context.checkpoint
    if path is None or not is_kept(path.parent, _stage(context)):
        return None
    return read_artefact(path.parent, _stage(context), MicroBatch)


def _keep(context: TrainingContext, record: MicroBatch) -> None:
    if context.checkpoint is not None:
        context.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        write_artefact(context.checkpoint.parent, _stage(context), record)


def _stage(context: TrainingContext) -> str:
    return f"{context.name}-memory"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
