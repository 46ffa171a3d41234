"""Ghost batches: a step on parts of its batch, one after another and on several processes, with one gradient.

Batch norm sees one part at a time (Hoffer et al., 2017, arXiv:1705.08741), so what a step computes depends on how its
batch is cut, and not on how many processes share the parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenas.errors import UsageError
from edgenas.system import distributed

Found = tuple[Tensor, list[Tensor | None]]  # the mean loss of some images, and gradients of it


@dataclass(frozen=True)
class Ghosts:
    """A batch cut at `edges` into ghost batches; those from `first` up to `last` are this process's."""

    edges: tuple[int, ...]
    first: int
    last: int

    @property
    def rows(self) -> slice:
        """This process's part of the batch."""
        return slice(self.edges[self.first], self.edges[self.last])

    @property
    def count(self) -> int:
        """Ghost batches of all processes."""
        return len(self.edges) - 1

    def mean(self, compute: Callable[[Tensor, Tensor], Found], x: Tensor, y: Tensor) -> Found:
        """Means over all ghost batches, on all processes, of what `compute` finds; x and y are this process's `rows`.

        Sums are those of halves of halves. Where processes share the ghost batches evenly, one and two of them give the
        same bits. A gradient is None on one ghost batch only if it is on all.
        """
        if self.count == 1:
            return compute(x, y)
        start = self.edges[self.first]

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
        """Mean loss of a step, whose number `backward` gets.

        `module` gets the mean of the gradients that `backward` adds, and of what it makes of the running statistics.
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


def cut(images: int, ghost_batch: int | None) -> Ghosts:
    """A batch of so many images in ghost batches of `ghost_batch`, or one for each process.

    They differ by an image at most where the batch cannot be divided.

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
    return Ghosts(edges, place * count // world, (place + 1) * count // world)


def _restore(buffers: list[Tensor], values: list[Tensor]) -> None:
    if buffers:
        torch._foreach_copy_(buffers, values)


def _sum(a: Found, b: Found) -> Found:
    known = [(p, q) for p, q in zip(a[1], b[1], strict=True) if p is not None and q is not None]
    sums = iter(torch._foreach_add([p for p, _ in known], [q for _, q in known]) if known else [])
    return a[0] + b[0], [None if p is None else next(sums) for p in a[1]]
