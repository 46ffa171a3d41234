"""Several processes as one: torchrun starts them, and each runs the same program on its part of every batch.

This is the only file that knows torch.distributed. In a single process, and inside `alone()`, all of it does nothing.
Tensors are summed where they are (nccl on GPUs); objects and flags go from host to host (gloo): no GPU is waited for.

Gradients are summed by one coalesced reduction after the backward passes, as DistributedDataParallel does it, and not
by that class, for three reasons. A supernet uses other parameters at each step, in several backward passes, and alphas
get their gradients from `torch.autograd.grad`: none of them calls its hooks as it expects. It adds up the ghost batches
of a process one after another, where ghost batches need sums in an order that no number of processes changes. And
its gain, sending while the backward pass still runs, is small for the few megabytes of an edge network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from edgenas.errors import EdgeNASError, Ended, EnvironmentFault

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
S = TypeVar("S")

# One process measures, or scores alone, while the others wait: longer than either takes. That a process died is seen at
# once, not by this.
TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True)
class Place:
    """Which process this is, and how many there are."""

    rank: int = 0
    world: int = 1


_SINGLE = Place()
_place: ContextVar[Place] = ContextVar("place", default=_SINGLE)


def rank() -> int:
    """Return the number of this process; 0 writes files and reports progress for all."""
    return _place.get().rank


def world() -> int:
    """Return how many processes work together."""
    return _place.get().world


@contextmanager
def alone() -> Iterator[None]:
    """Let this process act as if it were the only one."""
    token = _place.set(_SINGLE)
    try:
        yield
    finally:
        _place.reset(token)


@contextmanager
def processes() -> Iterator[None]:
    """Work with the other processes that torchrun started, if it did, until the end.

    Raises:
        EnvironmentFault: the others cannot be reached.
        Ended: another process failed first, and has reported why.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if started == 1 or world() > 1:  # one process, or inside another `processes()`
        yield
        return
    store = _join()
    import torch.distributed as dist

    token = _place.set(Place(dist.get_rank(), dist.get_world_size()))
    try:
        yield
        dist.destroy_process_group()
    except BaseException as error:  # left without a farewell: the others must not wait
        _follow(store, error)
        raise
    finally:
        _place.reset(token)


def broadcast(value: T) -> T:
    """Return on all processes what the first one has: a plain object."""
    if world() == 1:
        return value
    import torch
    import torch.distributed as dist

    box = [value]
    with _together():
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def gather(value: T) -> list[T]:
    """Return on all processes what each one has, in their order: plain objects."""
    if world() == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * world()
    with _together():
        dist.all_gather_object(found, value)
    return found


def agree(flag: bool) -> bool:
    """Tell whether the flag is set on any process; all of them must call this."""
    if world() == 1:
        return flag
    import torch
    import torch.distributed as dist

    answer = torch.tensor(int(flag))
    with _together():
        dist.all_reduce(answer, dist.ReduceOp.MAX)
    return bool(answer)


def first(make: Callable[[], T]) -> T:
    """Return on all processes what the first one makes while the others wait; its error is raised by all."""
    if world() == 1:
        return make()
    value: T = _value(broadcast(_tried(make) if rank() == 0 else None))
    return value


def in_turn(make: Callable[[], T]) -> T:
    """Return what each process makes by itself, the first one before the others; its error is raised by all."""
    if world() == 1:
        return make()
    mine = _tried(make) if rank() == 0 else None
    error = broadcast(mine[1] if mine else None)
    if error is not None:
        raise error
    value: T = _value(mine or _tried(make))
    return value


def shared_out(function: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Return `function` of every item, each computed by one process; the first error is raised by all."""
    place = _place.get()
    # Each takes every `world`-th item from its rank on; the return puts them back in order.
    parts = gather([_tried(lambda item=item: function(item)) for item in items[place.rank :: place.world]])  # type: ignore[misc]
    return [_value(parts[i % place.world][i // place.world]) for i in range(len(items))]


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return each tensor, added up over the processes by one reduction: the same bits on all of them.

    With two processes, the sum is that of their values in either order; with more, its rounding depends on the backend.
    """
    if world() == 1 or not tensors:
        return list(tensors)
    import torch
    import torch.distributed as dist

    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    found = [torch.empty_like(tensor) for tensor in tensors]  # they keep their memory format
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(found, [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)])
    return found


def copy_(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by the first process's, in place."""
    if world() == 1:
        return
    import torch.distributed as dist

    with _together():
        for tensor in tensors:
            value = tensor.detach().contiguous()
            dist.broadcast(value, src=0)
            tensor.detach().copy_(value)


def _join() -> Any:
    """Meet the other processes, and return the store by which they tell each other of their end."""
    from edgenas.system.threads import configure_threads

    configure_threads()  # torch comes with it
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    local, here = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # A GPU for each process of this machine, or none at all.
    gpus = torch.cuda.device_count() >= here
    if gpus:
        torch.cuda.set_device(local)
    try:
        store, place, size = next(rendezvous("env://", timeout=TIMEOUT))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo", store=store, rank=place, world_size=size, timeout=TIMEOUT
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise EnvironmentFault(f"the processes of torchrun do not meet ({_line(error)}); start again") from error
    return dist.distributed_c10d.PrefixStore("edgenas", store)


def _follow(store: Any, error: BaseException) -> None:
    """Note in the store that this process ends; raises Ended, with its exit code, if another ended first."""
    code = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
    with suppress(RuntimeError, OSError, ValueError):  # the store went away with its process
        # The first to come sets it; the others get what it has set.
        ended_first = store.compare_set("ended", "", f"{rank()} {code} {_line(error)}").decode()
        number, code, cause = ended_first.split(" ", 2)
        if int(number) != rank():
            ended = Ended(f"process {number} ended: {cause}")
            ended.exit_code = int(code)
            raise ended from error


@contextmanager
def _together() -> Iterator[None]:
    """Raise EnvironmentFault for what goes wrong between processes."""
    try:
        yield
    except RuntimeError as error:
        raise EnvironmentFault(
            f"another process of this run is gone ({_line(error)}); start all again, with --resume"
        ) from error


def _tried(make: Callable[[], T]) -> tuple[T | None, EdgeNASError | None]:
    """Return the value that is made alone, or the error; only errors of ours are passed on."""
    try:
        with alone():
            return make(), None
    except EdgeNASError as error:
        return None, error


def _value(tried: Any) -> Any:
    value, error = tried
    if error is not None:
        raise error
    return value


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
