"""Ghost batch norm: a step computes parts of its batch one after another, on one or several processes.

The parts, ghost batches, have one gradient together, and batch norm sees one of them at a time (Hoffer et al., 2017,
arXiv:1705.08741). So what a step computes depends on how its batch is split, and not on how many processes share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from edgenas.errors import UsageError
from edgenas.system import distributed

Found = tuple[Tensor, list[Tensor | None]]  # the mean loss of some images, and gradients of it


@dataclass(frozen=True)
class GhostBatches:
    """A batch split into ghost batches, of which this process computes some.

    Args:
        edges: image numbers where ghost batches begin, and where the last one ends.
        first: number of this process's first ghost batch.
        last: number of the one behind its last.
    """

    edges: tuple[int, ...]
    first: int
    last: int

    @property
    def rows(self) -> slice:
        """The images of the batch that this process computes."""
        return slice(self.edges[self.first], self.edges[self.last])

    @property
    def count(self) -> int:
        """The number of ghost batches of all processes."""
        return len(self.edges) - 1

    @property
    def largest(self) -> int:
        """The number of images in the largest ghost batch."""
        return max(end - start for start, end in pairwise(self.edges))

    def mean(self, compute: Callable[[Tensor, Tensor], Found], x: Tensor, y: Tensor) -> Found:
        """Return the means over all ghost batches, on all processes, of what `compute` finds.

        A gradient is None on one ghost batch only if it is on all.

        Args:
            compute: gives the mean loss () of some images, and gradients of it.
            x: this process's `rows` of the images (N, C, H, W).
            y: their classes (N,).
        """
        if self.count == 1:
            return compute(x, y)
        start = self.edges[self.first]

        # Halves are added up before they are added to each other: where one process does so, and where two share the
        # ghost batches evenly and exchange their sums, roundings and thus bits are the same.
        def sums(first: int, last: int) -> Found:
            if last - first == 1:
                part = slice(self.edges[first] - start, self.edges[last] - start)
                return compute(x[part], y[part])
            middle = (first + last) // 2
            return _sum(sums(first, middle), sums(middle, last))

        loss, gradients = sums(self.first, self.last)
        total = distributed.summed([loss, *(g for g in gradients if g is not None)])
        means = iter(torch._foreach_div(total, float(self.count)))
        return next(means), [None if g is None else next(means) for g in gradients]

    def step(
        self, module: nn.Module, backward: Callable[[Tensor, Tensor, int], Tensor], x: Tensor, y: Tensor, step: int
    ) -> Tensor:
        """Compute the gradients of a step, and return its mean loss ().

        Args:
            module: gets the mean of the gradients that `backward` adds, and of what it makes of running statistics.
            backward: adds the gradients of one ghost batch to the module's parameters, and returns its loss.
            x: this process's `rows` of the images (N, C, H, W).
            y: their classes (N,).
            step: number of the step, for `backward`.
        """
        if self.count == 1:
            return backward(x, y, step)
        parameters = list(module.parameters())
        statistics = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        before = [buffer.clone() for buffer in statistics]

        def compute(x: Tensor, y: Tensor) -> Found:
            module.zero_grad()
            _restore(statistics, before)
            loss = backward(x, y, step)
            return loss, [*(p.grad for p in parameters), *(buffer.clone() for buffer in statistics)]

        loss, found = self.mean(compute, x, y)
        for parameter, gradient in zip(parameters, found, strict=False):
            parameter.grad = gradient
        _restore(statistics, [mean for mean in found[len(parameters) :] if mean is not None])
        return loss


def split_batch(images: int, ghost_batch: int | None) -> GhostBatches:
    """Split a batch into ghost batches whose sizes differ by an image at most.

    Args:
        images: of the batch.
        ghost_batch: the most images of a ghost batch; None makes one ghost batch for each process.

    Raises:
        UsageError: there are fewer of them than processes.
    """
    world, place = distributed.world(), distributed.rank()
    count = world if ghost_batch is None else -(-images // ghost_batch)
    if not world <= count <= images:
        raise UsageError(
            f"a batch of {images} images has {min(count, images)} ghost batches for {world} processes; "
            "start fewer processes, or make --ghost-batch smaller"
        )
    edges = tuple(i * images // count for i in range(count + 1))
    return GhostBatches(edges, place * count // world, (place + 1) * count // world)


def _restore(buffers: list[Tensor], values: list[Tensor]) -> None:
    if buffers:
        torch._foreach_copy_(buffers, values)


def _sum(a: Found, b: Found) -> Found:
    known = [(p, q) for p, q in zip(a[1], b[1], strict=True) if p is not None and q is not None]
    sums = iter(torch._foreach_add([p for p, _ in known], [q for _, q in known]) if known else [])
    return a[0] + b[0], [None if p is None else next(sums) for p in a[1]]
